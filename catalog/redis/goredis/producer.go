package goredis

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// Producer is the connection to a server that Publishers send over. It is safe
// for concurrent use.
type Producer struct {
	network *network
	sender  *sender

	mu         sync.Mutex
	closed     bool
	publishers map[*Publisher]struct{}
}

// NewProducer reaches the server and logs in. The URL is host:port or
// redis://[[user]:password@]host[:port][/db], rediss:// for TLS. Errors:
// ErrUnauthorized, ErrUnsupported for a security scheme that Redis can't carry,
// ErrRefused for a database that does not exist, a network error where no server
// answers within Options.Timeout.
func NewProducer(serverURL string, bindings *ServerBindings, options *Options) (*Producer, error) {
	n, l, err := connect(serverURL, options)
	if err != nil {
		return nil, err
	}
	return &Producer{network: n, sender: newSender(n, l), publishers: map[*Publisher]struct{}{}}, nil
}

// Native gives a client of the library, with connections of its own. It stops
// working at Close.
func (p *Producer) Native() *redis.Client { return p.network.client }

// Publisher opens a channel for sending. Errors: ErrUnsupported for bindings
// that Pub/Sub can't honour, ErrClosed.
func (p *Producer) Publisher(ctx context.Context, address string, bindings *ChannelBindings) (*Publisher, error) {
	err := ctx.Err()
	if err == nil {
		err = channel(address, bindings)
	}
	if err == nil && bindings != nil && bindings.Pattern {
		err = fmt.Errorf("%w: x-pattern: a message is published to one channel", ErrUnsupported)
	}
	pub := &Publisher{producer: p, channel: address}
	pub.stop, pub.stopNow = context.WithCancelCause(p.network.stop)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		err = ErrClosed
	}
	if err != nil {
		pub.stopNow(ErrClosed)
		return nil, fmt.Errorf("redis: open %q for sending: %w", address, err)
	}
	p.publishers[pub] = struct{}{}
	return pub, nil
}

// channel checks what both sides need.
func channel(address string, bindings *ChannelBindings) error {
	operation := bindings.operation()
	switch {
	case address == "":
		return errors.New("the address is empty")
	case bindings != nil && bindings.MaxLen != nil:
		return fmt.Errorf("%w: x-maxLen: Pub/Sub keeps no messages", ErrUnsupported)
	case operation.Group != "":
		return fmt.Errorf("%w: x-group: Pub/Sub has no groups", ErrUnsupported)
	case operation.Consumer != "":
		return fmt.Errorf("%w: x-consumer: Pub/Sub has no groups", ErrUnsupported)
	}
	return nil
}

// Close closes the Publishers and then the connection. It waits for each Send
// under way, at most Options.Timeout.
func (p *Producer) Close() error {
	p.mu.Lock()
	p.closed = true
	var open []*Publisher
	for pub := range p.publishers {
		open = append(open, pub)
	}
	p.mu.Unlock()
	err := closeAll(open)
	p.network.close()
	<-p.sender.ended
	return err
}

// closeAll closes side by side, so that the time-outs do not add up.
func closeAll[T interface{ Close() error }](all []T) error {
	errs := make([]error, len(all))
	var wg sync.WaitGroup
	for i, c := range all {
		wg.Go(func() { errs[i] = c.Close() })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// Publisher sends to a channel. It is safe for concurrent use.
type Publisher struct {
	producer *Producer
	channel  string
	stop     context.Context // done when Close has waited long enough
	stopNow  context.CancelCauseFunc

	mu     sync.Mutex
	closed bool
	sends  sync.WaitGroup
}

// Send returns nil when the server has passed every envelope on to those who
// listen, be it nobody. Envelopes keep their order. While the server can't be
// reached Send tries again, until ctx ends or, where ctx has no deadline,
// Options.Timeout; a message whose confirmation was lost is then sent twice.
//
// Where some of several envelopes fail, errors.As gives SendErrors. Errors:
// ErrTooLarge, ErrUnsupported for headers and content types, which Pub/Sub has
// no place for, ErrUnauthorized, ErrRefused, ErrClosed, or ctx's error with the
// cause of the delay. After ctx's error the message may still arrive.
func (p *Publisher) Send(ctx context.Context, envelopes ...*EnvelopeOut) error {
	if err := p.send(ctx, envelopes); err != nil {
		return fmt.Errorf("redis: send to %q: %w", p.channel, err)
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

	if _, bounded := ctx.Deadline(); !bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, p.producer.network.options.Timeout)
		defer cancel()
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(p.stop, func() { cancel(ErrClosed) })()

	errs := make(SendErrors, len(envelopes))
	messages := make([]*message, len(envelopes))
	for i, e := range envelopes {
		messages[i], errs[i] = p.message(ctx, e)
	}
	p.producer.sender.enqueue(messages)
	failed := false
	for i, m := range messages {
		if m != nil {
			errs[i] = p.producer.sender.await(ctx, m)
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

// message copies the payload: a pipeline may outlive the Send that gave up on
// it.
func (p *Publisher) message(ctx context.Context, e *EnvelopeOut) (*message, error) {
	if e == nil {
		return nil, errors.New("the envelope is nil")
	}
	if err := e.check(); err != nil {
		return nil, err
	}
	if most := p.producer.network.options.MaxPayload; len(e.payload) > most {
		return nil, fmt.Errorf("%w: the payload has %d bytes, at most %d are allowed", ErrTooLarge, len(e.payload), most)
	}
	return &message{address: p.channel, payload: bytes.Clone(e.payload), ctx: ctx, done: make(chan error, 1)}, nil
}

// Close waits until each Send under way has its answer, at most
// Options.Timeout, and ends those that have none with ErrClosed.
func (p *Publisher) Close() error {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	done := make(chan struct{})
	go func() {
		p.sends.Wait()
		close(done)
	}()
	timeout := p.producer.network.options.Timeout
	var err error
	select {
	case <-done:
	case <-time.After(timeout):
		err = fmt.Errorf("redis: close %q: sends without an answer after %v", p.channel, timeout)
	}
	p.stopNow(ErrClosed)
	<-done
	p.producer.mu.Lock()
	delete(p.producer.publishers, p)
	p.producer.mu.Unlock()
	return err
}
