package gobwas

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"
)

// Producer opens Publishers: each is a connection of its own, or, with
// RoleListen, all connections that came to its address. It is safe for
// concurrent use.
type Producer struct {
	side *side

	mu         sync.Mutex
	closed     bool
	publishers map[*Publisher]struct{}
}

// NewProducer reads ws://[user:password@]host[:port][/path], the same with wss
// for TLS, or the bare host:port; the path goes before every address. It
// reaches nobody yet. With RoleListen it listens there, at a free port for port
// 0, or, where serverURL is empty, leaves that to the server that Handler is
// mounted on. Errors: ErrUnsupported for a security scheme that a handshake
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

// Handler takes the handshakes of a Producer with RoleListen on a server of
// your own, below the path of serverURL.
func (p *Producer) Handler() http.Handler { return p.side.handler() }

// Native gives the connections that are open.
func (p *Producer) Native() []net.Conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	var channels []*channel
	for pub := range p.publishers {
		channels = append(channels, pub.channel)
	}
	return native(channels)
}

func native(channels []*channel) []net.Conn {
	var all []net.Conn
	for _, p := range peers(channels) {
		all = append(all, p.Native())
	}
	return all
}

// Publisher dials the address, a path below the server's. Errors: ErrNotFound,
// ErrUnauthorized and ErrRefused for what the handshake was answered with,
// ErrUnsupported for a binding, a network error where no server answers within
// Options.Timeout, ErrClosed. With RoleListen it lets peers in at the address,
// in which {name} stands for one segment of any name.
func (p *Producer) Publisher(ctx context.Context, address string, bindings *ChannelBindings) (*Publisher, error) {
	p.mu.Lock()
	closed := p.closed
	p.mu.Unlock()
	if closed {
		return nil, fmt.Errorf("ws: open %q for sending: %w", address, ErrClosed)
	}
	c, err := p.side.open(ctx, address, bindings, false)
	if err != nil {
		return nil, fmt.Errorf("ws: open %q for sending: %w", address, err)
	}
	pub := newPublisher(c, p)
	p.mu.Lock()
	closed = p.closed
	if !closed {
		p.publishers[pub] = struct{}{}
	}
	p.mu.Unlock()
	if closed {
		pub.release(p.side.goodbye())
		return nil, fmt.Errorf("ws: open %q for sending: %w", address, ErrClosed)
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

// Publisher sends to an address: to the one peer it has dialled, or to all
// peers that have dialled. It is safe for concurrent use.
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
// Options.Timeout. A peer that does not read holds it up as long: Peers and
// Peer.Send leave it to you whom to wait for. What is written can still be lost
// when the connection breaks; nothing is sent twice.
//
// Where some of several envelopes fail, errors.As gives SendErrors. Errors:
// ErrTooLarge; ErrUnsupported for headers, a content type or a text that is not
// UTF-8; ErrClosed; what ended dialling for good; or ctx's error with the cause
// of the delay. After ctx's error the message may still arrive.
func (p *Publisher) Send(ctx context.Context, envelopes ...*EnvelopeOut) error {
	if err := p.send(ctx, envelopes); err != nil {
		return fmt.Errorf("ws: send to %q: %w", p.channel.address, err)
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
	return each(envelopes, func(e *EnvelopeOut) error { return p.channel.send(ctx, p.closing, e) })
}

// Peers are the connections that there are now.
func (p *Publisher) Peers() []*Peer { return peers([]*channel{p.channel}) }

// Close waits for each Send that is being written, and for the peers to have
// read what was sent, at most Options.Timeout. A Send that waits for a
// connection ends with ErrClosed. The close code is 1000, with RoleListen 1001.
func (p *Publisher) Close() error {
	if p.producer == nil {
		p.beginClose()
		return nil
	}
	return p.shut(p.producer.side.goodbye())
}

// CloseWith is Close with a close code and reason of one's own.
func (p *Publisher) CloseWith(code int, reason string) error {
	if err := checkClose(code, reason); err != nil {
		return fmt.Errorf("ws: close %q: %w", p.channel.address, err)
	}
	if p.producer == nil {
		return fmt.Errorf("ws: close %q: %w: the connection is the Subscriber's", p.channel.address, ErrUnsupported)
	}
	return p.shut(code, reason)
}

func (p *Publisher) shut(code int, reason string) error {
	p.mu.Lock()
	p.beginClose()
	p.mu.Unlock()
	done := make(chan struct{})
	go func() {
		p.sends.Wait()
		close(done)
	}()
	var err error
	select {
	case <-done:
	case <-time.After(p.channel.options.Timeout):
		err = fmt.Errorf("ws: close %q: sends without an end after %v", p.channel.address, p.channel.options.Timeout)
	}
	p.producer.mu.Lock()
	_, open := p.producer.publishers[p]
	delete(p.producer.publishers, p)
	p.producer.mu.Unlock()
	if open {
		p.release(code, reason)
	}
	return err
}

func (p *Publisher) release(code int, reason string) {
	if p.producer.side.leave(p.channel) {
		p.channel.close(code, reason)
	}
}
