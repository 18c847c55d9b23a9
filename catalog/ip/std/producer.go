package std

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"
)

// Producer opens Publishers, each with a socket of its own. It is safe for
// concurrent use.
type Producer struct {
	server  server
	options Options

	mu         sync.Mutex
	closed     bool
	publishers map[*Publisher]struct{}
}

// NewProducer reads ip://host or host, ip4:// or ip6:// to insist on a
// version. It reaches nobody. Errors:
// ErrUnsupported for credentials and TLS.
func NewProducer(serverURL string, bindings *ServerBindings, options *Options) (*Producer, error) {
	o := options.withDefaults()
	s, err := parseServer(serverURL, &o)
	if err != nil {
		return nil, err
	}
	return &Producer{server: s, options: o, publishers: map[*Publisher]struct{}{}}, nil
}

// Native gives the open sockets.
func (p *Producer) Native() []*net.IPConn {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []*net.IPConn
	for pub := range p.publishers {
		all = append(all, pub.writer.conn)
	}
	return all
}

// Publisher finds the host and opens a socket, and reaches nobody either. The
// address means nothing on the wire: it names the channel in errors and to the
// Logger. Errors: ErrUnauthorized where the process may not open raw sockets.
func (p *Producer) Publisher(ctx context.Context, address string, bindings *ChannelBindings) (*Publisher, error) {
	fail := func(err error) (*Publisher, error) {
		return nil, fmt.Errorf("ip: open %q for sending: %w", address, classify(err))
	}
	p.mu.Lock()
	closed := p.closed
	p.mu.Unlock()
	if closed {
		return fail(ErrClosed)
	}
	addr, err := p.server.resolve(ctx, &p.options)
	if err != nil {
		return fail(err)
	}
	conn, err := dial(addr, &p.options)
	if err != nil {
		return fail(err)
	}
	pub := &Publisher{producer: p, address: address, writer: newWriter(conn, p.options.MaxMessageBytes)}
	pub.stop, pub.stopNow = context.WithCancel(context.Background())
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		_ = conn.Close()
		return fail(ErrClosed)
	}
	p.publishers[pub] = struct{}{}
	return pub, nil
}

// Close closes the Publishers. It waits for each Send under way, at most
// Options.Timeout.
func (p *Producer) Close() error {
	p.mu.Lock()
	p.closed = true
	var open []*Publisher
	for pub := range p.publishers {
		open = append(open, pub)
	}
	p.mu.Unlock()
	return closeAll(open)
}

// closeAll closes side by side, so that the time-outs do not add up.
func closeAll[T interface{ Close() error }](all []T) error {
	errs := make([]error, len(all))
	var wg sync.WaitGroup
	for i, c := range all {
		wg.Add(1)
		go func() {
			defer wg.Done()
			errs[i] = c.Close()
		}()
	}
	wg.Wait()
	return errors.Join(errs...)
}

// Publisher sends to one host. It is safe for concurrent use.
type Publisher struct {
	producer *Producer
	address  string
	writer   *writer
	stop     context.Context // done when Close has waited long enough
	stopNow  context.CancelFunc

	mu     sync.Mutex
	closed bool
	sends  sync.WaitGroup
}

// Send sends a datagram for each envelope. Nil means that the system has taken
// them: nobody confirms them, and they can get lost, come twice or in another
// order. It waits while the system has no room, until ctx ends or, where ctx has
// no deadline, Options.Timeout.
//
// Where some of several envelopes fail, errors.As gives SendErrors. Errors:
// ErrTooLarge, ErrUnsupported for headers or a content type, ErrClosed, and
// ErrRefused when the host has answered that it does not take the protocol; Linux
// answers the same when the receiver's buffer is full. That answer is to an
// earlier datagram, and takes the place of sending this one; the next Send tries
// again.
func (p *Publisher) Send(ctx context.Context, envelopes ...*EnvelopeOut) error {
	if err := p.send(ctx, envelopes); err != nil {
		return fmt.Errorf("ip: send to %q: %w", p.address, err)
	}
	return nil
}

func (p *Publisher) send(ctx context.Context, envelopes []*EnvelopeOut) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return ErrClosed
	}
	p.sends.Add(1)
	p.mu.Unlock()
	defer p.sends.Done()
	ctx, cancel := p.producer.options.bounded(ctx)
	defer cancel()
	defer context.AfterFunc(p.stop, cancel)()
	return p.writer.send(ctx, netip.Addr{}, envelopes)
}

// Close waits until the system has taken what is being sent, at most
// Options.Timeout.
func (p *Publisher) Close() error {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	done := make(chan struct{})
	go func() {
		p.sends.Wait()
		close(done)
	}()
	var err error
	select {
	case <-done:
	case <-time.After(p.producer.options.Timeout):
		err = fmt.Errorf("ip: close %q: sends without an end after %v", p.address, p.producer.options.Timeout)
	}
	p.stopNow()
	<-done
	_ = p.writer.conn.Close()
	p.producer.mu.Lock()
	delete(p.producer.publishers, p)
	p.producer.mu.Unlock()
	return err
}
