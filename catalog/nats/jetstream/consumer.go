package jetstream

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Consumer is the connection to a server that Subscribers receive over. It is
// safe for concurrent use.
type Consumer struct {
	connection *connection
	streams    jetstream.JetStream
	opening    chan struct{} // held by the Receive that subscribes
	confirmed  uint64        // of opening: the last connection that confirm was for

	mu          sync.Mutex
	closed      bool
	subscribers map[*Subscriber]struct{}
	sessions    map[*session]struct{}
}

// NewConsumer reaches a server and logs in, as NewProducer does.
func NewConsumer(serverURL string, bindings *ServerBindings, options *Options) (*Consumer, error) {
	n, err := connect(serverURL, options.withDefaults())
	if err != nil {
		return nil, err
	}
	js, err := jetstream.New(n.nats, jetstream.WithDefaultTimeout(n.options.Timeout))
	if err != nil {
		n.close()
		return nil, fmt.Errorf("nats: connect to %s: %w", serverURL, err)
	}
	c := &Consumer{connection: n, streams: js, opening: make(chan struct{}, 1), subscribers: map[*Subscriber]struct{}{}, sessions: map[*session]struct{}{}}
	n.mu.Lock()
	n.denied = c.denied
	n.mu.Unlock()
	return c, nil
}

// Native gives the library's JetStream, which stops working at Close.
func (c *Consumer) Native() jetstream.JetStream { return c.streams }

// Subscriber opens a subject, which may have the wildcards * and >, for
// receiving, and creates a stream where none has it. With a queue in the
// bindings it reads the durable consumer of that name, which it creates where it
// is missing, from the stream's first message on; all who read it share the
// messages. Without one it gets every message that is sent after Subscriber has
// returned.
//
// Errors: as those of Publisher, and ErrRefused where the durable is for another
// subject or where several streams have the subject.
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
	s := &Subscriber{consumer: c, subject: address, queue: queue}
	if s.stream, err = c.connection.declareStream(ctx, c.streams, address); err != nil {
		return nil, err
	}
	if s.native, err = c.connection.declareConsumer(ctx, c.streams, s.stream, address, queue); err != nil {
		return nil, err
	}
	s.closing, s.beginClose = context.WithCancel(context.Background())
	s.abandoned, s.abandon = context.WithCancel(context.Background())
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		s.beginClose()
		s.abandon()
		return nil, ErrClosed
	}
	c.subscribers[s] = struct{}{}
	return s, nil
}

// open notes that a session is about to subscribe, which one does at a time.
func (c *Consumer) open(ctx context.Context, r *session) (opened func(), err error) {
	select {
	case c.opening <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	opened = func() { <-c.opening }
	// What a reconnect has restored is refused before this is asked for.
	if c.connection.nats.Stats().Reconnects != c.confirmed {
		if err := c.confirm(ctx); err != nil {
			opened()
			return nil, err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sessions[r] = struct{}{}
	return opened, nil
}

func (c *Consumer) remove(r *session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.sessions, r)
}

// denied ends each Receive whose subscription the server may have refused:
// which one it means is known to the library alone.
func (c *Consumer) denied(refusal error) {
	connected := c.connection.nats.Stats().Reconnects
	c.mu.Lock()
	defer c.mu.Unlock()
	for r := range c.sessions {
		if r.confirmed != int64(connected) {
			r.end(classify(refusal))
		}
	}
}

// confirm returns when the server has had the subscriptions and this side has
// heard of those that it refuses.
func (c *Consumer) confirm(ctx context.Context) error {
	n := c.connection.nats
	connected := n.Stats().Reconnects
	c.mu.Lock()
	asked := slices.Collect(maps.Keys(c.sessions))
	c.mu.Unlock()
	if err := c.connection.flush(ctx); err != nil {
		return err
	}
	if errors.Is(n.LastError(), nats.ErrMaxSubscriptionsExceeded) || n.Stats().Reconnects != connected {
		return nil // the next such error can mean these
	}
	c.confirmed = connected
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range asked {
		r.confirmed = int64(connected)
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

// Subscriber reads a subject of a stream.
type Subscriber struct {
	consumer   *Consumer
	subject    string
	queue      string
	stream     string
	native     jetstream.Consumer
	closing    context.Context // done when Close begins
	beginClose context.CancelFunc
	abandoned  context.Context // done when Close has waited long enough
	abandon    context.CancelFunc

	mu        sync.Mutex
	receiving chan struct{} // closed when the Receive that runs returns
}

// Receive calls handle for each message, at most Options.Concurrency at once; in
// the stream's order, unless there are several or a message comes again. Nil
// from handle settles the message. After an error it comes again, following a
// back-off and after others. Reject(err) settles it too: it does not come again.
//
// While a handler runs, and while a message waits for one, the server is told
// so: there is no time limit. handle's context ends with ctx. Its panic is
// Receive's; the message comes again.
//
// Receive returns ctx's error when ctx ends and ErrClosed after Close, both as
// soon as the handlers that run have returned and are settled; what had come and
// was not handled goes back to the server. It reconnects for ever; what can't
// heal ends it: ErrUnauthorized, ErrRefused when the server takes no more
// subscriptions, ErrNotFound when the stream or the durable was deleted. One Receive runs at a time; a new one goes on where the last one
// ended.
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

	session := newSession(s, handle)
	err := session.run(ctx)
	if session.panicked != nil {
		panic(session.panicked)
	}
	switch {
	case ctx.Err() != nil:
		err = ctx.Err()
	case s.closing.Err() != nil:
		err = ErrClosed
	}
	return fmt.Errorf("nats: receive from %q: %w", s.subject, classify(err))
}

// Close ends Receive and waits until the handlers that run have returned and
// are settled, at most Options.Timeout; then their contexts end, their messages
// go back to the server, and the error says so.
func (s *Subscriber) Close() error {
	s.consumer.mu.Lock()
	_, open := s.consumer.subscribers[s]
	delete(s.consumer.subscribers, s)
	s.consumer.mu.Unlock()
	c := s.consumer.connection
	s.mu.Lock()
	s.beginClose()
	running := s.receiving
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), c.options.Timeout)
	defer cancel()
	var err error
	if running != nil {
		select {
		case <-running:
		case <-ctx.Done():
			err = fmt.Errorf("nats: close %q: a handler still runs after %v", s.subject, c.options.Timeout)
		}
	}
	s.abandon()
	if open && s.queue == "" {
		// Nobody else knows it. Where this fails the server removes it later.
		_, remove := aside(ctx, c, func() (struct{}, error) {
			return struct{}{}, s.consumer.streams.DeleteConsumer(ctx, s.stream, s.native.CachedInfo().Name)
		})
		if remove != nil && !errors.Is(remove, jetstream.ErrConsumerNotFound) {
			c.options.Logger.Info("nats: the Subscriber's consumer stays for a while", "subject", s.subject, "error", remove)
		}
	}
	return err
}
