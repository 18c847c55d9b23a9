package paho

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/eclipse/paho.golang/paho"
)

// Consumer is where Subscribers come from. It is safe for concurrent use.
//
// Each Subscriber is a client of its own to the server, with a connection and a
// session, so that none of them can hold up the acknowledgements of another.
// The first one has the clientId of the bindings and the connection that
// NewConsumer has made; those beside it have that id with -2, -3 and so on.
type Consumer struct {
	session *session // the first, or what another one is made after

	mu          sync.Mutex
	closed      bool
	unused      *inbox          // of the connection that NewConsumer has made
	ids         map[string]bool // in use
	subscribers map[*Subscriber]struct{}
}

// NewConsumer reaches the server and logs in, as NewProducer does.
func NewConsumer(serverURL string, bindings *ServerBindings, options *Options) (*Consumer, error) {
	s, err := newSession(serverURL, bindings, options)
	if err != nil {
		return nil, err
	}
	c := &Consumer{session: s, unused: newInbox(s), ids: map[string]bool{}, subscribers: map[*Subscriber]struct{}{}}
	if err := s.open(context.Background()); err != nil {
		return nil, fmt.Errorf("mqtt: %w", err)
	}
	return c, nil
}

// Native gives the library's client for the connection that NewConsumer has
// made, nil while it is cut and after its Subscriber was closed.
func (c *Consumer) Native() *paho.Client { return c.session.native() }

// Subscriber subscribes to an address, which may hold the wildcards + and # and
// may begin with $share/group/. It gets what is sent after Subscriber has
// returned, and with cleanSession false also what was sent since the session's
// last connection ended; such a session takes one Subscriber at a time.
//
// Errors: ErrUnauthorized, ErrRefused, ErrUnsupported, ErrClosed.
func (c *Consumer) Subscriber(ctx context.Context, address string, bindings *ChannelBindings) (*Subscriber, error) {
	s, err := c.open(ctx, address, bindings)
	if err != nil {
		return nil, fmt.Errorf("mqtt: open %q for receiving: %w", address, classify(err))
	}
	return s, nil
}

func (c *Consumer) open(ctx context.Context, address string, bindings *ChannelBindings) (*Subscriber, error) {
	operation, err := bindings.operation()
	if err != nil {
		return nil, err
	}
	topic, err := topicFilter(address, operation.Group)
	if err != nil {
		return nil, err
	}
	if operation.Retain || operation.MessageExpiryInterval != nil {
		return nil, fmt.Errorf("%w: operation bindings: retain and messageExpiryInterval are for publishers", ErrUnsupported)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	ctx, cancel := c.session.bounded(ctx)
	defer cancel()
	b, first, err := c.reserve()
	if err != nil {
		return nil, err
	}
	f := filter{topic, operation.qos()}
	if first {
		err = b.session.subscribe(ctx, f)
	} else {
		err = b.session.open(ctx, f)
	}
	s := &Subscriber{consumer: c, session: b.session, inbox: b, address: address}
	s.closing, s.beginClose = context.WithCancel(context.Background())
	s.abandoned, s.abandon = context.WithCancel(context.Background())
	c.mu.Lock()
	closed := c.closed
	switch {
	case err == nil && !closed:
		c.subscribers[s] = struct{}{}
		c.mu.Unlock()
		return s, nil
	case first && !closed:
		c.unused = b
	}
	delete(c.ids, b.session.id)
	c.mu.Unlock()
	if closed && (first || err == nil) {
		b.session.close()
		err = ErrClosed
	}
	return nil, err
}

// reserve gives the connection that NewConsumer has made, or else a session to
// be opened, under a client id that is free.
func (c *Consumer) reserve() (b *inbox, first bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, false, ErrClosed
	}
	if b, c.unused = c.unused, nil; b != nil {
		c.ids[b.session.id] = true
		return b, true, nil
	}
	id := c.session.id
	if c.ids[id] && c.session.persistent() {
		return nil, false, fmt.Errorf("%w: with cleanSession false the session %q takes one Subscriber; make a Consumer with another clientId", ErrUnsupported, id)
	}
	for n := 2; c.ids[id]; n++ {
		if id = c.session.id + "-" + strconv.Itoa(n); c.session.bindings.ClientID == "" {
			id = randomName()
		}
	}
	c.ids[id] = true
	return newInbox(c.session.another(id)), false, nil
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
	unused := c.unused
	c.unused = nil
	c.mu.Unlock()
	err := closeAll(open)
	if unused != nil {
		unused.session.close()
	}
	return err
}

// Subscriber is a subscription.
type Subscriber struct {
	consumer   *Consumer
	session    *session
	inbox      *inbox
	address    string
	closing    context.Context // done when Close begins
	beginClose context.CancelFunc
	abandoned  context.Context // done when Close has waited long enough
	abandon    context.CancelFunc

	mu        sync.Mutex
	receiving chan struct{} // closed when the Receive that runs returns
}

// Native gives the library's client for the connection there is now, nil while
// there is none.
func (s *Subscriber) Native() *paho.Client { return s.session.native() }

// Receive calls handle for each message, in order, or at most
// Options.Concurrency at once. Nil from handle settles the message; it is
// acknowledged when those before it are. After an error the same message comes
// again, following a back-off; with one handler at a time, before any other.
// Reject(err) settles it too: MQTT has no dead letters.
//
// handle's context ends with ctx. Its panic is Receive's.
//
// Receive returns ctx's error when ctx ends and ErrClosed after Close, both as
// soon as the handlers that run have returned and are settled. It reconnects
// for ever; what can't heal ends it: ErrUnauthorized, or ErrRefused when another
// client has taken the client id. One Receive runs at a time; a new one goes on
// where the last one ended.
func (s *Subscriber) Receive(ctx context.Context, handle func(context.Context, *EnvelopeIn) error) error {
	end, err := s.begin(ctx)
	if err != nil {
		return fmt.Errorf("mqtt: receive from %q: %w", s.address, err)
	}
	defer end()
	err = s.receive(ctx, handle)
	switch {
	case ctx.Err() != nil:
		err = ctx.Err()
	case s.closing.Err() != nil:
		err = ErrClosed
	}
	return fmt.Errorf("mqtt: receive from %q: %w", s.address, classify(err))
}

func (s *Subscriber) begin(ctx context.Context) (end func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing.Err() != nil {
		return nil, ErrClosed
	}
	if s.receiving != nil {
		return nil, errors.New("another Receive runs on this Subscriber")
	}
	done := make(chan struct{})
	s.receiving = done
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.receiving = nil
		close(done)
	}, nil
}

// receive hands messages to handlers until there is no point in it, and then
// waits for the handlers.
func (s *Subscriber) receive(ctx context.Context, handle func(context.Context, *EnvelopeIn) error) error {
	s.session.tryAgain()
	active, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.closing, cancel)()
	handling, stop := context.WithCancel(ctx)
	defer stop()
	defer context.AfterFunc(s.abandoned, stop)()

	h := handlers{inbox: s.inbox, handle: handle, active: active, cancel: cancel, ctx: handling, options: &s.session.options}
	free := make(chan struct{}, s.session.options.Concurrency)
	err := func() error {
		for {
			select {
			case free <- struct{}{}:
			case <-active.Done():
				return active.Err()
			}
			d, err := s.next(active)
			if err != nil {
				return err
			}
			h.running.Add(1)
			go func() {
				defer func() { <-free }()
				h.run(d)
			}()
		}
	}()
	cancel()
	h.running.Wait()
	if h.panicked != nil {
		panic(h.panicked)
	}
	return err
}

// next waits for a message.
func (s *Subscriber) next(active context.Context) (*delivery, error) {
	for {
		if err := active.Err(); err != nil {
			return nil, err
		}
		if d := s.inbox.next(); d != nil {
			return d, nil
		}
		changed, failure := s.session.status()
		if failure != nil {
			return nil, failure
		}
		select {
		case <-s.inbox.arrived:
		case <-changed:
		case <-active.Done():
		}
	}
}

// handlers run what Receive was given.
type handlers struct {
	inbox   *inbox
	handle  func(context.Context, *EnvelopeIn) error
	active  context.Context // done when no handler is to start any more
	cancel  context.CancelFunc
	ctx     context.Context // the handlers'
	options *Options
	running sync.WaitGroup

	mu       sync.Mutex
	panicked any
}

// run handles a message until it is settled or no handler is to start.
func (h *handlers) run(d *delivery) {
	defer h.running.Done()
	done := false
	defer func() { h.inbox.release(d, done) }()
	defer func() {
		if p := recover(); p != nil {
			h.mu.Lock()
			defer h.mu.Unlock()
			if h.panicked == nil {
				h.panicked = p
			}
			h.cancel()
		}
	}()
	log := h.options.Logger.With("topic", d.publish.Topic, "session", h.inbox.session.id)
	for attempt := 0; !done; attempt++ {
		err := h.handle(h.ctx, newEnvelopeIn(h.inbox.session, d.publish))
		switch {
		case err == nil:
			done = true
		case rejected(err):
			done = true
			log.Warn("mqtt: message rejected", "error", err)
		default:
			log.Warn("mqtt: handler failed, the message comes again", "error", err, "attempt", attempt+1)
			if !sleep(h.active, h.options.backoff(attempt)) {
				return
			}
		}
	}
}

// Close ends Receive and waits until the handlers that run have returned and
// are settled, at most Options.Timeout; then their contexts end and the error
// says so. With cleanSession false the server keeps what comes from now on, else
// the subscription is gone.
func (s *Subscriber) Close() error {
	s.mu.Lock()
	s.beginClose()
	receiving := s.receiving
	s.mu.Unlock()
	var err error
	if receiving != nil {
		select {
		case <-receiving:
		case <-time.After(s.session.options.Timeout):
			err = fmt.Errorf("mqtt: close %q: a handler still runs after %v", s.address, s.session.options.Timeout)
			s.abandon()
		}
	}
	s.abandon()
	s.session.close()
	s.consumer.mu.Lock()
	defer s.consumer.mu.Unlock()
	if _, open := s.consumer.subscribers[s]; open {
		delete(s.consumer.subscribers, s)
		delete(s.consumer.ids, s.session.id)
	}
	return err
}
