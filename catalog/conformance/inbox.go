package conformance

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// delivery is one call of a handler.
type delivery struct {
	text string
	in   EnvelopeIn
	nth  int // 1 for the first delivery of this payload, 2 for the next ...
	ctx  context.Context
}

// inbox runs Receive and keeps what came.
type inbox struct {
	t      *trial
	cancel context.CancelFunc
	done   chan struct{}
	err    error
	panic  any

	mu      sync.Mutex
	got     []delivery
	count   map[string]int
	settled []string // texts whose handler returned nil, in that order
	running int
	most    int // most handlers at once
	changed chan struct{}
}

// accept is the handler of a check that only looks at what comes.
func accept(delivery) error { return nil }

const warmUp = "warm-up"

// receive starts Receive with a handler.
func (o *openSubscriber) receive(handle func(delivery) error) *inbox {
	return o.receiveContext(o.t.ctx, handle)
}

func (o *openSubscriber) receiveContext(ctx context.Context, handle func(delivery) error) *inbox {
	ctx, cancel := context.WithCancel(ctx)
	b := &inbox{t: o.t, cancel: cancel, done: make(chan struct{}), changed: make(chan struct{}), count: map[string]int{}}
	o.t.Cleanup(func() {
		o.t.openGates()
		cancel()
		b.ended()
	})
	go func() {
		defer close(b.done)
		defer func() { b.panic = recover() }()
		b.err = o.s.Receive(ctx, func(ctx context.Context, in EnvelopeIn) error { return b.handle(ctx, in, handle) })
	}()
	return b
}

// receive starts Receive on the link's subscriber. Where a message is refused
// while no Receive runs, it waits until one is taken.
func (l *link) receive(handle func(delivery) error) *inbox {
	l.t.Helper()
	b := l.subscriber.receive(handle)
	if l.t.caps.Refuses {
		ready := l.t.eventually(l.t.arrive, func() bool {
			return l.publisher.Send(l.t.ctx, l.t.envelope(warmUp)) == nil
		})
		if !ready {
			l.t.fatal("no message was taken although Receive was running")
		}
	}
	return b
}

func (b *inbox) handle(ctx context.Context, in EnvelopeIn, handle func(delivery) error) error {
	payload := string(in.Payload())
	if payload == warmUp {
		return nil
	}
	b.mu.Lock()
	b.count[payload]++
	d := delivery{text: payload, in: in, nth: b.count[payload], ctx: ctx}
	b.got = append(b.got, d)
	b.running++
	b.most = max(b.most, b.running)
	b.signal()
	b.mu.Unlock()
	returned := false
	var err error
	defer func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.running--
		if returned && err == nil {
			b.settled = append(b.settled, payload)
		}
		b.signal()
	}()
	err = handle(d)
	returned = true
	return err
}

func (b *inbox) signal() {
	close(b.changed)
	b.changed = make(chan struct{})
}

// await waits until a condition on the inbox, which is locked for it, holds.
func (b *inbox) await(limit time.Duration, condition func() bool) bool {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	done := b.done
	for {
		b.mu.Lock()
		holds, changed := condition(), b.changed
		b.mu.Unlock()
		if holds {
			return true
		}
		select {
		case <-changed:
		case <-done:
			done = nil
			// What happened last may still have to be looked at.
			timer.Reset(10 * time.Millisecond)
		case <-timer.C:
			return false
		}
	}
}

// texts are the payloads that came, in order, each redelivery included.
func (b *inbox) texts() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.textsLocked()
}

func (b *inbox) textsLocked() []string {
	all := make([]string, len(b.got))
	for i, d := range b.got {
		all[i] = d.text
	}
	return all
}

func (b *inbox) deliveries() []delivery {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.got)
}

// wait waits for n deliveries and gives them.
func (b *inbox) wait(n int) []delivery {
	b.t.Helper()
	if !b.await(b.t.arrive, func() bool { return len(b.got) >= n }) {
		b.t.fatal("expected %d messages, got %s%s", n, short(b.texts()), b.whyEnded())
	}
	return b.deliveries()
}

// waitFor waits until every payload came at least once.
func (b *inbox) waitFor(payloads ...string) {
	b.t.Helper()
	missing := func() []string {
		return slices.DeleteFunc(slices.Clone(payloads), func(p string) bool { return b.count[p] > 0 })
	}
	if b.await(b.t.arrive, func() bool { return len(b.count) >= len(payloads) && len(missing()) == 0 }) {
		return
	}
	b.mu.Lock()
	lost := missing()
	b.mu.Unlock()
	b.t.fatal("%d of %d messages did not come: %s; came: %s%s", len(lost), len(payloads), short(lost), short(b.texts()), b.whyEnded())
}

// waitSettled waits until the handler has returned nil for every payload.
func (b *inbox) waitSettled(payloads ...string) {
	b.t.Helper()
	ok := b.await(b.t.arrive, func() bool {
		return len(b.settled) >= len(payloads) && !slices.ContainsFunc(payloads, func(p string) bool { return !slices.Contains(b.settled, p) })
	})
	if !ok {
		b.t.fatal("not all of %s were handled; came: %s%s", short(payloads), short(b.texts()), b.whyEnded())
	}
}

func (b *inbox) whyEnded() string {
	select {
	case <-b.done:
		return ". Receive had returned " + describe(b.err)
	default:
		return ""
	}
}

// ended waits for Receive to return by itself or because of a Close.
func (b *inbox) ended() error {
	b.t.Helper()
	limit := b.t.arrive
	if b.t.Failed() {
		limit = b.t.grace
	}
	select {
	case <-b.done:
		return b.err
	case <-time.After(limit):
		err := errors.New("Receive did not return in time")
		b.t.fail("%v; goroutines of this check:\n%s", err, goroutines(b.t.Name(), nil))
		return err
	}
}

// endedWithin is ended with a limit of its own.
func (b *inbox) endedWithin(limit time.Duration) error {
	b.t.Helper()
	select {
	case <-b.done:
	case <-time.After(limit):
		b.t.fatal("Receive did not return within %v", limit)
	}
	return b.err
}

// peak is how many handlers ever ran at once.
func (b *inbox) peak() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.most
}

// settledTexts are the payloads whose handler returned nil.
func (b *inbox) settledTexts() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.settled)
}

// stop cancels Receive and checks that it says so, soon.
func (b *inbox) stop() {
	b.t.Helper()
	b.cancel()
	select {
	case <-b.done:
	case <-time.After(b.t.grace):
		b.t.fatal("Receive did not return within %v after its ctx was cancelled", b.t.grace)
	}
	if b.panic != nil {
		b.t.fatal("Receive panicked: %v", b.panic)
	}
	if !errors.Is(b.err, context.Canceled) {
		b.t.fail("Receive returned %s after its ctx was cancelled, expected context.Canceled", describe(b.err))
	}
}

func describe(err error) string {
	if err == nil {
		return "nil"
	}
	return "the error " + err.Error()
}
