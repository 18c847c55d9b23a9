package conformance

import (
	"context"
	"errors"
	"time"
)

var sendChecks = []check{
	{name: "send-cancelled-before", topic: "send", rows: []int{31},
		promise: "Send with a ctx that has ended returns its error and sends nothing.",
		run:     sendCancelledBefore},
	{name: "send-confirmed", topic: "send", rows: []int{9},
		promise: "Send returns nil only when the other side has the message, not when it is written.",
		needs:   []need{connection, confirmed},
		run:     sendConfirmed},
	{name: "send-deadline", topic: "send", rows: []int{30},
		promise: "Send to a stalled server returns when its ctx's deadline passes.",
		needs:   []need{connection},
		run:     func(t *trial) { t.sendStalled(context.DeadlineExceeded) }},
	{name: "send-cancel", topic: "send", rows: []int{30},
		promise: "Send to a stalled server returns when its ctx is cancelled.",
		needs:   []need{connection},
		run:     func(t *trial) { t.sendStalled(context.Canceled) }},
	{name: "send-timeout", topic: "send", rows: []int{30, 49},
		promise: "Send without a deadline gives up after Timeout when the server does not answer.",
		needs:   []need{connection, confirmed},
		run:     sendTimeout},
	{name: "send-waits", topic: "send", rows: []int{33},
		promise: "During an outage Send waits for the connection, and then sends.",
		needs:   []need{connection, confirmed},
		run:     sendWaits},
	{name: "send-outage-deadline", topic: "send", rows: []int{30},
		promise: "During an outage Send waits no longer than its ctx.",
		needs:   []need{connection, confirmed},
		run:     sendOutageDeadline},
	{name: "send-refused", topic: "send", rows: []int{10, 46},
		promise: "A message that the server refuses is an error from Send or Publisher: ErrRefused or ErrUnauthorized.",
		needs:   []need{refusal},
		run:     sendRefused},
}

func sendCancelledBefore(t *trial) {
	l := t.open(setup{})
	in := l.receive(accept)
	ctx, cancel := context.WithCancel(t.ctx)
	cancel()
	for i := 0; i < 20; i++ {
		if err := l.publisher.Send(ctx, t.envelope("sent with a cancelled ctx")); !errors.Is(err, context.Canceled) {
			t.fatal("expected context.Canceled from Send, got %s", describe(err))
		}
	}
	l.send(text(0))
	if t.caps.Lossy {
		return
	}
	in.waitFor(text(0))
	if got := in.texts(); len(got) != 1 {
		t.fail("expected only the message sent with a living ctx, got %s", short(got))
	}
}

func sendConfirmed(t *trial) {
	l := t.open(setup{})
	l.receive(accept)
	l.send(text(0))
	for _, way := range []Direction{ToServer, ToClient} {
		t.proxy("producer").BlackHole(way)
		ctx, cancel := context.WithTimeout(t.ctx, 2*t.quiet)
		if err := l.publisher.Send(ctx, t.envelope(text(1))); err == nil {
			t.fail("Send returned nil although nothing passed %s", [...]string{"to the server", "back from the server"}[way])
		}
		cancel()
		t.proxy("producer").Heal()
	}
}

func (t *trial) sendStalled(want error) {
	l := t.open(setup{Settings: Settings{Timeout: time.Minute}})
	l.receive(accept)
	l.send(text(0))
	t.proxy("producer").BlackHole(ToServer, ToClient)
	ctx, cancel := context.WithTimeout(t.ctx, time.Second)
	if want == context.Canceled {
		ctx, cancel = context.WithCancel(t.ctx)
		time.AfterFunc(time.Second, cancel)
	}
	defer cancel()
	size := 1 << 20
	if t.caps.MaxPayload > 0 {
		size = min(size, t.caps.MaxPayload)
	}
	// Without confirmation the system's buffers have to be filled first.
	for i := 0; i < 1000; i++ {
		out := t.d.newEnvelope()
		out.SetPayload(pattern(size))
		err := l.publisher.Send(ctx, out)
		if err == nil {
			continue
		}
		if !errors.Is(err, want) {
			t.fail("expected %v from Send to a stalled server, got %s", want, describe(err))
		}
		// What was not confirmed need not be flushed now.
		t.proxy("producer").Heal()
		return
	}
	t.fail("a thousand large messages were sent into a black hole")
}

func sendTimeout(t *trial) {
	const timeout = time.Second
	l := t.open(setup{producer: func(s *Settings) { s.Timeout = timeout }})
	l.receive(accept)
	l.send(text(0))
	t.proxy("producer").BlackHole(ToServer, ToClient)
	began := time.Now()
	// The limit, Timeout, is checked for every call.
	if err := l.publisher.Send(context.Background(), t.envelope(text(1))); err == nil {
		t.fail("expected an error from Send")
	} else if took := time.Since(began); took < timeout/2 {
		t.fail("expected Send to try for %v, it gave up after %v: %v", timeout, took, err)
	}
	t.proxy("producer").Heal()
}

func sendWaits(t *trial) {
	l := t.open(setup{})
	in := l.receive(accept)
	l.send(text(0))
	in.waitSettled(text(0))
	p := t.proxy("producer")
	p.Refuse()
	p.Reset()
	time.AfterFunc(3*t.quiet, p.Heal)
	l.send(texts(1, 5)...)
	in.waitFor(texts(1, 5)...)
	t.exactlyFirsts(in, texts(0, 5))
}

func sendOutageDeadline(t *trial) {
	l := t.open(setup{})
	l.receive(accept)
	l.send(text(0))
	p := t.proxy("producer")
	p.Refuse()
	p.Reset()
	ctx, cancel := context.WithTimeout(t.ctx, time.Second)
	defer cancel()
	if err := l.publisher.Send(ctx, t.envelope(text(1))); !errors.Is(err, context.DeadlineExceeded) {
		t.fail("expected context.DeadlineExceeded from Send, got %s", describe(err))
	}
	p.Heal()
}

func sendRefused(t *trial) {
	p, err := t.newProducer(t.settings(Settings{URL: t.serverURL("producer", "")}))
	t.must(err, "NewProducer")
	pub, err := p.open(t.ctx, t.d.broker.RefusedAddress, Channel{NoDeclare: true})
	if err == nil {
		err = pub.Send(t.ctx, t.envelope(text(0)))
	}
	if !errors.Is(err, t.d.errors.Refused) && !errors.Is(err, t.d.errors.Unauthorized) {
		t.fail("expected ErrRefused or ErrUnauthorized, got %s", describe(err))
	}
}
