package std

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// Producer opens Publishers: each is a connection of its own, or, with
// RoleListen, all connections that came. It is safe for concurrent use.
type Producer struct {
	side *side

	mu         sync.Mutex
	closed     bool
	publishers map[*Publisher]struct{}
}

// NewProducer reads host:port, tcp://host:port or, for TLS, tls://host:port. It
// reaches nobody yet. With RoleListen it listens there, at a free port for port
// 0. Errors: ErrUnsupported for credentials and security schemes, which TCP
// can't carry.
func NewProducer(serverURL string, bindings *ServerBindings, options *Options) (*Producer, error) {
	s, err := newSide(serverURL, options, RoleDial)
	if err != nil {
		return nil, err
	}
	return &Producer{side: s, publishers: map[*Publisher]struct{}{}}, nil
}

// URL is where a Producer with RoleListen listens: what the other side dials.
func (p *Producer) URL() string { return p.side.url() }

// Native gives the connections that are open.
func (p *Producer) Native() []net.Conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []net.Conn
	for pub := range p.publishers {
		all = append(all, native(pub.channel)...)
	}
	return all
}

func native(c *channel) []net.Conn {
	var all []net.Conn
	for _, p := range c.list() {
		all = append(all, p.conn)
	}
	return all
}

// Publisher dials. The address means nothing on the wire: it names the channel
// in errors and to the Logger. Errors: a network error where nobody listens
// within Options.Timeout, ErrUnauthorized where the client's certificate is
// refused, ErrClosed. With RoleListen it lets peers in.
func (p *Producer) Publisher(ctx context.Context, address string, bindings *ChannelBindings) (*Publisher, error) {
	fail := func(err error) (*Publisher, error) {
		return nil, fmt.Errorf("tcp: open %q for sending: %w", address, err)
	}
	p.mu.Lock()
	closed := p.closed
	p.mu.Unlock()
	if closed {
		return fail(ErrClosed)
	}
	c, err := p.side.open(ctx, address, false)
	if err != nil {
		return fail(err)
	}
	pub := newPublisher(c, p)
	p.mu.Lock()
	if closed = p.closed; !closed {
		p.publishers[pub] = struct{}{}
	}
	p.mu.Unlock()
	if closed {
		pub.release(time.Now())
		return fail(ErrClosed)
	}
	return pub, nil
}

// Close closes the Publishers and ends listening. It waits for each Send under
// way, at most Options.Timeout.
func (p *Producer) Close() error {
	p.mu.Lock()
	p.closed = true
	var open []*Publisher
	for pub := range p.publishers {
		open = append(open, pub)
	}
	p.mu.Unlock()
	err := closeAll(open)
	p.side.close()
	return err
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

// Publisher sends to the one peer it has dialled, or to all peers that have
// dialled. It is safe for concurrent use.
type Publisher struct {
	channel  *channel
	producer *Producer // nil for a Subscriber's, which closes with that

	mu         sync.Mutex
	closing    context.Context // done when Close begins
	beginClose context.CancelFunc
	sends      sync.WaitGroup
}

func newPublisher(c *channel, p *Producer) *Publisher {
	pub := &Publisher{channel: c, producer: p}
	pub.closing, pub.beginClose = context.WithCancel(context.Background())
	return pub
}

// Send returns nil when every envelope is written to every peer there is; a
// peer whose connection breaks meanwhile is none. It waits for a connection
// where there is none, until ctx ends or, where ctx has no deadline,
// Options.Timeout, and writes there what the last one has not taken. What is
// written can still be lost when the connection breaks; nothing is sent twice.
//
// Where some of several envelopes fail, errors.As gives SendErrors. Errors:
// ErrTooLarge; ErrUnsupported for headers, a content type or a payload that the
// framing can't hold; ErrClosed; what ended dialling for good; or ctx's error
// with the cause of the delay. After ctx's error the message may still arrive.
func (p *Publisher) Send(ctx context.Context, envelopes ...*EnvelopeOut) error {
	if err := p.send(ctx, envelopes); err != nil {
		return fmt.Errorf("tcp: send to %q: %w", p.channel.address, err)
	}
	return nil
}

func (p *Publisher) send(ctx context.Context, envelopes []*EnvelopeOut) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	p.mu.Lock()
	if p.closing.Err() != nil {
		p.mu.Unlock()
		return ErrClosed
	}
	p.sends.Add(1)
	p.mu.Unlock()
	defer p.sends.Done()
	ctx, cancel := p.channel.options.bounded(ctx)
	defer cancel()
	return send(envelopes, p.channel.options, func(b *batch) error { return p.channel.send(ctx, p.closing, b) })
}

// Peers are the connections that there are now.
func (p *Publisher) Peers() []*Peer { return p.channel.list() }

// Close waits for each Send that is being written, and until the peers' systems
// have what was sent, at most Options.Timeout. A Send that waits for a
// connection ends with ErrClosed.
func (p *Publisher) Close() error {
	p.mu.Lock()
	p.beginClose()
	p.mu.Unlock()
	if p.producer == nil {
		return nil
	}
	until := time.Now().Add(p.channel.options.Timeout)
	done := make(chan struct{})
	go func() {
		p.sends.Wait()
		close(done)
	}()
	var err error
	select {
	case <-done:
	case <-time.After(p.channel.options.Timeout):
		err = fmt.Errorf("tcp: close %q: sends without an end after %v", p.channel.address, p.channel.options.Timeout)
	}
	p.producer.mu.Lock()
	_, open := p.producer.publishers[p]
	delete(p.producer.publishers, p)
	p.producer.mu.Unlock()
	if open {
		p.release(until)
	}
	return err
}

func (p *Publisher) release(until time.Time) {
	if p.producer.side.leave(p.channel) {
		p.channel.close(until)
	}
}
