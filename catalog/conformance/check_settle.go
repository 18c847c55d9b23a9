package conformance

import (
	"errors"
	"slices"
	"sync/atomic"
	"time"
)

var settleChecks = []check{
	{name: "error-redelivers", topic: "redelivery", rows: []int{18, 20},
		promise: "A message whose handler failed is delivered again until it succeeds, and the following ones arrive.",
		needs:   []need{redelivery},
		run:     errorRedelivers},
	{name: "error-paused", topic: "redelivery", rows: []int{18},
		promise: "A failing message comes again after a pause, not in a busy loop.",
		needs:   []need{redelivery},
		run:     errorPaused},
	{name: "error-keeps-order", topic: "redelivery", rows: []int{16},
		promise: "A failed message comes again before the ones after it.",
		needs:   []need{redelivery, inPlace, ordered},
		run:     errorKeepsOrder},
	{name: "error-survived", topic: "redelivery", rows: []int{18},
		promise: "Where nothing can come again, a handler's error does not end Receive: the next message follows.",
		needs:   []need{noRedeliver, lossless},
		run:     errorSurvived},
	{name: "error-answered", topic: "redelivery", rows: []int{18, 10},
		promise: "Where Send waits for the handler, the handler's error and Reject are ErrRefused from Send.",
		needs:   []need{verdicts},
		run:     errorAnswered},
	{name: "reject", topic: "redelivery", rows: []int{20},
		promise: "A message whose handler returned Reject does not come again, also not to a new subscriber.",
		needs:   []need{lossless},
		run:     reject},
	{name: "settled-stays", topic: "redelivery", rows: []int{23, 37},
		promise: "A message whose handler returned nil does not come again after an orderly restart.",
		needs:   []need{persistence},
		run:     settledStays},
	{name: "unsettled-returns", topic: "redelivery", rows: []int{9, 21},
		promise: "No message is acknowledged before its handler returned nil: one in hand when the subscriber closes comes again.",
		needs:   []need{persistence, redelivery},
		run:     unsettledReturns},
	{name: "unsettled-hole", topic: "redelivery", rows: []int{22},
		promise: "Messages settled around one that was not do not take it with them: it comes again after a restart.",
		needs:   []need{persistence, redelivery},
		run:     unsettledHole},
	{name: "crash-returns", topic: "redelivery", rows: []int{21},
		promise: "A message in hand when the connection broke comes again.",
		needs:   []need{persistence, redelivery, server},
		run:     crashReturns},
	{name: "stale-settlement", topic: "redelivery", rows: []int{24},
		promise: "Settling a message from before a reconnect does not settle another one.",
		needs:   []need{persistence, redelivery, server},
		run:     staleSettlement},
	{name: "panic", topic: "redelivery", rows: []int{19},
		promise: "A handler's panic goes to Receive's caller; the message counts as failed and the subscriber works on.",
		needs:   []need{lossless},
		run:     handlerPanic},
}

var errHandler = errors.New("the handler's error")

func errorRedelivers(t *trial) {
	const failures = 3
	l := t.open(setup{Channel: Channel{Group: "retry"}})
	in := l.receive(func(d delivery) error {
		if number(d.text) == 1 && d.nth <= failures {
			return errHandler
		}
		return nil
	})
	l.send(texts(0, 5)...)
	in.waitSettled(texts(0, 5)...)
	in.stop()
	for i := 0; i < 5; i++ {
		want := 1
		if i == 1 {
			want = failures + 1
		}
		if got := in.count[text(i)]; got != want {
			t.fail("expected %d deliveries of %s, got %d: %s", want, text(i), got, short(in.texts()))
		}
	}
}

func errorPaused(t *trial) {
	l := t.open(setup{Channel: Channel{Group: "busy"}, Settings: Settings{Backoff: 50 * time.Millisecond}})
	in := l.receive(func(d delivery) error { return errHandler })
	l.send(text(0))
	in.wait(3)
	before := len(in.texts())
	time.Sleep(3 * t.quiet)
	// A loop without any pause makes hundreds.
	if n := len(in.texts()) - before; n > 30 {
		t.fail("expected a few attempts in %v, got %d", 3*t.quiet, n)
	}
}

func errorKeepsOrder(t *trial) {
	l := t.open(setup{Channel: Channel{Group: "holes"}})
	in := l.receive(func(d delivery) error {
		if number(d.text)%4 == 1 && d.nth <= 2 {
			return errHandler
		}
		return nil
	})
	l.send(texts(0, 20)...)
	in.waitSettled(texts(0, 20)...)
	if settled := in.settledTexts(); !slices.Equal(settled, texts(0, 20)) {
		t.fail("expected the messages to be settled in order, got %s", short(settled))
	}
}

func errorSurvived(t *trial) {
	l := t.open(setup{})
	in := l.receive(func(d delivery) error {
		if number(d.text)%2 == 0 {
			return errHandler
		}
		return nil
	})
	for _, payload := range texts(0, 10) {
		err := l.publisher.Send(t.ctx, t.envelope(payload))
		if err != nil && !t.caps.Answered {
			t.fatal("Send: %v", err)
		}
	}
	in.waitFor(texts(0, 10)...)
	if got := in.texts(); len(got) != 10 {
		t.fail("expected each message once, got %s", short(got))
	}
	in.stop()
}

func errorAnswered(t *trial) {
	l := t.open(setup{})
	verdicts := []error{nil, errHandler, t.d.reject(errHandler), nil}
	in := l.receive(func(d delivery) error { return verdicts[number(d.text)] })
	for i, verdict := range verdicts {
		err := l.publisher.Send(t.ctx, t.envelope(text(i)))
		if verdict == nil && err != nil || verdict != nil && !errors.Is(err, t.d.errors.Refused) {
			t.fail("the handler returned %s, Send returned %s", describe(verdict), describe(err))
		}
	}
	in.wait(len(verdicts))
}

func reject(t *trial) {
	l := t.open(setup{Channel: Channel{Group: "picky"}})
	handle := func(d delivery) error {
		if number(d.text) == 1 {
			return t.d.reject(errHandler)
		}
		return nil
	}
	in := l.receive(handle)
	for _, payload := range texts(0, 4) {
		if err := l.publisher.Send(t.ctx, t.envelope(payload)); err != nil && !t.caps.Answered {
			t.fatal("Send: %v", err)
		}
	}
	in.waitFor(texts(0, 4)...)
	in.stop()
	got := in.texts()
	if !t.caps.NoPersistence {
		l.reopenConsumer()
		in = l.receive(handle)
		l.send(text(4))
		in.waitFor(text(4))
		got = append(got, in.texts()...)
	}
	if n := len(got) - len(without(got, []string{text(1)})); n != 1 {
		t.fail("expected the rejected %s once, got it %d times: %s", text(1), n, short(got))
	}
}

func settledStays(t *trial) {
	const n = 20
	l := t.open(setup{Channel: Channel{Group: "settled"}})
	in := l.receive(accept)
	l.send(texts(0, n)...)
	in.waitSettled(texts(0, n)...)
	in.stop()
	l.reopenConsumer()
	in = l.receive(accept)
	l.send(text(n))
	in.waitFor(text(n))
	if got := in.texts(); len(got) != 1 {
		t.fail("expected only %s after the restart, got %s", text(n), short(got))
	}
}

func unsettledReturns(t *trial) {
	release := make(chan struct{})
	l := t.open(setup{Channel: Channel{Group: "inhand"}, Settings: Settings{Timeout: time.Second}})
	in := l.receive(func(delivery) error { <-release; return errHandler })
	l.send(text(0))
	in.wait(1)
	// Close waits for the handler only as long as Timeout.
	l.subscriber.Close()
	l.consumer.Close()
	close(release)
	in.ended()
	l.setup.Timeout = 0
	l.openConsumer()
	in = l.receive(accept)
	in.waitFor(text(0))
}

func unsettledHole(t *trial) {
	const n, hole = 12, 3
	var closing atomic.Bool
	l := t.open(setup{Channel: Channel{Group: "hole"}, Settings: Settings{Concurrency: 4}})
	in := l.receive(func(d delivery) error {
		if number(d.text) == hole {
			return errHandler
		}
		if closing.Load() {
			return errHandler
		}
		return nil
	})
	l.send(texts(0, n)...)
	in.waitFor(text(hole))
	// Give the others the time to overtake it, where they may.
	in.await(t.quiet, func() bool { return len(in.settled) >= n-1 })
	closing.Store(true)
	in.stop()
	settled := in.settledTexts()
	l.reopenConsumer()
	in = l.receive(accept)
	in.waitFor(without(texts(0, n), settled)...)
}

func crashReturns(t *trial) {
	release := make(chan struct{})
	l := t.open(setup{Channel: Channel{Group: "crash"}, Settings: Settings{Timeout: time.Second}})
	in := l.receive(func(d delivery) error { <-release; return errHandler })
	l.send(text(0))
	in.wait(1)
	// What was acknowledged too early shall get out.
	time.Sleep(t.quiet)
	p := t.proxy("consumer")
	p.Refuse()
	p.Reset()
	l.subscriber.Close()
	l.consumer.Close()
	close(release)
	in.ended()
	p.Heal()
	l.setup.Timeout = 0
	l.openConsumer()
	in = l.receive(accept)
	if !in.await(2*t.arrive, func() bool { return in.count[text(0)] > 0 }) {
		t.fatal("%s did not come again", text(0))
	}
}

func staleSettlement(t *trial) {
	const n = 5
	release := make(chan struct{})
	l := t.open(setup{Channel: Channel{Group: "stale"}, Settings: Settings{Concurrency: 3}})
	var released atomic.Bool
	// The first one is settled before the reconnect, so that what numbers the
	// deliveries of a connection gives others the same numbers after it.
	in := l.receive(func(d delivery) error {
		switch {
		case number(d.text) == 0:
			return nil
		case released.Load():
			return errHandler
		}
		<-release
		if number(d.text) == 1 {
			return nil
		}
		return errHandler
	})
	l.send(text(0))
	in.waitSettled(text(0))
	l.send(texts(1, n)...)
	in.wait(2)
	in.await(t.quiet, func() bool { return len(in.got) >= 4 })
	held := in.texts()
	p := t.proxy("consumer")
	accepted := p.Accepted()
	p.Reset()
	back := t.eventually(t.arrive, func() bool { return p.Accepted() > accepted })
	// The handlers end when the new connection has messages of its own.
	time.Sleep(t.quiet)
	released.Store(true)
	close(release)
	if !back {
		t.fatal("no new connection after a reset")
	}
	in.await(t.arrive, func() bool { return len(in.got) > len(held) })
	in.stop()
	settled := in.settledTexts()
	l.reopenConsumer()
	in = l.receive(accept)
	in.waitFor(without(texts(0, n), settled)...)
}

func handlerPanic(t *trial) {
	const value = "a handler's panic: it must reach the caller of Receive"
	l := t.open(setup{Channel: Channel{Group: "panic"}})
	in := l.receive(func(d delivery) error {
		if number(d.text) == 0 && d.nth == 1 {
			panic(value)
		}
		return nil
	})
	sent := l.sendAside(text(0))
	if err := in.ended(); in.panic == nil {
		t.fatal("expected Receive to panic as the handler did, it returned %s", describe(err))
	}
	if in.panic != value {
		t.fail("expected Receive to panic with %q, it panicked with %v", value, in.panic)
	}
	if errs := sent(); t.caps.Answered && errs[0] == nil {
		t.fail("expected Send to fail when the handler panicked")
	}
	in = l.receive(accept)
	l.send(text(1))
	in.waitFor(text(1))
	if !t.caps.NoRedelivery {
		in.waitFor(text(0))
	}
	in.stop()
}
