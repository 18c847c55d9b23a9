package goredis

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// subscription is a confirmed one, on a connection of its own.
type subscription struct {
	*link
	pubsub *redis.PubSub
	began  time.Time
	// waiting is since when nothing has come, 0 while nobody listens because a
	// handler is busy.
	waiting atomic.Int64
}

// fatal is why a reader has ended.
type fatal struct {
	done  chan struct{}
	cause error // set before done is closed
}

func (f *fatal) err() error {
	select {
	case <-f.done:
		return f.cause
	default:
		return nil
	}
}

// start subscribes and begins to read.
func (s *Subscriber) start(ctx context.Context) error {
	sub, err := s.subscribe(ctx)
	if err != nil {
		return err
	}
	s.ended = &fatal{done: make(chan struct{})}
	ended := s.ended
	s.readers.Go(func() {
		if ended.cause = s.read(sub); ended.cause != nil {
			close(ended.done)
		}
	})
	return nil
}

func (s *Subscriber) subscribe(ctx context.Context) (*subscription, error) {
	ctx, cancel := context.WithTimeout(ctx, s.network.options.Timeout)
	defer cancel()
	defer context.AfterFunc(s.closing, cancel)()
	l, err := s.network.dial(ctx)
	if err != nil {
		return nil, err
	}
	sub := &subscription{link: l, pubsub: l.client.Subscribe(ctx), began: time.Now()}
	err = l.during(ctx, func(ctx context.Context) error {
		subscribe := sub.pubsub.Subscribe
		if s.pattern {
			subscribe = sub.pubsub.PSubscribe
		}
		if err := subscribe(ctx, s.channel); err != nil {
			return err
		}
		// The library returns before the server has confirmed, or refused.
		answer, err := sub.next(ctx)
		if _, confirmed := answer.(*redis.Subscription); err == nil && !confirmed {
			err = fmt.Errorf("the server answered with %v", answer)
		}
		return err
	})
	if err != nil {
		sub.close()
		return nil, err
	}
	return sub, nil
}

func (sub *subscription) close() {
	sub.link.close()
	_ = sub.pubsub.Close()
}

// next reads what comes next. The library asserts the types of what the server
// sends, hence the recover.
func (sub *subscription) next(ctx context.Context) (answer any, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("unreadable answer: %v", v)
		}
	}()
	sub.waiting.Store(time.Now().UnixNano())
	answer, err = sub.pubsub.Receive(ctx)
	sub.waiting.Store(0)
	return answer, err
}

// read hands over what comes, on one connection after the other, until Close or
// what can't heal.
func (s *Subscriber) read(sub *subscription) error {
	health := s.network.health()
	defer health.end()
	for {
		err := s.drain(sub)
		lasted := time.Since(sub.began)
		for attempt := 0; s.closing.Err() == nil; attempt++ {
			health.report(err)
			if final(err) {
				return err
			}
			if attempt > 0 || lasted < s.network.options.MaxBackoff {
				sleep(s.closing, s.network.options.backoff(attempt))
			}
			if sub, err = s.subscribe(s.closing); err == nil {
				break
			}
		}
		if s.closing.Err() != nil {
			if err == nil {
				sub.close()
			}
			return nil
		}
		health.report(nil)
	}
}

// drain hands over what comes until the connection ends. Nothing is read ahead
// of the handlers: what they are not ready for waits at the server.
func (s *Subscriber) drain(sub *subscription) error {
	defer sub.close()
	defer context.AfterFunc(s.closing, sub.link.close)()
	ctx, cancel := context.WithCancel(s.closing)
	defer cancel()
	silent := make(chan struct{})
	s.readers.Go(func() { sub.watch(ctx, s.network.options.KeepAlive, silent) })
	for {
		answer, err := sub.next(ctx)
		if err != nil {
			select {
			case <-silent:
				err = fmt.Errorf("nothing was heard for %v: %w", 2*s.network.options.KeepAlive, err)
			default:
			}
			return err
		}
		m, ok := answer.(*redis.Message)
		if !ok {
			continue
		}
		select {
		case s.messages <- newEnvelopeIn(m):
		case <-s.closing.Done():
			return errors.New("closed")
		}
	}
}

// watch pings the server and closes a connection on which nothing comes back.
func (sub *subscription) watch(ctx context.Context, interval time.Duration, silent chan struct{}) {
	for sleep(ctx, interval) {
		since := sub.waiting.Load()
		if since != 0 && time.Since(time.Unix(0, since)) >= 2*interval {
			close(silent)
			sub.link.close()
			return
		}
		_ = sub.pubsub.Ping(ctx)
	}
}
