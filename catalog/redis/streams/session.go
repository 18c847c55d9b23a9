package streams

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// session is one Receive: a reader that asks the server, workers that run the
// handlers, and for a group a keeper that tells the server what is settled and
// what is still in hand. Reader and keeper outlive their connections.
type session struct {
	subscriber *Subscriber
	handle     func(context.Context, *EnvelopeIn) error
	entries    chan entry // from the reader to the workers
	reading    *health    // the reader's

	work     context.Context // no new handler after it is done
	stop     context.CancelCauseFunc
	handlers context.Context // what handlers get

	mu       sync.Mutex
	held     map[string]bool // read and not confirmed as settled
	order    []string        // without a group: what was read, in order
	settled  []string        // and not acknowledged yet
	dirty    chan struct{}
	panicked any
}

func newSession(s *Subscriber, handle func(context.Context, *EnvelopeIn) error) *session {
	return &session{
		subscriber: s, handle: handle, entries: make(chan entry),
		held: map[string]bool{}, dirty: make(chan struct{}, 1),
	}
}

// run returns when ctx or the Subscriber ends or something can't heal: after
// the handlers that run have returned and what they settled is acknowledged.
func (s *session) run(ctx context.Context) error {
	work, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	defer context.AfterFunc(s.subscriber.closing, func() { stop(ErrClosed) })()
	handlers, end := context.WithCancel(ctx)
	defer end()
	defer context.AfterFunc(s.subscriber.abandoned, end)()
	s.work, s.stop, s.handlers = work, stop, handlers

	var working, keeping sync.WaitGroup
	done := make(chan struct{})
	keeper, giveUp := context.WithCancel(context.Background())
	defer giveUp()
	if s.subscriber.group != "" {
		keeping.Go(func() { s.keep(keeper, done) })
	}
	working.Go(s.read)
	for range s.subscriber.network.options.Concurrency {
		working.Go(s.deliver)
	}
	working.Wait()
	close(done)
	defer time.AfterFunc(s.subscriber.network.options.Timeout, giveUp).Stop()
	keeping.Wait()
	return context.Cause(work)
}

// deliver hands entries to the handler, each until it is settled.
func (s *session) deliver() {
	o := s.subscriber.network.options
	for {
		var e entry
		select {
		case e = <-s.entries:
		case <-s.work.Done():
			return
		}
		log := o.Logger.With("stream", s.subscriber.stream, "id", e.id)
		for attempt := 0; ; attempt++ {
			if s.work.Err() != nil {
				return // it is still pending, for the next Receive
			}
			err := s.call(newEnvelopeIn(s.subscriber.stream, e))
			if err == nil {
				break
			}
			if rejected(err) {
				log.Warn("redis: entry rejected", "error", err)
				break
			}
			log.Warn("redis: handler failed, the entry comes again", "error", err)
			sleep(s.work, o.backoff(attempt))
		}
		s.settle(e.id)
	}
}

// call keeps a panic for Receive, which runs in the caller's goroutine.
func (s *session) call(e *EnvelopeIn) (err error) {
	returned := false
	defer func() {
		if returned {
			return
		}
		v := recover()
		if v == nil {
			v = "redis: the handler called runtime.Goexit"
		}
		s.mu.Lock()
		if s.panicked == nil {
			s.panicked = v
		}
		s.mu.Unlock()
		err = errors.New("the handler panicked")
		s.stop(err)
	}()
	err = s.handle(s.handlers, e)
	returned = true
	return err
}

// settle notes that an entry is done with.
func (s *session) settle(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.subscriber.group == "" {
		s.advance(id)
		return
	}
	s.settled = append(s.settled, id)
	s.wake()
}

// advance moves the position past what is settled without a hole.
func (s *session) advance(id string) {
	sub := s.subscriber
	sub.mu.Lock()
	defer sub.mu.Unlock()
	sub.ahead[id] = true
	delete(s.held, id)
	for len(s.order) > 0 && sub.ahead[s.order[0]] {
		sub.position = s.order[0]
		delete(sub.ahead, s.order[0])
		s.order = s.order[1:]
	}
}

// acknowledgeInterval is the least time between two acknowledgements: the first
// settled entry is acknowledged at once, those that follow together.
const acknowledgeInterval = 10 * time.Millisecond

// keep acknowledges what is settled at once, what comes meanwhile together, and
// refreshes what is in hand so that no other member takes it over. When the
// workers are done it goes on until all is acknowledged, or ctx ends.
func (s *session) keep(ctx context.Context, done <-chan struct{}) {
	n := s.subscriber.network
	health := n.health()
	defer health.end()
	refresh := time.NewTicker(n.options.ClaimAfter / 4)
	defer refresh.Stop()
	var l *link
	for attempt := 0; ; {
		due, last := false, false
		select {
		case <-s.dirty:
		case <-refresh.C:
			due = true
		case <-done:
			last = true
		}
		var err error
		if l == nil {
			l, err = n.login(ctx, 0)
		}
		left := 0
		if err == nil {
			left, err = s.acknowledge(ctx, l, due)
		}
		if err != nil && l != nil && !answered(err) {
			l.close()
			l = nil
		}
		health.report(err)
		switch {
		case err == nil && last && left == 0:
			l.close()
			return
		case err == nil:
			attempt = 0
			select {
			case <-time.After(acknowledgeInterval):
			case <-done:
			}
			continue
		case final(err):
			s.stop(err)
		}
		if last && (final(err) || ctx.Err() != nil) {
			n.options.Logger.Warn("redis: entries not acknowledged, they will come again", "stream", s.subscriber.stream, "error", err)
			if l != nil {
				l.close()
			}
			return
		}
		s.pause(ctx, n.options.backoff(attempt), done, last)
		attempt++
	}
}

// pause waits before another attempt, which is due at once when the workers are
// done.
func (s *session) pause(ctx context.Context, d time.Duration, done <-chan struct{}, last bool) {
	if last {
		done = nil
	}
	select {
	case <-time.After(d):
	case <-done:
	case <-ctx.Done():
	}
	s.wake()
}

func (s *session) wake() {
	select {
	case s.dirty <- struct{}{}:
	default:
	}
}

// maxAcknowledge bounds how many ids go into one command.
const maxAcknowledge = 1000

// acknowledge tells the server what is settled and, where due, what is in hand.
func (s *session) acknowledge(ctx context.Context, l *link, due bool) (left int, err error) {
	s.mu.Lock()
	settled := slices.Clone(s.settled[:min(len(s.settled), maxAcknowledge)])
	var held []string
	if due {
		for id := range s.held {
			held = append(held, id)
		}
	}
	s.mu.Unlock()
	sub := s.subscriber
	err = l.during(ctx, func(ctx context.Context) error {
		if len(settled) > 0 {
			if err := l.client.XAck(ctx, sub.stream, sub.group, settled...).Err(); err != nil {
				return err
			}
		}
		if len(held) == 0 {
			return nil
		}
		claim := []any{"XCLAIM", sub.stream, sub.group, sub.name, 0}
		for _, id := range held {
			claim = append(claim, id)
		}
		err := l.client.Do(ctx, append(claim, "JUSTID")...).Err()
		if kind(err) == ErrNotFound {
			err = nil // the reader sees to a lost group
		}
		return err
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		for _, id := range settled {
			delete(s.held, id)
		}
		s.settled = s.settled[len(settled):]
	}
	if len(s.settled) > 0 {
		s.wake()
	}
	return len(s.settled), err
}
