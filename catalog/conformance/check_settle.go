package conformance

import (
	"errors"
	"slices"
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
		promise: "Where nothing can come again, a handler's error is logged and does not end Receive: the next message follows.",
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
	l := t.open(setup{Channel: Channel{Group: "busy"}, Settings: Settings{Backoff: 500 * time.Millisecond}})
	in := l.receive(func(d delivery) error { return errHandler })
	l.send(text(0))
	in.wait(3)
	before := len(in.texts())
	time.Sleep(3 * t.quiet)
	// Pauses that begin small and double make a handful of attempts.
	if n := len(in.texts()) - before; n > 15 {
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
	var log journal
	l := t.open(setup{consumer: func(s *Settings) { s.Logger = log.logger() }})
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
	if !t.caps.Answered && log.count() == 0 {
		t.fail("expected the handlers' errors to be logged")
	}
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
	if err := sent(); t.caps.Answered && err == nil {
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
