package streadway

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	amqp "github.com/streadway/amqp"
)

// Consumer is the connection to a server that Subscribers receive over. It is
// safe for concurrent use.
type Consumer struct {
	links *links

	mu          sync.Mutex
	closed      bool
	subscribers map[*Subscriber]struct{}

	replying sync.Mutex
	replies  map[string]*replies // by vhost
}

// NewConsumer reaches the server and logs in, as NewProducer does.
func NewConsumer(serverURL string, bindings *ServerBindings, options *Options) (*Consumer, error) {
	l, err := connect(serverURL, options.withDefaults())
	if err != nil {
		return nil, err
	}
	return &Consumer{links: newLinks(l), subscribers: map[*Subscriber]struct{}{}, replies: map[string]*replies{}}, nil
}

// Native gives the library's connection, nil during an outage. After one it is
// another.
func (c *Consumer) Native() *amqp.Connection { return c.links.first.native() }

// Subscriber opens a channel for receiving, and declares what it needs. In a
// queue channel it shares the queue's messages with the others that read it. In
// a routingKey channel it gets those that are sent after Subscriber has
// returned, by a queue of its own that the server names and that goes with the
// connection, or by the queue that the bindings name.
//
// Errors: as those of Publisher.
func (c *Consumer) Subscriber(ctx context.Context, address string, bindings *ChannelBindings) (*Subscriber, error) {
	s, err := c.open(ctx, address, bindings)
	if err != nil {
		return nil, fmt.Errorf("amqp: open %q for receiving: %w", address, classify(err))
	}
	return s, nil
}

func (c *Consumer) open(ctx context.Context, address string, bindings *ChannelBindings) (*Subscriber, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	channel, err := bindings.channel(address)
	if err != nil {
		return nil, err
	}
	l, err := c.links.of(ctx, channel.vhost)
	if err != nil {
		return nil, err
	}
	s := &Subscriber{consumer: c, address: address, channel: channel, link: l}
	s.closing, s.beginClose = context.WithCancel(context.Background())
	s.abandoned, s.abandon = context.WithCancel(context.Background())
	ctx, cancel := l.options.bound(ctx)
	defer cancel()
	if err := s.declareFirst(ctx); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, ErrClosed
	}
	c.subscribers[s] = struct{}{}
	return s, nil
}

// declareFirst tries until ctx ends or the server has answered.
func (s *Subscriber) declareFirst(ctx context.Context) error {
	for attempt := 0; ; attempt++ {
		n, err := s.link.get(ctx)
		if err == nil {
			if err = s.declare(ctx, n); err == nil {
				return nil
			}
		}
		if final(err) || ctx.Err() != nil {
			return err
		}
		if !sleep(ctx, s.link.options.backoff(attempt)) {
			return fmt.Errorf("%w: %w", ctx.Err(), err)
		}
	}
}

// Close closes the Subscribers and then the connection. It waits for the
// handlers that run, at most Options.Timeout.
func (c *Consumer) Close() error {
	deadline := time.Now().Add(c.links.first.options.Timeout)
	c.mu.Lock()
	c.closed = true
	var open []*Subscriber
	for s := range c.subscribers {
		open = append(open, s)
	}
	c.mu.Unlock()
	err := closeAll(open)
	c.replying.Lock()
	for _, r := range c.replies {
		r.sender.close(deadline)
		r.link.close(deadline)
		r.sender.work.Wait()
	}
	c.replies = nil
	c.replying.Unlock()
	c.links.close(deadline)
	return err
}

// replies is what Reply sends over: a connection of its own, since a server
// that is short of memory blocks those that send.
type replies struct {
	link   *link
	sender *sender
}

// replier gives what sends the replies to messages that came over a link.
func (c *Consumer) replier(ctx context.Context, l *link) (*sender, error) {
	c.replying.Lock()
	defer c.replying.Unlock()
	if c.replies == nil {
		return nil, ErrClosed
	}
	if r := c.replies[l.vhost]; r != nil {
		return r.sender, nil
	}
	r := &replies{link: newLink(l.server, l.vhost, l.options)}
	if err := r.link.start(ctx); err != nil {
		r.link.close(time.Now())
		return nil, err
	}
	r.sender = newSender(r.link, func(context.Context, *session) error { return nil })
	c.replies[l.vhost] = r
	return r.sender, nil
}

// Subscriber receives from a queue.
type Subscriber struct {
	consumer   *Consumer
	address    string
	channel    channel
	link       *link
	closing    context.Context // done when Close begins
	beginClose context.CancelFunc
	abandoned  context.Context // done when Close has waited long enough
	abandon    context.CancelFunc

	mu        sync.Mutex
	receiving chan struct{} // closed when the Receive that runs returns
	queue     string
	declared  *session        // that queue was declared in
	held      []amqp.Delivery // without acknowledgement: came, and were not handled
}

// declare declares what the channel needs, once in a session for queues that
// go with it.
func (s *Subscriber) declare(ctx context.Context, n *session) error {
	if s.declared == n && s.channel.routed && s.channel.queue.Name == "" {
		return nil
	}
	queue, err := s.channel.declare(ctx, n, true)
	if err == nil {
		s.queue, s.declared = queue, n
	}
	return err
}

// Receive calls handle for each message, at most Options.Concurrency at once;
// with one, in the order of the queue. Nil from handle acknowledges the message.
// After an error it goes back to its place in the queue, following a back-off,
// and comes again, here or to another reader of the queue. Reject(err) takes it
// out of the queue: to the dead letters where the queue has an exchange for
// them.
//
// handle's context ends with ctx. Its panic is Receive's.
//
// Receive returns ctx's error when ctx ends and ErrClosed after Close, both as
// soon as the handlers that run have returned and are settled. It reconnects for
// ever and declares again what the channel needs; what can't heal ends it:
// ErrUnauthorized, ErrNotFound when the queue was deleted. One Receive runs at a
// time; a new one goes on where the last one ended.
func (s *Subscriber) Receive(ctx context.Context, handle func(context.Context, *EnvelopeIn) error) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("amqp: receive from %q: %w", s.address, err)
	}
	s.mu.Lock()
	if s.closing.Err() != nil {
		s.mu.Unlock()
		return fmt.Errorf("amqp: receive from %q: %w", s.address, ErrClosed)
	}
	if s.receiving != nil {
		s.mu.Unlock()
		return fmt.Errorf("amqp: receive from %q: another Receive runs on this Subscriber", s.address)
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
	return fmt.Errorf("amqp: receive from %q: %w", s.address, classify(err))
}

// receive runs one feed after the other until there is no point in another.
func (s *Subscriber) receive(ctx context.Context, handle func(context.Context, *EnvelopeIn) error) error {
	active, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.closing, cancel)()
	o := &s.link.options
	var lockedSince time.Time
	for attempt := 0; ; attempt++ {
		n, err := s.link.get(active)
		if err != nil {
			return err
		}
		f, err := s.consume(active, n, handle)
		if err == nil {
			attempt, lockedSince = 0, time.Time{}
			err = f.run(ctx, active)
			if f.panicked != nil {
				panic(f.panicked)
			}
		}
		if active.Err() != nil {
			return err
		}
		if locked(err) {
			if lockedSince.IsZero() {
				lockedSince = time.Now()
			}
			if time.Since(lockedSince) > 3*o.Heartbeat+o.Timeout {
				return err
			}
		} else if final(err) {
			return err
		}
		if alive(n) {
			o.Logger.Warn("amqp: the channel ended, opening another", "address", s.address, "error", err)
		}
		sleep(active, o.backoff(attempt))
	}
}

// Close ends Receive and waits until the handlers that run have returned and
// are settled, at most Options.Timeout; then their contexts end, the error says
// so, and their messages come again.
func (s *Subscriber) Close() error {
	s.mu.Lock()
	s.beginClose()
	running := s.receiving
	s.mu.Unlock()
	var err error
	if running != nil {
		timeout := s.link.options.Timeout
		select {
		case <-running:
		case <-time.After(timeout):
			err = fmt.Errorf("amqp: close %q: a handler still runs after %v", s.address, timeout)
		}
	}
	s.abandon()
	s.mu.Lock()
	lost := len(s.held)
	s.held = nil
	s.mu.Unlock()
	if lost > 0 {
		err = errors.Join(err, fmt.Errorf("amqp: close %q: %d messages without acknowledgement were not handled", s.address, lost))
	}
	s.consumer.mu.Lock()
	delete(s.consumer.subscribers, s)
	s.consumer.mu.Unlock()
	return err
}
