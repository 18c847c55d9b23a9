package goredis

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// Consumer opens Subscribers, each with a connection of its own. It is safe for
// concurrent use.
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
	l.close() // the Subscribers' connections can do nothing else
	return &Consumer{network: n, subscribers: map[*Subscriber]struct{}{}}, nil
}

// Native gives a client of the library, with connections of its own. It stops
// working at Close.
func (c *Consumer) Native() *redis.Client { return c.network.client }

// Subscriber subscribes to a channel or, with x-pattern in the bindings, to all
// channels that match. When it returns the server has confirmed: what is
// published from then on comes, and waits for Receive.
//
// Errors: ErrUnsupported for bindings that Pub/Sub can't honour, ErrUnauthorized
// where the user may not read the channel, ErrClosed, a network error.
func (c *Consumer) Subscriber(ctx context.Context, address string, bindings *ChannelBindings) (*Subscriber, error) {
	s := &Subscriber{
		consumer: c, network: c.network, channel: address, pattern: bindings != nil && bindings.Pattern,
		messages: make(chan *EnvelopeIn), back: make(chan *EnvelopeIn, c.network.options.Concurrency),
	}
	s.closing, s.beginClose = context.WithCancel(c.network.stop)
	s.abandoned, s.abandon = context.WithCancel(context.Background())
	err := channel(address, bindings)
	if err == nil {
		err = s.start(ctx)
	}
	c.mu.Lock()
	closed := c.closed
	if err == nil && !closed {
		c.subscribers[s] = struct{}{}
	}
	c.mu.Unlock()
	if closed {
		err = ErrClosed
	}
	if err != nil {
		s.release()
		return nil, fmt.Errorf("redis: open %q for receiving: %w", address, classify(err))
	}
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

// Subscriber receives from a channel.
type Subscriber struct {
	consumer *Consumer
	network  *network
	channel  string
	pattern  bool

	closing    context.Context // done when Close begins
	beginClose context.CancelFunc
	abandoned  context.Context // done when Close has waited long enough
	abandon    context.CancelFunc

	messages chan *EnvelopeIn // from the reader, which waits for a handler
	back     chan *EnvelopeIn // taken when Receive ended, for the next one
	readers  sync.WaitGroup

	mu        sync.Mutex
	receiving chan struct{} // closed when the Receive that runs returns
	ended     *fatal        // of the reader that runs or ran
}

// Receive calls handle for each message, in order where Options.Concurrency is
// 1. Redis does not keep messages: one whose handler returned an error is
// logged and does not come again, with Reject or without.
//
// handle's context ends with ctx. Its panic is Receive's.
//
// Receive returns ctx's error when ctx ends and ErrClosed after Close, both as
// soon as the handlers that run have returned. It reconnects for ever; what
// can't heal ends it: ErrUnauthorized. One Receive runs at a time; the
// subscription stays between two, and messages wait.
func (s *Subscriber) Receive(ctx context.Context, handle func(context.Context, *EnvelopeIn) error) error {
	err := ctx.Err()
	if err == nil {
		err = s.receive(ctx, handle)
	}
	return fmt.Errorf("redis: receive from %q: %w", s.channel, classify(err))
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
	s.receiving = done
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.receiving = nil
		s.mu.Unlock()
		close(done)
	}()

	work, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	defer context.AfterFunc(s.closing, func() { stop(ErrClosed) })()
	if s.ended.err() != nil {
		if err := s.start(work); err != nil {
			stop(err)
			return s.why(ctx, work)
		}
	}
	handlers, end := context.WithCancel(ctx)
	defer end()
	defer context.AfterFunc(s.abandoned, end)()
	r := &round{subscriber: s, handle: handle, handlers: handlers, work: work, stop: stop}
	var workers sync.WaitGroup
	for range s.network.options.Concurrency {
		workers.Go(r.run)
	}
	workers.Wait()
	if r.panicked != nil {
		panic(r.panicked)
	}
	return s.why(ctx, work)
}

// why tells what ended a Receive.
func (s *Subscriber) why(ctx, work context.Context) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return context.Cause(work)
}

// round is what the workers of one Receive have in common.
type round struct {
	subscriber *Subscriber
	handle     func(context.Context, *EnvelopeIn) error
	handlers   context.Context // what handlers get
	work       context.Context // no new handler after it is done
	stop       context.CancelCauseFunc

	mu       sync.Mutex
	panicked any
}

func (r *round) run() {
	s := r.subscriber
	for r.work.Err() == nil {
		var e *EnvelopeIn
		select {
		case e = <-s.back:
		default:
			select {
			case e = <-s.messages:
			case <-r.work.Done():
				return
			case <-s.ended.done:
				r.stop(s.ended.err())
				return
			}
		}
		if r.work.Err() != nil {
			s.back <- e
			return
		}
		if err := r.call(e); err != nil {
			what := "redis: handler failed, the message is lost"
			if rejected(err) {
				what = "redis: message rejected"
			}
			s.network.options.Logger.Warn(what, "channel", e.Address(), "error", err)
		}
	}
}

// call keeps a panic for Receive, which runs in the caller's goroutine.
func (r *round) call(e *EnvelopeIn) error {
	returned := false
	defer func() {
		if returned {
			return
		}
		v := recover()
		if v == nil {
			v = "redis: the handler called runtime.Goexit"
		}
		r.mu.Lock()
		if r.panicked == nil {
			r.panicked = v
		}
		r.mu.Unlock()
		r.stop(errors.New("the handler panicked"))
	}()
	err := r.handle(r.handlers, e)
	returned = true
	return err
}

// Close ends Receive and the subscription, and waits until the handlers that
// run have returned, at most Options.Timeout; then their contexts end and the
// error says so. Messages that no handler has are dropped.
func (s *Subscriber) Close() error {
	s.mu.Lock()
	s.beginClose()
	running := s.receiving
	s.mu.Unlock()
	var err error
	if running != nil {
		select {
		case <-running:
		case <-time.After(s.network.options.Timeout):
			err = fmt.Errorf("redis: close %q: a handler still runs after %v", s.channel, s.network.options.Timeout)
		}
	}
	s.release()
	s.consumer.mu.Lock()
	delete(s.consumer.subscribers, s)
	s.consumer.mu.Unlock()
	return err
}

func (s *Subscriber) release() {
	s.beginClose()
	s.abandon()
	s.readers.Wait()
}
