package mem

import (
	"context"
	"fmt"
	"sync"
)

// Producer sends to a hub. It is safe for concurrent use.
type Producer struct {
	host    string
	options Options
	once    sync.Once
	closed  chan struct{}
}

// NewProducer names the hub; it is reached by the first Send.
func NewProducer(serverURL string, _ *ServerBindings, options *Options) (*Producer, error) {
	host, err := address(serverURL)
	if err != nil {
		return nil, err
	}
	p := &Producer{host: host, options: options.withDefaults(), closed: make(chan struct{})}
	return p, p.options.check()
}

// check refuses what cannot be honoured inside a process.
func (o *Options) check() error {
	if o.Security != nil || o.TLS != nil {
		return fmt.Errorf("mem: security: %w", ErrUnsupported)
	}
	return nil
}

// Publisher opens a channel for sending.
func (p *Producer) Publisher(ctx context.Context, address string, _ *ChannelBindings) (*Publisher, error) {
	if isClosed(p.closed) {
		return nil, fmt.Errorf("mem: publisher of %q: %w", address, ErrClosed)
	}
	return &Publisher{producer: p, address: address, closed: make(chan struct{})}, ctx.Err()
}

// Close closes the publishers too.
func (p *Producer) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

// Publisher sends to one address. It is safe for concurrent use.
type Publisher struct {
	producer *Producer
	address  string
	once     sync.Once
	closed   chan struct{}
}

// Send returns nil when every subscriber has the messages. It waits for a hub.
func (p *Publisher) Send(ctx context.Context, envelopes ...*EnvelopeOut) error {
	if _, has := ctx.Deadline(); !has {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, p.producer.options.Timeout)
		defer cancel()
	}
	errs := make(SendErrors, len(envelopes))
	failed := false
	for i, e := range envelopes {
		if err := p.send(ctx, e); err != nil {
			errs[i], failed = fmt.Errorf("mem: send to %q: %w", p.address, err), true
		}
	}
	switch {
	case !failed:
		return nil
	case len(errs) == 1:
		return errs[0]
	}
	return errs
}

func (p *Publisher) send(ctx context.Context, e *EnvelopeOut) error {
	if isClosed(p.closed) || isClosed(p.producer.closed) {
		return ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	m, err := e.message()
	if err != nil {
		return err
	}
	h, err := dial(ctx, p.producer.host, p.producer.closed)
	if err != nil {
		return err
	}
	return h.deliver(p.address, m)
}

// Close ends the publisher.
func (p *Publisher) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func isClosed(done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	default:
		return false
	}
}
