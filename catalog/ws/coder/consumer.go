package coder

import (
	"context"

	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/coder/websocket"
)

// Consumer opens Subscribers: each is all connections that came to its address
// or, with RoleDial, a connection of its own. It is safe for concurrent use.
type Consumer struct {
	side *side

	mu          sync.Mutex
	closed      bool
	subscribers map[*Subscriber]struct{}
}

// NewConsumer listens at ws://host:port[/path], the same with wss for TLS, or
// the bare host:port, at a free port for port 0; the path goes before every
// address. Where serverURL is empty that is left to the server that Handler is
// mounted on. With RoleDial it reaches nobody yet. Errors: as those of
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

// Handler takes handshakes on a server of your own, below the path of
// serverURL. Their connections end with Close, not with that server's
// Shutdown.
func (c *Consumer) Handler() http.Handler { return c.side.handler() }

// Native gives the library's connections that are open.
func (c *Consumer) Native() []*websocket.Conn {
	c.mu.Lock()
	defer c.mu.Unlock()
	var channels []*channel
	for s := range c.subscribers {
		channels = append(channels, s.channel)
	}
	return native(channels)
}

// Subscriber lets peers in at the address, a path in which {name} stands for
// one segment of any name; before, they get status 404. An address takes one
// Subscriber: ErrRefused. With RoleDial it dials, as Publisher does.
func (c *Consumer) Subscriber(ctx context.Context, address string, bindings *ChannelBindings) (*Subscriber, error) {
	c.mu.Lock()
	closed := c.closed
	c.mu.Unlock()
	if closed {
		return nil, fmt.Errorf("ws: open %q for receiving: %w", address, ErrClosed)
	}
	channel, err := c.side.open(ctx, address, bindings, true)
	if err != nil {
		return nil, fmt.Errorf("ws: open %q for receiving: %w", address, err)
	}
	s := &Subscriber{consumer: c, channel: channel}
	s.closing, s.beginClose = context.WithCancel(context.Background())
	s.abandoned, s.abandon = context.WithCancel(context.Background())
	c.mu.Lock()
	closed = c.closed
	if !closed {
		c.subscribers[s] = struct{}{}
	}
	c.mu.Unlock()
	if closed {
		s.release(c.side.goodbye())
		return nil, fmt.Errorf("ws: open %q for receiving: %w", address, ErrClosed)
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

// Subscriber receives at an address.
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
// ever; what can't heal ends it: ErrUnauthorized and other refusals,
// ErrNotFound that lasts longer than Options.Timeout, a close code in
// Options.FinalCodes. One Receive runs at a time; a new one goes on where the
// last one ended.
func (s *Subscriber) Receive(ctx context.Context, handle func(context.Context, *EnvelopeIn) error) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("ws: receive from %q: %w", s.channel.address, err)
	}
	s.mu.Lock()
	if s.closing.Err() != nil {
		s.mu.Unlock()
		return fmt.Errorf("ws: receive from %q: %w", s.channel.address, ErrClosed)
	}
	if s.receiving != nil {
		s.mu.Unlock()
		return fmt.Errorf("ws: receive from %q: another Receive runs on this Subscriber", s.channel.address)
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

	err := s.receive(ctx, handle)
	switch {
	case ctx.Err() != nil:
		err = ctx.Err()
	case s.closing.Err() != nil:
		err = ErrClosed
	}
	return fmt.Errorf("ws: receive from %q: %w", s.channel.address, err)
}

func (s *Subscriber) receive(ctx context.Context, handle func(context.Context, *EnvelopeIn) error) error {
	handlers, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.abandoned, cancel)()
	active, stop := context.WithCancel(ctx)
	defer stop()
	defer context.AfterFunc(s.closing, stop)()
	if s.channel.options.Concurrency == 1 {
		return s.work(active, func(e *EnvelopeIn) { s.settle(handle(handlers, e)) })
	}

	var workers sync.WaitGroup
	var panicked any
	var once sync.Once
	for range s.channel.options.Concurrency {
		workers.Add(1)
		go func() {
			defer workers.Done()
			_ = s.work(active, func(e *EnvelopeIn) {
				returned := false
				defer func() {
					if returned {
						return
					}
					v := recover()
					if v == nil {
						v = "ws: the handler called runtime.Goexit"
					}
					once.Do(func() { panicked = v })
					stop()
				}()
				s.settle(handle(handlers, e))
				returned = true
			})
		}()
	}
	workers.Wait()
	if panicked != nil {
		panic(panicked)
	}
	s.channel.mu.Lock()
	defer s.channel.mu.Unlock()
	return s.channel.failed
}

// work takes messages until active ends, or until nothing can come any more.
func (s *Subscriber) work(active context.Context, take func(*EnvelopeIn)) error {
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
				return c.failed
			}
		}
	}
	return active.Err()
}

func (s *Subscriber) settle(err error) {
	switch {
	case err == nil:
	case rejected(err):
		s.channel.log().Warn("ws: message rejected", "error", err)
	default:
		s.channel.log().Warn("ws: handler failed, the message does not come again", "error", err)
	}
}

// Close ends Receive and waits until the handlers that run have returned, at
// most Options.Timeout; then their contexts end and the error says so. The
// peers are told to go with the close code 1001, with RoleDial 1000. Messages
// that no handler had yet are dropped; Options.Logger is told how many.
func (s *Subscriber) Close() error { return s.shut(s.consumer.side.goodbye()) }

// CloseWith is Close with a close code and reason of one's own.
func (s *Subscriber) CloseWith(code int, reason string) error {
	if err := checkClose(code, reason); err != nil {
		return fmt.Errorf("ws: close %q: %w", s.channel.address, err)
	}
	return s.shut(code, reason)
}

func (s *Subscriber) shut(code int, reason string) error {
	s.mu.Lock()
	s.beginClose()
	running := s.receiving
	s.mu.Unlock()
	s.channel.refuse()
	var err error
	if running != nil {
		select {
		case <-running:
		case <-time.After(s.channel.options.Timeout):
			err = fmt.Errorf("ws: close %q: a handler still runs after %v", s.channel.address, s.channel.options.Timeout)
		}
	}
	s.release(code, reason)
	s.consumer.mu.Lock()
	delete(s.consumer.subscribers, s)
	s.consumer.mu.Unlock()
	return err
}

func (s *Subscriber) release(code int, reason string) {
	s.beginClose()
	s.abandon()
	s.consumer.side.leave(s.channel)
	s.channel.close(code, reason)
}
