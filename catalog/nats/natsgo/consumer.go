package natsgo

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/nats-io/nats.go"
)

// Consumer is the connection to a server that Subscribers receive over. It is
// safe for concurrent use.
type Consumer struct {
	connection *connection
	opening    chan struct{} // held by the Subscriber that is opened
	confirmed  uint64        // of opening: the last connection that confirm was for

	mu          sync.Mutex
	closed      bool
	subscribers map[*Subscriber]struct{}
}

// NewConsumer reaches a server and logs in, as NewProducer does.
func NewConsumer(serverURL string, bindings *ServerBindings, options *Options) (*Consumer, error) {
	n, err := connect(serverURL, options.withDefaults())
	if err != nil {
		return nil, err
	}
	c := &Consumer{connection: n, opening: make(chan struct{}, 1), subscribers: map[*Subscriber]struct{}{}}
	n.mu.Lock()
	n.denied = c.denied
	n.mu.Unlock()
	return c, nil
}

// Native gives the library's connection, which stops working at Close.
func (c *Consumer) Native() *nats.Conn { return c.connection.nats }

// Subscriber subscribes to a subject, which may have the wildcards * and >, and
// returns when the server has confirmed it: what is sent afterwards comes. With
// a queue in the bindings it shares the messages with the queue group's other
// members, without one it gets all of them.
//
// Errors: ErrUnsupported for a malformed subject, ErrUnauthorized where the
// server does not allow it, ErrRefused where it takes no more subscriptions,
// ErrClosed.
func (c *Consumer) Subscriber(ctx context.Context, address string, bindings *ChannelBindings) (*Subscriber, error) {
	s, err := c.subscribe(ctx, address, bindings)
	if err != nil {
		return nil, fmt.Errorf("nats: open %q for receiving: %w", address, classify(err))
	}
	return s, nil
}

func (c *Consumer) subscribe(ctx context.Context, address string, bindings *ChannelBindings) (*Subscriber, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	queue, err := bindings.queue()
	if err != nil {
		return nil, err
	}
	if err := checkSubject(address, true); err != nil {
		return nil, err
	}
	s := &Subscriber{consumer: c, subject: address, queue: queue, confirmed: -1, messages: make(chan *nats.Msg, handOver), gone: make(chan struct{}), failed: make(chan struct{})}
	s.closing, s.beginClose = context.WithCancel(context.Background())
	s.abandoned, s.abandon = context.WithCancel(context.Background())
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil, ErrClosed
	}
	c.subscribers[s] = struct{}{}
	c.mu.Unlock()

	ctx, cancel := c.connection.bounded(ctx, s.closing)
	defer cancel()
	_, err = persist(ctx, c.connection, func() (struct{}, error) { return struct{}{}, s.subscribe(ctx) })
	if err == nil {
		err = s.failure()
	}
	if s.closing.Err() != nil {
		err = ErrClosed
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// denied ends the Subscribers that the server does not allow, or no more. Which
// one is too many it does not say: it may be each that was not confirmed yet.
func (c *Consumer) denied(refusal error) {
	tooMany, connected := errors.Is(refusal, nats.ErrMaxSubscriptionsExceeded), c.connection.nats.Stats().Reconnects
	c.mu.Lock()
	defer c.mu.Unlock()
	for s := range c.subscribers {
		if tooMany && s.asked && s.confirmed != int64(connected) || !tooMany && s.refusedBy(refusal) {
			s.fail(refusal)
		}
	}
}

// confirm returns when the server has had the subscriptions and this side has
// heard of those that it refuses.
func (c *Consumer) confirm(ctx context.Context) error {
	n := c.connection.nats
	connected := n.Stats().Reconnects
	var asked []*Subscriber
	c.mu.Lock()
	for s := range c.subscribers {
		if s.asked {
			asked = append(asked, s)
		}
	}
	c.mu.Unlock()
	if err := c.connection.flush(ctx); err != nil {
		return err
	}
	if n.Stats().Reconnects != connected {
		return errInterrupted
	}
	if errors.Is(n.LastError(), nats.ErrMaxSubscriptionsExceeded) {
		return nil // not to be told from the next such error
	}
	c.confirmed = connected
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range asked {
		s.confirmed = int64(connected)
	}
	return nil
}

// Close closes the Subscribers and then the connection. It waits for the
// handlers that run, at most Options.Timeout.
func (c *Consumer) Close() error {
	c.mu.Lock()
	c.closed = true
	var open []*Subscriber
	for s := range c.subscribers {
		open = append(open, s)
	}
	c.mu.Unlock()
	err := closeAll(open)
	c.connection.close()
	return err
}

// handOver is how many messages wait between the library and the handlers, so
// that the goroutines need not take turns at each.
const handOver = 64

// Subscriber receives what is sent to a subject.
type Subscriber struct {
	consumer   *Consumer
	subject    string
	queue      string
	messages   chan *nats.Msg // from the library's callback to a handler
	gone       chan struct{}  // closed when the library is to bring no more
	leave      sync.Once
	closing    context.Context // done when Close begins
	beginClose context.CancelFunc
	abandoned  context.Context // done when Close has waited long enough
	abandon    context.CancelFunc

	// Of the Consumer's mu: whether the server was asked to subscribe, and on
	// which connection, counted from 0, it has confirmed that.
	asked     bool
	confirmed int64

	library      sync.Mutex // held while the library is called, which can take long
	subscription *nats.Subscription

	mu        sync.Mutex
	receiving chan struct{} // closed when the Receive that runs returns
	failed    chan struct{} // closed when the server has ended the subscription
	reason    error
}

// subscribe is called again where the connection broke in between: the library
// then restores the subscription, and it has to be confirmed.
func (s *Subscriber) subscribe(ctx context.Context) error {
	c := s.consumer.connection
	select {
	case s.consumer.opening <- struct{}{}:
		defer func() { <-s.consumer.opening }()
	case <-ctx.Done():
		return ctx.Err()
	}
	// What a reconnect has restored is refused before this is asked for.
	if c.nats.Stats().Reconnects != s.consumer.confirmed {
		if err := s.consumer.confirm(ctx); err != nil {
			return err
		}
	}
	s.consumer.mu.Lock()
	s.asked = true
	s.consumer.mu.Unlock()
	s.library.Lock()
	var err error
	if s.closing.Err() == nil && s.subscription == nil {
		s.subscription, err = c.nats.QueueSubscribe(s.subject, s.queue, s.take)
		if err == nil {
			err = s.subscription.SetPendingLimits(c.options.MaxPending, c.options.MaxPendingBytes)
		}
	}
	s.library.Unlock()
	if err != nil {
		return err
	}
	return s.consumer.confirm(ctx)
}

// take is the library's callback. While it waits the library holds what comes.
func (s *Subscriber) take(m *nats.Msg) {
	select {
	case s.messages <- m:
	case <-s.gone:
	}
}

func (s *Subscriber) refusedBy(refusal error) bool {
	_, text, _ := strings.Cut(refusal.Error(), "Subscription to ")
	rest, ok := strings.CutPrefix(text, strconv.Quote(s.subject))
	queue, inQueue := strings.CutPrefix(rest, " using queue ")
	return ok && (inQueue && strings.HasPrefix(queue, strconv.Quote(s.queue)) || !inQueue && s.queue == "")
}

func (s *Subscriber) fail(reason error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reason == nil {
		s.reason = reason
		close(s.failed)
	}
}

func (s *Subscriber) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reason
}

// Receive calls handle for each message, in order, unless Options.Concurrency
// lets several run at once. Core NATS delivers once: after an error, or
// Reject(err), from handle the Logger is told and the next message follows.
//
// handle's context ends with ctx. Its panic is Receive's.
//
// Receive returns ctx's error when ctx ends and ErrClosed after Close, both as
// soon as the handlers that run have returned. It reconnects for ever; what
// can't heal ends it: ErrUnauthorized when the server refuses the credentials
// or the subscription, ErrRefused when it takes no more subscriptions. One Receive runs at a time; a new one goes on where the
// last one ended.
func (s *Subscriber) Receive(ctx context.Context, handle func(context.Context, *EnvelopeIn) error) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("nats: receive from %q: %w", s.subject, err)
	}
	s.mu.Lock()
	if s.closing.Err() != nil {
		s.mu.Unlock()
		return fmt.Errorf("nats: receive from %q: %w", s.subject, ErrClosed)
	}
	if s.receiving != nil {
		s.mu.Unlock()
		return fmt.Errorf("nats: receive from %q: another Receive runs on this Subscriber", s.subject)
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
	return fmt.Errorf("nats: receive from %q: %w", s.subject, classify(err))
}

func (s *Subscriber) receive(ctx context.Context, handle func(context.Context, *EnvelopeIn) error) error {
	active, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	// The handlers live on in Close until it has waited long enough.
	handling, abandon := context.WithCancel(ctx)
	defer abandon()
	defer context.AfterFunc(s.abandoned, abandon)()

	var workers sync.WaitGroup
	var once sync.Once
	var panicked any
	for range s.consumer.connection.options.Concurrency {
		workers.Go(func() {
			defer func() {
				if p := recover(); p != nil {
					once.Do(func() { panicked = p })
					cancel(nil)
				}
			}()
			s.work(handling, active, cancel, handle)
		})
	}
	workers.Wait()
	if panicked != nil {
		panic(panicked)
	}
	return context.Cause(active)
}

func (s *Subscriber) work(ctx, active context.Context, end context.CancelCauseFunc, handle func(context.Context, *EnvelopeIn) error) {
	c := s.consumer.connection
	for active.Err() == nil && s.closing.Err() == nil {
		select {
		case m := <-s.messages:
			err := handle(ctx, newEnvelopeIn(m, c))
			switch {
			case rejected(err):
				c.options.Logger.Warn("nats: a handler rejected a message", "subject", m.Subject, "error", err)
			case err != nil:
				c.options.Logger.Error("nats: a handler failed; the message does not come again", "subject", m.Subject, "error", err)
			}
		case <-s.failed:
			end(s.failure())
		case <-c.ended:
			end(c.state())
		case <-active.Done():
		case <-s.closing.Done():
		}
	}
}

// Close ends Receive and waits until the handlers that run have returned, at
// most Options.Timeout; then their contexts end and the error says so. Messages
// that had come and that no handler has taken are dropped; the Logger is told
// how many.
func (s *Subscriber) Close() error {
	s.consumer.mu.Lock()
	delete(s.consumer.subscribers, s)
	s.consumer.mu.Unlock()
	s.beginClose()
	o := s.consumer.connection.options
	ctx, cancel := context.WithTimeout(context.Background(), o.Timeout)
	defer cancel()
	// First of all, so that the group's other members get what comes.
	s.unsubscribe(ctx)
	s.mu.Lock()
	running := s.receiving
	s.mu.Unlock()
	var err error
	if running != nil {
		select {
		case <-running:
		case <-ctx.Done():
			err = fmt.Errorf("nats: close %q: a handler still runs after %v", s.subject, o.Timeout)
		}
	}
	s.abandon()
	return err
}

func (s *Subscriber) unsubscribe(ctx context.Context) {
	c := s.consumer.connection
	dropped, _ := aside(ctx, c, func() (int, error) {
		s.library.Lock()
		defer s.library.Unlock()
		if s.subscription == nil {
			return 0, nil
		}
		dropped, _, err := s.subscription.Pending()
		if err == nil {
			// It fails where the connection is closed, and with it the
			// subscription.
			err = s.subscription.Unsubscribe()
		}
		return dropped, err
	})
	s.leave.Do(func() {
		close(s.gone)
		if dropped = max(dropped, 0) + len(s.messages); dropped > 0 {
			c.options.Logger.Warn("nats: closed with messages that no handler took", "subject", s.subject, "dropped", dropped)
		}
	})
}
