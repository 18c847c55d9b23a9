package std

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// Consumer opens Subscribers: one for all connections that come or, with
// RoleDial, each with a connection of its own. It is safe for concurrent use.
type Consumer struct {
	side *side

	mu          sync.Mutex
	closed      bool
	subscribers map[*Subscriber]struct{}
}

// NewConsumer listens at host:port, tcp://host:port or, for TLS,
// tls://host:port, at a free port for port 0. Who connects before there is a
// Subscriber waits. With RoleDial it reaches nobody yet. Errors: as those of
// NewProducer, and a network error where it can't listen.
func NewConsumer(serverURL string, bindings *ServerBindings, options *Options) (*Consumer, error) {
	s, err := newSide(serverURL, options, RoleListen)
	if err != nil {
		return nil, err
	}
	return &Consumer{side: s, subscribers: map[*Subscriber]struct{}{}}, nil
}

// URL is where it listens: what a Producer needs to reach it.
func (c *Consumer) URL() string { return c.side.url() }

// Native gives the connections that are open.
func (c *Consumer) Native() []net.Conn {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []net.Conn
	for s := range c.subscribers {
		all = append(all, native(s.channel)...)
	}
	return all
}

// Subscriber lets peers in. There is one at a time: ErrRefused for a second. The
// address means nothing on the wire: it names the channel in errors and to the
// Logger. With RoleDial it dials, as Publisher does.
func (c *Consumer) Subscriber(ctx context.Context, address string, bindings *ChannelBindings) (*Subscriber, error) {
	fail := func(err error) (*Subscriber, error) {
		return nil, fmt.Errorf("tcp: open %q for receiving: %w", address, err)
	}
	c.mu.Lock()
	closed := c.closed
	c.mu.Unlock()
	if closed {
		return fail(ErrClosed)
	}
	channel, err := c.side.open(ctx, address, true)
	if err != nil {
		return fail(err)
	}
	s := &Subscriber{consumer: c, channel: channel}
	s.closing, s.beginClose = context.WithCancel(context.Background())
	s.abandoned, s.abandon = context.WithCancel(context.Background())
	c.mu.Lock()
	if closed = c.closed; !closed {
		c.subscribers[s] = struct{}{}
	}
	c.mu.Unlock()
	if closed {
		s.release(time.Now())
		return fail(ErrClosed)
	}
	return s, nil
}

// Close closes the Subscribers and ends listening. It waits for the handlers
// that run, at most Options.Timeout.
func (c *Consumer) Close() error {
	c.mu.Lock()
	c.closed = true
	var open []*Subscriber
	for s := range c.subscribers {
		open = append(open, s)
	}
	c.mu.Unlock()
	err := closeAll(open)
	c.side.close()
	return err
}

// Subscriber receives what its peers send.
type Subscriber struct {
	consumer   *Consumer
	channel    *channel
	closing    context.Context // done when Close begins
	beginClose context.CancelFunc
	abandoned  context.Context // done when Close has waited long enough
	abandon    context.CancelFunc

	mu        sync.Mutex
	receiving chan struct{} // closed when the Receive that runs returns
}

// Publisher sends on the Subscriber's own connections: to the peer it has
// dialled, or to all that have dialled. It ends with the Subscriber.
func (s *Subscriber) Publisher() *Publisher { return newPublisher(s.channel, nil) }

// Receive calls handle for each message, in order for each connection, and at
// most Options.Concurrency at once. Nothing can come again: an error of handle,
// and what Reject made of it, is logged. While no Receive runs messages wait,
// Options.Queue of them; then their senders do.
//
// handle's context ends with ctx. Its panic is Receive's.
//
// Receive returns ctx's error when ctx ends and ErrClosed after Close, both as
// soon as the handlers that run have returned. With RoleDial it dials again for
// ever; what can't heal ends it: a certificate that either side does not
// accept. One Receive runs at a time; a new one goes on where the last one
// ended.
func (s *Subscriber) Receive(ctx context.Context, handle func(context.Context, *EnvelopeIn) error) error {
	err := s.receive(ctx, handle)
	return fmt.Errorf("tcp: receive from %q: %w", s.channel.address, err)
}

func (s *Subscriber) receive(ctx context.Context, handle func(context.Context, *EnvelopeIn) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	if s.closing.Err() != nil {
		s.mu.Unlock()
		return ErrClosed
	}
	if s.receiving != nil {
		s.mu.Unlock()
		return errors.New("another Receive runs on this Subscriber")
	}
	done := make(chan struct{})
	s.receiving = done
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.receiving = nil
		s.mu.Unlock()
		close(done)
	}()
	handlers, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.abandoned, cancel)()
	active, stop := context.WithCancel(ctx)
	defer stop()
	defer context.AfterFunc(s.closing, stop)()
	s.run(active, stop, func(e *EnvelopeIn) {
		defer e.peer.done()
		s.settle(handle(handlers, e))
	})
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case s.closing.Err() != nil:
		return ErrClosed
	}
	s.channel.mu.Lock()
	defer s.channel.mu.Unlock()
	return s.channel.failed
}

// run has the messages taken by Options.Concurrency workers; one alone is this
// goroutine. A panic is the caller's.
func (s *Subscriber) run(active context.Context, stop func(), take func(*EnvelopeIn)) {
	if s.channel.options.Concurrency == 1 {
		s.work(active, take)
		return
	}
	var workers sync.WaitGroup
	var panicked any
	var once sync.Once
	for range s.channel.options.Concurrency {
		workers.Add(1)
		go func() {
			defer workers.Done()
			returned := false
			defer func() {
				if returned {
					return
				}
				v := recover()
				if v == nil {
					v = "tcp: the handler called runtime.Goexit"
				}
				once.Do(func() { panicked = v })
				stop()
			}()
			s.work(active, take)
			returned = true
		}()
	}
	workers.Wait()
	if panicked != nil {
		panic(panicked)
	}
}

// work takes messages until active ends, or until nothing can come any more.
func (s *Subscriber) work(active context.Context, take func(*EnvelopeIn)) {
	c := s.channel
	for active.Err() == nil {
		select {
		case e := <-c.incoming:
			take(e)
			continue
		default:
		}
		select {
		case e := <-c.incoming:
			take(e)
		case <-active.Done():
		case <-c.failing:
			if len(c.incoming) == 0 {
				return
			}
		}
	}
}

func (s *Subscriber) settle(err error) {
	switch {
	case err == nil:
	case rejected(err):
		s.channel.log().Warn("tcp: message rejected", "error", err)
	default:
		s.channel.log().Warn("tcp: handler failed, the message does not come again", "error", err)
	}
}

// Close ends Receive and waits until the handlers that run have returned, at
// most Options.Timeout; then their contexts end and the error says so. Then the
// connections end. Messages that no handler had yet are dropped; Options.Logger
// is told how many.
func (s *Subscriber) Close() error {
	s.mu.Lock()
	s.beginClose()
	running := s.receiving
	s.mu.Unlock()
	s.consumer.side.leave(s.channel)
	until := time.Now().Add(s.channel.options.Timeout)
	var err error
	if running != nil {
		select {
		case <-running:
		case <-time.After(s.channel.options.Timeout):
			err = fmt.Errorf("tcp: close %q: a handler still runs after %v", s.channel.address, s.channel.options.Timeout)
		}
	}
	s.release(until)
	s.consumer.mu.Lock()
	delete(s.consumer.subscribers, s)
	s.consumer.mu.Unlock()
	return err
}

func (s *Subscriber) release(until time.Time) {
	s.beginClose()
	s.abandon()
	s.consumer.side.leave(s.channel)
	s.channel.close(until)
}
