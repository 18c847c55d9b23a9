package streams

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// Consumer opens Subscribers. It is safe for concurrent use.
type Consumer struct {
	network *network

	mu          sync.Mutex
	closed      bool
	subscribers map[*Subscriber]struct{}
}

// NewConsumer reaches the server and logs in, as NewProducer does.
func NewConsumer(serverURL string, bindings *ServerBindings, options *Options) (*Consumer, error) {
	n, l, err := connect(serverURL, options)
	if err != nil {
		return nil, err
	}
	l.close() // connections are made for Receive
	return &Consumer{network: n, subscribers: map[*Subscriber]struct{}{}}, nil
}

// Native gives a client of the library, with connections of its own. It stops
// working at Close.
func (c *Consumer) Native() *redis.Client { return c.network.client }

// Subscriber opens a stream for reading. With x-group in the bindings it shares
// the stream with the group's other members; a missing group is created, with
// the stream, and begins at the first entry. Without one it gets every entry
// that is added after Subscriber has returned.
//
// Errors: ErrNotFound for what is missing with Options.NoDeclare, ErrRefused
// where the key is no stream, ErrUnsupported for bindings that streams can't
// honour, ErrUnauthorized, ErrClosed, a network error.
func (c *Consumer) Subscriber(ctx context.Context, address string, bindings *ChannelBindings) (*Subscriber, error) {
	operation := bindings.operation()
	s := &Subscriber{
		consumer: c, network: c.network, stream: address, group: operation.Group, name: operation.Consumer,
		ahead: map[string]bool{},
	}
	if s.anonymous = s.name == ""; s.anonymous {
		s.name = rand.Text()
	}
	s.closing, s.beginClose = context.WithCancel(c.network.stop)
	s.abandoned, s.abandon = context.WithCancel(context.Background())
	err := check(address, bindings)
	if err == nil {
		err = s.open(ctx)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		err = ErrClosed
	}
	if err != nil {
		s.beginClose()
		s.abandon()
		return nil, fmt.Errorf("redis: open %q for receiving: %w", address, classify(err))
	}
	c.subscribers[s] = struct{}{}
	return s, nil
}

// Close closes the Subscribers. It waits for the handlers that run, at most
// Options.Timeout.
func (c *Consumer) Close() error {
	c.mu.Lock()
	c.closed = true
	var open []*Subscriber
	for s := range c.subscribers {
		open = append(open, s)
	}
	c.mu.Unlock()
	err := closeAll(open)
	c.network.close()
	return err
}

// Subscriber receives from a stream.
type Subscriber struct {
	consumer  *Consumer
	network   *network
	stream    string
	group     string
	name      string // in the group
	anonymous bool   // the name is used once

	closing    context.Context // done when Close begins
	beginClose context.CancelFunc
	abandoned  context.Context // done when Close has waited long enough
	abandon    context.CancelFunc

	mu        sync.Mutex
	receiving chan struct{} // closed when the Receive that runs returns
	received  bool          // there was one
	left      bool
	// Without a group, position is the last entry up to which all are settled,
	// and ahead are those settled after it.
	position string
	ahead    map[string]bool
}

// Receive calls handle for each entry, in order where Options.Concurrency is 1,
// but for entries taken over from other members. Nil from handle settles the
// entry. After an error the same entry comes again, following a back-off, before
// any other; the group's other members go on meanwhile. Reject(err) settles it
// too: Redis has no dead letters.
//
// handle's context ends with ctx. Its panic is Receive's.
//
// Receive returns ctx's error when ctx ends and ErrClosed after Close, both as
// soon as the handlers that run have returned and are settled. It reconnects
// for ever, and creates a lost group again, from the first entry; what can't heal
// ends it: ErrUnauthorized, ErrRefused, ErrNotFound with Options.NoDeclare. One
// Receive runs at a time; a new one goes on where the last one ended.
func (s *Subscriber) Receive(ctx context.Context, handle func(context.Context, *EnvelopeIn) error) error {
	err := ctx.Err()
	if err == nil {
		err = s.receive(ctx, handle)
	}
	return fmt.Errorf("redis: receive from %q: %w", s.stream, classify(err))
}

func (s *Subscriber) receive(ctx context.Context, handle func(context.Context, *EnvelopeIn) error) error {
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
	s.receiving, s.received = done, true
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
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	return err
}

// Close ends Receive and waits until the handlers that run have returned and
// are settled, at most Options.Timeout; then their contexts end and the error
// says so. Entries that are not settled go to the group's other members.
func (s *Subscriber) Close() error {
	s.mu.Lock()
	s.beginClose()
	running := s.receiving
	leave := s.group != "" && s.received && !s.left
	s.left = true
	s.mu.Unlock()
	timeout := s.network.options.Timeout
	end := time.Now().Add(timeout)
	var err error
	if running != nil {
		select {
		case <-running:
		case <-time.After(timeout):
			err = fmt.Errorf("redis: close %q: a handler still runs after %v", s.stream, timeout)
		}
	}
	s.abandon()
	if leave {
		s.leave(max(time.Until(end), timeout/4))
	}
	s.consumer.mu.Lock()
	delete(s.consumer.subscribers, s)
	s.consumer.mu.Unlock()
	return err
}
