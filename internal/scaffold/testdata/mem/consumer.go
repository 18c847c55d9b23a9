package mem

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Consumer is a hub's owner. It is safe for concurrent use.
type Consumer struct {
	hub     *hub
	host    string
	options Options

	mu     sync.Mutex
	subs   []*Subscriber
	closed bool
}

// NewConsumer listens on the name in the URL, on a free one for "mem://".
func NewConsumer(serverURL string, _ *ServerBindings, options *Options) (*Consumer, error) {
	host := ""
	var err error
	if serverURL != "mem://" {
		if host, err = address(serverURL); err != nil {
			return nil, err
		}
	}
	c := &Consumer{options: options.withDefaults()}
	if err := c.options.check(); err != nil {
		return nil, err
	}
	c.hub, c.host, err = listen(host)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// URL is what a Producer must be given to reach the consumer.
func (c *Consumer) URL() string { return "mem://" + c.host }

// Subscriber receives what is sent to an address from now on.
func (c *Consumer) Subscriber(ctx context.Context, address string, _ *ChannelBindings) (*Subscriber, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, fmt.Errorf("mem: subscribe to %q: %w", address, ErrClosed)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s := &Subscriber{consumer: c, address: address, changed: make(chan struct{}), done: make(chan struct{})}
	c.subs = append(c.subs, s)
	c.hub.join(address, s)
	return s, nil
}

// Close closes the subscribers and gives the name up.
func (c *Consumer) Close() error {
	c.mu.Lock()
	c.closed = true
	subs := c.subs
	c.mu.Unlock()
	unlisten(c.host, c.hub)
	for _, s := range subs {
		_ = s.Close()
	}
	return nil
}

// Subscriber receives from one address.
type Subscriber struct {
	consumer *Consumer
	address  string
	busy     sync.WaitGroup // handlers
	once     sync.Once
	done     chan struct{} // closed by Close

	mu        sync.Mutex
	queue     []message
	changed   chan struct{} // closed when the queue grows
	receiving bool
}

func (s *Subscriber) put(messages ...message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = append(s.queue, messages...)
	s.wake()
}

// back returns a message whose handler failed to where it came from.
func (s *Subscriber) back(m message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = append([]message{m}, s.queue...)
	s.wake()
}

func (s *Subscriber) wake() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// take gives the next message and counts its handler as running.
func (s *Subscriber) take(ctx context.Context) (message, error) {
	for {
		s.mu.Lock()
		switch {
		case isClosed(s.done):
			s.mu.Unlock()
			return message{}, ErrClosed
		case ctx.Err() != nil:
			s.mu.Unlock()
			return message{}, ctx.Err()
		case len(s.queue) > 0:
			m := s.queue[0]
			s.queue = s.queue[1:]
			s.busy.Add(1)
			s.mu.Unlock()
			return m, nil
		}
		changed := s.changed
		s.mu.Unlock()
		select {
		case <-changed:
		case <-s.done:
		case <-ctx.Done():
		}
	}
}

// Receive hands messages to handle. A message whose handler failed comes again
// after a pause, before those after it.
func (s *Subscriber) Receive(ctx context.Context, handle func(context.Context, *EnvelopeIn) error) error {
	s.mu.Lock()
	if s.receiving {
		s.mu.Unlock()
		return errors.New("mem: another Receive is running")
	}
	s.receiving = true
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.receiving = false
		s.mu.Unlock()
	}()

	inner, stop := context.WithCancel(ctx)
	defer stop()
	var group sync.WaitGroup
	var once sync.Once
	var result error
	var panicked any
	for i := 0; i < s.consumer.options.Concurrency; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			err, p := s.work(inner, handle)
			once.Do(func() { result, panicked = err, p })
			stop()
		}()
	}
	group.Wait()
	if panicked != nil {
		panic(panicked)
	}
	return result
}

// work handles messages until it cannot go on, or a handler panics.
func (s *Subscriber) work(ctx context.Context, handle func(context.Context, *EnvelopeIn) error) (err error, panicked any) {
	for attempt := 0; ; {
		m, err := s.take(ctx)
		if err != nil {
			return err, nil
		}
		err, panicked = s.handle(ctx, m, handle)
		switch {
		case panicked != nil:
			return nil, panicked
		case err == nil:
			attempt = 0
			continue
		}
		select {
		case <-time.After(s.consumer.options.backoff(attempt)):
		case <-s.done:
		case <-ctx.Done():
		}
		attempt++
	}
}

func (s *Subscriber) handle(ctx context.Context, m message, handle func(context.Context, *EnvelopeIn) error) (err error, panicked any) {
	defer s.busy.Done()
	defer func() {
		if panicked = recover(); panicked != nil || err != nil {
			s.back(m)
		}
	}()
	err = handle(ctx, newEnvelopeIn(m))
	if rejected(err) {
		s.consumer.options.Logger.Warn("mem: rejected", "address", s.address, "error", err)
		err = nil
	}
	return err, nil
}

// Close makes Receive return ErrClosed and waits for the handlers in flight, no
// longer than Options.Timeout.
func (s *Subscriber) Close() error {
	s.once.Do(func() {
		close(s.done)
		s.consumer.hub.leave(s.address, s)
	})
	idle := make(chan struct{})
	go func() { s.busy.Wait(); close(idle) }()
	select {
	case <-idle:
	case <-time.After(s.consumer.options.Timeout):
	}
	return nil
}
