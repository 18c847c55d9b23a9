package jetstream

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// session is one Receive. What the server delivers waits in a queue, and as
// long as it is not settled the server is told that it is being worked on.
type session struct {
	subscriber *Subscriber
	connection *connection
	handle     func(context.Context, *EnvelopeIn) error
	end        context.CancelCauseFunc
	// Of the Consumer's mu: on which connection, counted from 0, the server has
	// the library's subscription.
	confirmed int64

	mu       sync.Mutex
	wake     *sync.Cond
	queue    []jetstream.Msg
	held     map[jetstream.Msg]struct{} // in the queue, or in a handler
	panicked any
}

func newSession(s *Subscriber, handle func(context.Context, *EnvelopeIn) error) *session {
	r := &session{subscriber: s, connection: s.consumer.connection, handle: handle, confirmed: -1, held: map[jetstream.Msg]struct{}{}}
	r.wake = sync.NewCond(&r.mu)
	return r
}

func (r *session) run(ctx context.Context) error {
	s, c := r.subscriber, r.connection
	active, end := context.WithCancelCause(ctx)
	defer end(nil)
	r.end = end
	defer s.consumer.remove(r)
	defer context.AfterFunc(s.closing, func() { end(ErrClosed) })()
	// The handlers live on in Close until it has waited long enough.
	handling, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.abandoned, func() { cancel(); r.giveBack() })()

	pull, err := answered(active, c, func(ctx context.Context) (jetstream.ConsumeContext, error) { return r.pull(ctx, active, end) })
	if active.Err() != nil {
		return context.Cause(active)
	}
	if err != nil {
		return err
	}
	defer context.AfterFunc(active, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.wake.Broadcast()
	})()
	var workers sync.WaitGroup
	for range c.options.Concurrency {
		workers.Go(func() {
			defer func() {
				if p := recover(); p != nil {
					r.mu.Lock()
					r.panicked = p
					r.mu.Unlock()
					end(nil)
				}
			}()
			r.work(handling, active)
		})
	}
	finished := make(chan struct{})
	var keeper sync.WaitGroup
	keeper.Go(func() { r.keep(finished) })
	select {
	case <-c.ended:
		end(c.state())
	case <-active.Done():
	}
	r.drain(pull)
	workers.Wait()
	close(finished)
	keeper.Wait()
	r.giveBack()
	r.flush()
	return context.Cause(active)
}

// pull makes the library ask for messages. Its callback must not block: the
// library holds what it can't hand over, and nothing tells the server so.
func (r *session) pull(ctx, active context.Context, end context.CancelCauseFunc) (jetstream.ConsumeContext, error) {
	o := r.connection.options
	// Asked for messages, not every server says that the consumer is gone.
	if _, err := r.subscriber.native.Info(ctx); err != nil {
		return nil, err
	}
	failed := jetstream.ConsumeErrHandler(func(_ jetstream.ConsumeContext, err error) {
		if active.Err() != nil {
			return
		}
		switch {
		case errors.Is(err, jetstream.ErrConsumerDeleted), errors.Is(err, jetstream.ErrBadRequest):
			// After these the library stops.
			end(err)
		case errors.Is(err, jetstream.ErrNoHeartbeat), errors.Is(err, nats.ErrNoResponders):
			o.Logger.Warn("nats: the server does not answer for the consumer", "subject", r.subscriber.subject, "error", err)
			r.connection.background(func() { r.probe(active, end) })
		}
	})
	// What the server delivers comes to a subscription, which it may refuse.
	opened, err := r.subscriber.consumer.open(ctx, r)
	if err != nil {
		return nil, err
	}
	defer opened()
	pull, err := r.subscriber.native.Consume(r.take, failed,
		jetstream.PullMaxMessagesWithBytesLimit(o.MaxPending, o.MaxPendingBytes),
		jetstream.PullExpiry(30*time.Second), jetstream.PullHeartbeat(min(max(o.KeepAlive, 500*time.Millisecond), 15*time.Second)))
	if err != nil {
		return nil, err
	}
	if err := r.subscriber.consumer.confirm(ctx); err != nil {
		pull.Stop()
		return nil, err
	}
	return pull, nil
}

// probe ends the session where the consumer is gone.
func (r *session) probe(active context.Context, end context.CancelCauseFunc) {
	ctx, cancel := r.connection.bounded(active, context.Background())
	defer cancel()
	var err error
	for range 3 {
		// Once is not enough: a server that has just started may not have it yet.
		if _, err = r.subscriber.native.Info(ctx); kind(err) != ErrNotFound || !sleep(ctx, time.Second) {
			return
		}
	}
	end(err)
}

// take is the library's callback.
func (r *session) take(m jetstream.Msg) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held[m] = struct{}{}
	r.queue = append(r.queue, m)
	r.wake.Signal()
}

func (r *session) work(ctx, active context.Context) {
	for {
		r.mu.Lock()
		for len(r.queue) == 0 && active.Err() == nil {
			r.wake.Wait()
		}
		if active.Err() != nil {
			r.mu.Unlock()
			return
		}
		m := r.queue[0]
		r.queue = r.queue[1:]
		r.mu.Unlock()
		r.one(ctx, m)
	}
}

// one handles a message and settles it, after a panic as failed.
func (r *session) one(ctx context.Context, m jetstream.Msg) {
	err := errors.New("the handler panicked")
	defer func() { r.settle(m, err) }()
	err = r.handle(ctx, newEnvelopeIn(m))
}

func (r *session) settle(m jetstream.Msg, err error) {
	r.mu.Lock()
	_, ours := r.held[m]
	delete(r.held, m)
	r.mu.Unlock()
	if !ours {
		return // Close has given it back
	}
	o := r.connection.options
	answer := m.Ack
	switch {
	case rejected(err):
		o.Logger.Warn("nats: a handler rejected a message", "subject", m.Subject(), "error", err)
		answer = m.Term
	case err != nil:
		o.Logger.Error("nats: a handler failed; the message comes again", "subject", m.Subject(), "error", err)
		delay := o.MaxBackoff
		if meta, err := m.Metadata(); err == nil {
			delay = o.backoff(int(min(meta.NumDelivered, 30)) - 1)
		}
		answer = func() error { return m.NakWithDelay(delay) }
	}
	// Without a connection the answer waits for it: the server takes it then
	// too, since it names the message and not the connection.
	ctx, cancel := context.WithTimeout(r.subscriber.closing, o.Timeout)
	if r.subscriber.closing.Err() != nil {
		ctx, cancel = context.WithTimeout(r.subscriber.abandoned, o.Timeout)
	}
	defer cancel()
	if _, err := persist(ctx, r.connection, func() (struct{}, error) { return struct{}{}, answer() }); err != nil {
		o.Logger.Warn("nats: a message could not be settled and comes again", "subject", m.Subject(), "error", err)
	}
}

// keep tells the server of the messages that are not settled yet.
func (r *session) keep(finished chan struct{}) {
	every := r.subscriber.native.CachedInfo().Config.AckWait / 3
	ticker := time.NewTicker(max(every, 100*time.Millisecond))
	defer ticker.Stop()
	for {
		select {
		case <-finished:
			return
		case <-ticker.C:
		}
		r.mu.Lock()
		var held []jetstream.Msg
		for m := range r.held {
			held = append(held, m)
		}
		r.mu.Unlock()
		for _, m := range held {
			_ = m.InProgress() // fails without a connection, or when it was settled by now
		}
	}
}

// drain makes the library ask for no more, and waits for what is on its way.
func (r *session) drain(pull jetstream.ConsumeContext) {
	closed := pull.Closed()
	pull.Drain()
	select {
	case <-closed:
	case <-time.After(min(r.connection.options.Timeout, time.Second)):
	}
}

// giveBack makes the server deliver again, at once, what is not settled.
func (r *session) giveBack() {
	r.mu.Lock()
	held := r.held
	r.held, r.queue = map[jetstream.Msg]struct{}{}, nil
	r.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_, _ = aside(ctx, r.connection, func() (struct{}, error) {
		for m := range held {
			_ = m.Nak() // fails without a connection; then the server waits for the acknowledgement's time
		}
		return struct{}{}, nil
	})
}

// flush returns when the server has had what settles the messages.
func (r *session) flush() {
	ctx, cancel := context.WithTimeout(context.Background(), min(r.connection.options.Timeout, time.Second))
	defer cancel()
	_, _ = aside(ctx, r.connection, func() (struct{}, error) { return struct{}{}, r.connection.flush(ctx) })
}
