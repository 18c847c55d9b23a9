package conformance

import (
	"context"
	"errors"
	"time"
)

var receiveChecks = []check{
	{name: "cancel-idle", topic: "receive", rows: []int{28},
		promise: "Receive returns ctx.Err() at once when its ctx is cancelled while it is idle.",
		run: func(t *trial) {
			l := t.open(setup{})
			in := l.receive(accept)
			if !t.caps.Lossy {
				l.send(text(0))
				in.waitSettled(text(0))
			}
			in.stop()
		}},
	{name: "deadline-idle", topic: "receive", rows: []int{28},
		promise: "Receive returns context.DeadlineExceeded when its ctx's deadline passes.",
		run:     deadlineIdle},
	{name: "cancelled-before", topic: "receive", rows: []int{31},
		promise: "Receive with a ctx that has ended returns its error.",
		run:     cancelledBefore},
	{name: "cancel-in-handler", topic: "receive", rows: []int{29},
		promise: "Cancelled while a handler runs, Receive returns after the handler has, and the handler's verdict counts.",
		needs:   []need{lossless},
		run:     cancelInHandler},
	{name: "cancel-with-backlog", topic: "receive", rows: []int{28},
		promise: "Cancelled with messages waiting, Receive returns after the handler in hand and starts no other.",
		needs:   []need{noVerdicts, lossless},
		run:     cancelWithBacklog},
	{name: "receive-again", topic: "receive", rows: []int{28},
		promise: "After a cancelled Receive the next one goes on: what came in between is not lost.",
		needs:   []need{lossless},
		run:     receiveAgain},
	{name: "one-receive", topic: "receive",
		promise: "A second Receive at the same time is an error, and the first one goes on.",
		needs:   []need{lossless},
		run:     oneReceive},
	{name: "before-receive", topic: "receive",
		promise: "A message that comes before Receive runs waits for it.",
		needs:   []need{holding, lossless},
		run:     beforeReceive},
	{name: "close-ends-receive", topic: "receive", rows: []int{34, 35},
		promise: "Close of the subscriber or of its consumer makes Receive return ErrClosed.",
		run:     closeEndsReceive},
}

func deadlineIdle(t *trial) {
	l := t.open(setup{})
	ctx, cancel := context.WithTimeout(t.ctx, 300*time.Millisecond)
	defer cancel()
	in := l.subscriber.receiveContext(ctx, accept)
	if err := in.endedWithin(300*time.Millisecond + t.grace); !errors.Is(err, context.DeadlineExceeded) {
		t.fail("expected context.DeadlineExceeded from Receive, got %s", describe(err))
	}
}

func cancelledBefore(t *trial) {
	l := t.open(setup{})
	ctx, cancel := context.WithCancel(t.ctx)
	cancel()
	in := l.subscriber.receiveContext(ctx, accept)
	if err := in.endedWithin(t.grace); !errors.Is(err, context.Canceled) {
		t.fail("expected context.Canceled from Receive, got %s", describe(err))
	}
}

func cancelInHandler(t *trial) {
	release := t.gate()
	l := t.open(setup{Channel: Channel{Group: "verdict"}})
	in := l.receive(func(delivery) error { release.wait(); return nil })
	sent := l.sendAside(text(0))
	in.wait(1)
	in.cancel()
	select {
	case <-in.done:
		t.fail("Receive returned while its handler was running")
	case <-time.After(t.quiet):
	}
	release.open()
	in.stop()
	t.must(sent(), "Send")
	if t.caps.NoPersistence {
		return
	}
	l.reopenConsumer()
	in = l.receive(accept)
	l.send(text(1))
	in.waitFor(text(1))
	if in.deliveries()[0].text != text(1) {
		t.fail("%s came again although its handler had returned nil", text(0))
	}
}

func cancelWithBacklog(t *trial) {
	const n = 100
	l := t.open(setup{Channel: Channel{Group: "backlog"}})
	started, release := make(chan struct{}, n), t.gate()
	in := l.receive(func(delivery) error { started <- struct{}{}; release.wait(); return nil })
	sent := l.sendAside(texts(0, n)...)
	select {
	case <-started:
	case <-time.After(t.arrive):
		t.fatal("no message came")
	}
	if !t.caps.NoServer {
		t.must(sent(), "Send")
	}
	in.cancel()
	release.open()
	in.stop()
	// One more may have been on its way to the handler.
	if got := len(in.texts()); got > 2 {
		t.fail("expected no handler to start after the cancel, %d did", got-1)
	}
	in = l.subscriber.receive(accept)
	in.waitFor(texts(2, n)...)
	t.must(sent(), "Send")
}

func receiveAgain(t *trial) {
	const n = 10
	l := t.open(setup{Channel: Channel{Group: "again"}})
	for round := 0; round < 5; round++ {
		from := round * 2 * n
		if !t.caps.Refuses && round > 0 {
			l.send(texts(from, from+n)...)
		}
		in := l.receive(accept)
		if t.caps.Refuses || round == 0 {
			l.send(texts(from, from+n)...)
		}
		l.send(texts(from+n, from+2*n)...)
		in.waitSettled(texts(from, from+2*n)...)
		t.exactly(in.texts(), texts(from, from+2*n))
		in.stop()
	}
}

func oneReceive(t *trial) {
	l := t.open(setup{})
	first := l.receive(accept)
	l.send(text(0))
	first.waitFor(text(0))
	second := l.subscriber.receive(accept)
	if err := second.endedWithin(t.grace); err == nil || errors.Is(err, context.Canceled) {
		t.fatal("expected an error from the second Receive, got %s", describe(err))
	}
	l.send(text(1))
	first.waitFor(text(1))
	t.exactly(first.texts(), texts(0, 2))
	first.stop()
}

func beforeReceive(t *trial) {
	const n = 20
	l := t.open(setup{})
	sent := l.sendAside(texts(0, n)...)
	if !t.caps.NoServer {
		t.must(sent(), "Send")
	}
	in := l.receive(accept)
	in.waitFor(texts(0, n)...)
	t.must(sent(), "Send")
	t.exactly(in.texts(), texts(0, n))
}

func closeEndsReceive(t *trial) {
	for _, parent := range []bool{false, true} {
		l := t.open(setup{})
		in := l.receive(accept)
		if !t.caps.Lossy {
			l.send(text(0))
			in.waitSettled(text(0))
		}
		closing := l.subscriber.Close
		if parent {
			closing = l.consumer.Close
		}
		t.must(closing(), "Close")
		if err := in.endedWithin(t.grace); !errors.Is(err, t.d.errors.Closed) {
			t.fail("expected ErrClosed from Receive, got %s", describe(err))
		}
		again := l.subscriber.receive(accept)
		if err := again.endedWithin(t.grace); !errors.Is(err, t.d.errors.Closed) {
			t.fail("expected ErrClosed from Receive after Close, got %s", describe(err))
		}
	}
}
