package conformance

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

type refConsumer struct{ c *refClient }

// refSubscriber keeps what came until a Receive handles it.
type refSubscriber struct {
	c       *refClient
	id      int
	address string
	group   string
	credit  int
	workers int
	strict  bool
	buffer  []byte
	busy    sync.WaitGroup // handlers that run

	session *refSession // the one it is subscribed on; guarded by the client's lock

	mu        sync.Mutex
	queue     []refDelivery
	changed   chan struct{}
	closed    bool
	fatal     error
	receiving bool
	closing   chan struct{}
}

type refDelivery struct {
	session *refSession
	frame   frame
}

// refuseIdle, as Settings.Session, makes a subscriber refuse messages while no
// Receive runs.
const refuseIdle = "refuse while idle"

// dropFailed makes it drop what its handler failed on.
const dropFailed = "drop what failed"

type refRejection struct{ error }

func (r refRejection) Unwrap() error { return r.error }

func refReject(err error) error { return refRejection{err} }

func (c *refConsumer) subscriber(ctx context.Context, address string, channel Channel) (*refSubscriber, error) {
	c.c.mu.Lock()
	if c.c.closed {
		c.c.mu.Unlock()
		return nil, errRefClosed
	}
	c.c.seq++
	s := &refSubscriber{
		c: c.c, id: c.c.seq, address: address, group: channel.Group, credit: max(1, c.c.s.Concurrency),
		workers: max(1, c.c.s.Concurrency), strict: channel.NoDeclare, changed: make(chan struct{}), closing: make(chan struct{}),
	}
	if s.group == "" {
		s.group = fmt.Sprintf("~%d-%d", time.Now().UnixNano(), s.id)
	}
	switch c.c.bug {
	case "ignores the group":
		s.group = fmt.Sprintf("~%d-%d", time.Now().UnixNano(), s.id)
	case "one group for all":
		s.group = "all"
	case "mixes addresses":
		s.address = "mixed"
	case "creates what is missing":
		s.strict = false
	case "no limit of handlers":
		s.credit, s.workers = 1000, 1000
	case "one handler at most":
		s.credit, s.workers = 1, 1
	case "loses what it has in hand when it leaves":
		s.credit = 50
	case "loses the backlog on cancel", "loses the backlog on Close", "handles the backlog after cancel":
		s.credit = 1000
	}
	session := c.c.session
	s.session = session
	c.c.subs[s.id] = s
	c.c.mu.Unlock()
	if session != nil {
		_, err := c.c.exchange(ctx, session, s.frame(s.id))
		if err != nil && !errors.Is(err, errRefLost) {
			c.c.mu.Lock()
			delete(c.c.subs, s.id)
			c.c.mu.Unlock()
			return nil, fmt.Errorf("ref: subscribe to %q: %w", address, err)
		}
	}
	return s, nil
}

func (s *refSubscriber) frame(id int) frame {
	return frame{Op: "sub", Sub: id, Address: s.address, Group: s.group, Credit: s.credit, Strict: s.strict}
}

func (s *refSubscriber) signal() {
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *refSubscriber) end(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fatal = err
	s.signal()
}

func (s *refSubscriber) incoming(session *refSession, f frame) {
	if f.Op == "gone" {
		if s.c.bug != "does not notice a deletion" {
			s.end(errRefNotFound)
		}
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.c.bug == "drops without Receive" && !s.receiving {
		return
	}
	if s.c.s.Session == refuseIdle && !s.receiving {
		s.settleOn(session, f.Tag, "nack")
		return
	}
	if s.c.bug == "acknowledges at once" {
		s.settleOn(session, f.Tag, "ack")
	}
	s.queue = append(s.queue, refDelivery{session, f})
	s.signal()
	if s.c.bug == "one queue for all subscribers" && !s.receiving {
		// The reader waits for this subscriber's Receive.
		changed := s.changed
		for !s.receiving && !s.closed {
			s.mu.Unlock()
			select {
			case <-changed:
			case <-session.lost:
			case <-s.c.ctx.Done():
			}
			s.mu.Lock()
			changed = s.changed
			if s.c.ctx.Err() != nil {
				return
			}
		}
	}
}

func (s *refSubscriber) settleOn(session *refSession, tag int, op string) {
	f := fmt.Sprintf(`{"Op":%q,"Sub":%d,"Tag":%d}`+"\n", op, s.id, tag)
	go func() {
		select {
		case session.out <- []byte(f):
		case <-session.lost:
		}
	}()
}

// settleQueue acknowledges what no handler has seen.
func (s *refSubscriber) settleQueue() {
	for _, d := range s.queue {
		select {
		case d.session.out <- []byte(fmt.Sprintf(`{"Op":"ack","Sub":%d,"Tag":%d}`+"\n", s.id, d.frame.Tag)):
		case <-d.session.lost:
		}
	}
	s.queue = nil
}

// Receive runs as many workers as handlers may run at once.
func (s *refSubscriber) Receive(ctx context.Context, handle func(context.Context, *refIn) error) error {
	bug := s.c.bug
	s.mu.Lock()
	if s.receiving && bug != "several Receives" {
		s.mu.Unlock()
		return errors.New("ref: another Receive is running")
	}
	s.receiving = true
	s.signal()
	s.mu.Unlock()
	inner := ctx
	if bug == "ignores ctx in Receive" {
		inner = context.Background()
	}
	inner, stop := context.WithCancel(inner)
	defer stop()
	var panicked any
	var result error
	var once sync.Once
	var workers sync.WaitGroup
	worker := func() {
		defer workers.Done()
		defer func() {
			if p := recover(); p != nil {
				once.Do(func() { panicked = p })
				stop()
			}
		}()
		err := s.work(inner, handle)
		once.Do(func() { result = err })
		stop()
	}
	for i := 0; i < s.workers; i++ {
		workers.Add(1)
		go worker()
	}
	if bug == "returns while a handler runs" {
		<-inner.Done()
		return inner.Err()
	}
	workers.Wait()
	s.mu.Lock()
	s.receiving = false
	if bug == "loses the backlog on cancel" {
		s.settleQueue()
	}
	s.mu.Unlock()
	if panicked != nil {
		if bug == "swallows a panic" {
			return errors.New("a handler panicked")
		}
		panic(panicked)
	}
	if bug == "returns nil on cancel" && ctx.Err() != nil {
		return nil
	}
	if bug == "returns nil on Close" && errors.Is(result, errRefClosed) {
		return nil
	}
	return result
}

func (s *refSubscriber) work(ctx context.Context, handle func(context.Context, *refIn) error) error {
	for {
		d, err := s.take(ctx)
		if err != nil {
			return err
		}
		s.handle(ctx, d, handle)
	}
}

// take gives the next message and counts its handler as running.
func (s *refSubscriber) take(ctx context.Context) (refDelivery, error) {
	for {
		s.c.mu.Lock()
		closed, fatal, changedConn := s.c.closed, s.c.fatal, s.c.changed
		current := s.c.session
		s.c.mu.Unlock()
		s.mu.Lock()
		switch {
		case s.c.bug == "handles the backlog after cancel" && len(s.queue) > 0:
		case ctx.Err() != nil:
			s.mu.Unlock()
			return refDelivery{}, ctx.Err()
		case s.closed || closed:
			s.mu.Unlock()
			return refDelivery{}, errRefClosed
		case s.fatal != nil || fatal != nil:
			defer s.mu.Unlock()
			return refDelivery{}, errors.Join(s.fatal, fatal)
		}
		for len(s.queue) > 0 {
			d := s.queue[0]
			s.queue = s.queue[1:]
			// What an earlier connection brought comes again on this one.
			if d.session == current || s.c.bug == "settles stale messages" || s.c.bug == "acknowledges at once" {
				s.busy.Add(1)
				s.mu.Unlock()
				return d, nil
			}
		}
		changed := s.changed
		s.mu.Unlock()
		select {
		case <-changed:
		case <-changedConn:
		case <-ctx.Done():
		}
	}
}

func (s *refSubscriber) handle(ctx context.Context, d refDelivery, handle func(context.Context, *refIn) error) {
	defer s.busy.Done()
	bug := s.c.bug
	verdict := "nack"
	switch bug {
	case "handlers of a consumer take turns":
		s.c.handling.Lock()
		defer s.c.handling.Unlock()
	case "Send and handler share a lock":
		refLock <- true
		defer func() { <-refLock }()
	case "reuses the buffer":
		s.buffer = append(s.buffer[:0], d.frame.Message.Payload...)
		d.frame.Message.Payload = s.buffer
	case "gives slow messages back":
		session := d.session
		slow := time.AfterFunc(2*s.c.s.KeepAlive, func() { s.settleOn(session, d.frame.Tag, "nack") })
		defer slow.Stop()
	}
	defer func() {
		session := d.session
		if bug == "settles stale messages" {
			s.c.mu.Lock()
			if session = s.c.session; session == nil {
				session = d.session
			}
			s.c.mu.Unlock()
		}
		if bug == "acknowledges at once" || bug == "never settles" {
			return
		}
		select {
		case session.out <- []byte(fmt.Sprintf(`{"Op":%q,"Sub":%d,"Tag":%d}`+"\n", verdict, s.id, d.frame.Tag)):
		case <-session.lost:
		}
	}()
	var err error
	if bug == "panics kill the process" {
		done := make(chan struct{})
		go func() { defer close(done); err = handle(ctx, &refIn{m: d.frame.Message, c: s.c, bug: bug}) }()
		<-done
	} else {
		err = handle(ctx, &refIn{m: d.frame.Message, c: s.c, bug: bug})
	}
	for bug == "redelivers the same buffer" && err != nil && ctx.Err() == nil {
		err = handle(ctx, &refIn{m: d.frame.Message, c: s.c, bug: bug})
	}
	var rejection refRejection
	switch {
	case err == nil && bug == "verdict lost on cancel" && ctx.Err() != nil:
	case err == nil && bug == "acknowledges all before":
		verdict = "ack all before"
	case err == nil:
		verdict = "ack"
	case bug == "swallows errors":
		verdict = "ack"
	case errors.As(err, &rejection) && bug != "redelivers what was rejected":
		verdict = "reject"
	case bug == "hot loop":
	case s.c.s.Session == dropFailed && bug != "ends on a handler's error":
		verdict = "reject"
		s.c.log(err.Error())
	case bug == "ends on a handler's error":
		s.end(err)
	case bug == "acknowledges past a hole":
		// The failed message goes to the end of the queue.
		s.c.request(context.Background(), frame{Op: "pub", Address: s.address, Message: d.frame.Message})
		verdict = "ack"
	default:
		select {
		case <-time.After(s.c.s.Backoff / 5):
		case <-ctx.Done():
		case <-s.closing:
		case <-s.c.ctx.Done():
		}
	}
}

func (s *refSubscriber) Close() error {
	s.mu.Lock()
	again := s.closed
	s.closed = true
	if !again {
		close(s.closing)
	}
	s.signal()
	s.mu.Unlock()
	idle := make(chan struct{})
	go func() { s.busy.Wait(); close(idle) }()
	limit := s.c.s.Timeout
	switch s.c.bug {
	case "Close does not wait":
		limit = 0
	case "Close deadlocks in a handler":
		limit = time.Hour
	}
	select {
	case <-idle:
	case <-time.After(limit):
	}
	if again {
		return nil
	}
	s.c.mu.Lock()
	delete(s.c.subs, s.id)
	session := s.c.session
	s.c.mu.Unlock()
	if s.c.bug == "loses the backlog on Close" {
		s.mu.Lock()
		s.settleQueue()
		s.mu.Unlock()
	}
	if s.c.bug == "loses what it has in hand when it leaves" {
		s.mu.Lock()
		s.settleQueue()
		s.mu.Unlock()
	}
	if session != nil {
		ctx, cancel := context.WithTimeout(s.c.ctx, s.c.s.Timeout/2)
		defer cancel()
		if s.c.bug == "Close waits for the server" {
			ctx = s.c.ctx
		}
		s.c.exchange(ctx, session, frame{Op: "unsub", Sub: s.id, Address: s.address, Group: s.group})
	}
	return nil
}

// close ends the subscribers first: their handlers' verdicts must get out.
func (c *refConsumer) close() error {
	c.c.mu.Lock()
	var subs []*refSubscriber
	for _, s := range c.c.subs {
		subs = append(subs, s)
	}
	c.c.mu.Unlock()
	for _, s := range subs {
		s.Close()
	}
	return c.c.close()
}
