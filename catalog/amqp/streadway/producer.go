package streadway

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	amqp "github.com/streadway/amqp"
)

// Producer is the connection to a server that Publishers send over. It is safe
// for concurrent use.
type Producer struct {
	links *links

	mu         sync.Mutex
	closed     bool
	publishers map[*Publisher]struct{}
}

// NewProducer reaches the server and logs in. The URL is host:port or
// amqp://[user:password@]host[:port][,host[:port]...][/vhost], amqps:// for TLS;
// of several hosts it takes the first that answers. Errors: ErrUnauthorized,
// ErrUnsupported for a security scheme that AMQP can't carry, ErrNotFound for
// the vhost, a network error where no server answers within Options.Timeout.
func NewProducer(serverURL string, bindings *ServerBindings, options *Options) (*Producer, error) {
	l, err := connect(serverURL, options.withDefaults())
	if err != nil {
		return nil, err
	}
	return &Producer{links: newLinks(l), publishers: map[*Publisher]struct{}{}}, nil
}

// Native gives the library's connection, nil during an outage. After one it is
// another.
func (p *Producer) Native() *amqp.Connection { return p.links.first.native() }

// Publisher opens a channel for sending, and declares what it needs: the queue
// of that name, or the exchange of the bindings. Errors: ErrNotFound where
// declaring is off, ErrRefused where something exists and is not what the
// bindings say, ErrUnauthorized, ErrClosed.
func (p *Producer) Publisher(ctx context.Context, address string, bindings *ChannelBindings) (*Publisher, error) {
	pub, err := p.open(ctx, address, bindings)
	if err != nil {
		return nil, fmt.Errorf("amqp: open %q for sending: %w", address, classify(err))
	}
	return pub, nil
}

func (p *Producer) open(ctx context.Context, address string, bindings *ChannelBindings) (*Publisher, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c, err := bindings.channel(address)
	if err != nil {
		return nil, err
	}
	l, err := p.links.of(ctx, c.vhost)
	if err != nil {
		return nil, err
	}
	pub := &Publisher{producer: p, address: address, channel: c}
	pub.sender = newSender(l, func(ctx context.Context, n *session) error {
		_, err := c.declare(ctx, n, false)
		return err
	})
	ctx, cancel := l.options.bound(ctx)
	defer cancel()
	if _, err := pub.sender.ready(ctx); err != nil {
		pub.sender.close(time.Now())
		if errors.Is(err, ctx.Err()) {
			err = pub.sender.gaveUp(ctx)
		}
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		pub.sender.close(time.Now())
		return nil, ErrClosed
	}
	p.publishers[pub] = struct{}{}
	return pub, nil
}

// Close closes the Publishers and then the connection. It waits for each Send
// under way, at most Options.Timeout.
func (p *Producer) Close() error {
	deadline := time.Now().Add(p.links.first.options.Timeout)
	p.mu.Lock()
	p.closed = true
	var open []*Publisher
	for pub := range p.publishers {
		open = append(open, pub)
	}
	p.mu.Unlock()
	err := closeAll(open)
	p.links.close(deadline)
	for _, pub := range open {
		pub.sender.work.Wait()
	}
	return err
}

// closeAll closes side by side, so that the time-outs do not add up.
func closeAll[T interface{ Close() error }](all []T) error {
	errs := make([]error, len(all))
	var wg sync.WaitGroup
	for i, c := range all {
		wg.Add(1)
		go func(i int, c T) {
			defer wg.Done()
			errs[i] = c.Close()
		}(i, c)
	}
	wg.Wait()
	return errors.Join(errs...)
}

// Publisher sends to a queue or an exchange. It is safe for concurrent use.
type Publisher struct {
	producer *Producer
	address  string
	channel  channel
	sender   *sender

	mu        sync.Mutex
	closed    bool
	requester *requester
	sends     sync.WaitGroup
}

// Send returns nil when the server has confirmed every envelope: it is in the
// queue, on the disk where both are durable, or the exchange had no queue for it
// and it is not mandatory. Envelopes keep their order. While the server can't
// be reached, or takes no messages because it is short of memory or disk, it
// waits until ctx ends or, where ctx has no deadline, Options.Timeout; a message
// whose confirm was lost is then sent twice, with the same message id.
//
// Where some of several envelopes fail, errors.As gives SendErrors. Errors:
// ErrRefused, also for a mandatory message that no queue takes, ErrTooLarge,
// ErrUnsupported for a header, ErrNotFound for an exchange, ErrUnauthorized,
// ErrClosed, or ctx's error with the cause of the delay. After ctx's error the
// message may still arrive.
func (p *Publisher) Send(ctx context.Context, envelopes ...*EnvelopeOut) error {
	if err := p.send(ctx, envelopes); err != nil {
		return fmt.Errorf("amqp: send to %q: %w", p.address, err)
	}
	return nil
}

func (p *Publisher) send(ctx context.Context, envelopes []*EnvelopeOut) error {
	ctx, end, err := p.begin(ctx)
	if err != nil {
		return err
	}
	defer end()
	errs := make(SendErrors, len(envelopes))
	messages := make([]*message, len(envelopes))
	for i, e := range envelopes {
		messages[i], errs[i] = e.message(ctx, &p.channel)
	}
	p.sender.send(messages...)
	failed := false
	for i, m := range messages {
		if m != nil {
			errs[i] = p.sender.await(ctx, m)
		}
		failed = failed || errs[i] != nil
	}
	switch {
	case !failed:
		return nil
	case len(errs) == 1:
		return errs[0]
	default:
		return errs
	}
}

// begin bounds a Send or Request, which Close has to wait for.
func (p *Publisher) begin(ctx context.Context) (context.Context, context.CancelFunc, error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, nil, ErrClosed
	}
	p.sends.Add(1)
	ctx, cancel := p.sender.link.options.bound(ctx)
	stop := context.AfterFunc(p.sender.stop, cancel)
	return ctx, func() {
		stop()
		cancel()
		p.sends.Done()
	}, nil
}

// bound gives Options.Timeout to a context without a deadline.
func (o *Options) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, bounded := ctx.Deadline(); bounded {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, o.Timeout)
}

// Close waits until each Send under way has its answer, at most
// Options.Timeout, and ends those that have none with ErrClosed.
func (p *Publisher) Close() error {
	timeout := p.sender.link.options.Timeout
	deadline := time.Now().Add(timeout)
	p.mu.Lock()
	p.closed = true
	requester := p.requester
	p.mu.Unlock()
	done := make(chan struct{})
	go func() {
		p.sends.Wait()
		close(done)
	}()
	var err error
	select {
	case <-done:
	case <-time.After(timeout):
		err = fmt.Errorf("amqp: close %q: sends without an answer after %v", p.address, timeout)
	}
	if requester != nil {
		requester.sender.close(deadline)
	}
	p.sender.close(deadline)
	p.sends.Wait()
	p.producer.mu.Lock()
	delete(p.producer.publishers, p)
	p.producer.mu.Unlock()
	return err
}
