package conformance

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

var closeChecks = []check{
	{name: "close-idempotent", topic: "close", rows: []int{32},
		promise: "Close can be called again, and from several goroutines at once.",
		run:     closeIdempotent},
	{name: "close-in-handler", topic: "close", rows: []int{32},
		promise: "Close from inside a handler does not deadlock.",
		needs:   []need{lossless},
		run:     closeInHandler},
	{name: "close-order", topic: "close", rows: []int{36},
		promise: "Parents and children can be closed in any order.",
		run:     closeOrder},
	{name: "close-waits", topic: "close", rows: []int{37},
		promise: "Close waits for the handlers in flight; their verdicts count.",
		needs:   []need{lossless},
		run:     closeWaits},
	{name: "close-bounded", topic: "close", rows: []int{33},
		promise: "Close waits for a handler no longer than Timeout.",
		needs:   []need{lossless},
		run:     closeBounded},
	{name: "close-then-use", topic: "close", rows: []int{35, 56},
		promise: "After Close everything is ErrClosed, and nothing is sent.",
		run:     closeThenUse},
}

func closeIdempotent(t *trial) {
	l := t.open(setup{})
	in := l.receive(accept)
	if !t.caps.Lossy {
		l.send(text(0))
		in.waitSettled(text(0))
	}
	for _, c := range []struct {
		what  string
		close func() error
	}{
		{"Publisher", l.publisher.Close}, {"Producer", l.producer.Close},
		{"Subscriber", l.subscriber.Close}, {"Consumer", l.consumer.Close},
	} {
		var group sync.WaitGroup
		errs := make([]error, 10)
		for i := range errs {
			group.Add(1)
			go func(i int) { defer group.Done(); errs[i] = c.close() }(i)
		}
		group.Wait()
		t.must(errors.Join(errs...), "ten times Close of the "+c.what+" at once")
		t.must(c.close(), "Close of the "+c.what+" again")
	}
}

func closeInHandler(t *trial) {
	for _, parent := range []bool{false, true} {
		l := t.open(setup{Settings: Settings{Timeout: 2 * time.Second}})
		closing := l.subscriber.Close
		if parent {
			closing = l.consumer.Close
		}
		in := l.receive(func(delivery) error { closing(); return nil })
		giveUp := l.sendUntil(text(0))
		in.wait(1)
		if err := in.endedWithin(2*time.Second + t.grace); !errors.Is(err, t.d.errors.Closed) {
			t.fail("expected ErrClosed from Receive when its handler has closed it, got %s", describe(err))
		}
		giveUp()
	}
}

func closeOrder(t *trial) {
	for _, childFirst := range []bool{true, false} {
		l := t.open(setup{})
		in := l.receive(accept)
		if !t.caps.Lossy {
			l.send(text(0))
			in.waitSettled(text(0))
		}
		closings := []func() error{l.publisher.Close, l.producer.Close, l.subscriber.Close, l.consumer.Close}
		if !childFirst {
			closings = []func() error{l.consumer.Close, l.subscriber.Close, l.producer.Close, l.publisher.Close}
		}
		for _, closing := range closings {
			t.must(closing(), "Close")
		}
		in.endedWithin(t.grace)
	}
}

func closeWaits(t *trial) {
	l := t.open(setup{Channel: Channel{Group: "waits"}})
	var finished atomic.Bool
	entered := make(chan struct{})
	in := l.receive(func(d delivery) error {
		if d.text == text(0) && d.nth == 1 {
			close(entered)
			time.Sleep(2 * t.quiet)
			finished.Store(true)
		}
		return nil
	})
	sent := l.sendAside(text(0))
	select {
	case <-entered:
	case <-time.After(t.arrive):
		t.fatal("no message came")
	}
	t.must(l.subscriber.Close(), "Subscriber.Close")
	if !finished.Load() {
		t.fail("Close returned while a handler was running")
	}
	if err := in.ended(); !errors.Is(err, t.d.errors.Closed) {
		t.fail("expected ErrClosed from Receive, got %s", describe(err))
	}
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

func closeBounded(t *trial) {
	release := t.gate()
	const timeout = 500 * time.Millisecond
	l := t.open(setup{consumer: func(s *Settings) { s.Timeout = timeout }})
	in := l.receive(func(delivery) error { release.wait(); return nil })
	giveUp := l.sendUntil(text(0))
	in.wait(1)
	began := time.Now()
	l.subscriber.Close()
	l.consumer.Close()
	took := time.Since(began)
	release.open()
	in.ended()
	giveUp()
	if took > 2*timeout+t.grace {
		t.fail("expected Close to give up waiting after %v, it took %v", timeout, took)
	}
}

func closeThenUse(t *trial) {
	for _, parent := range []bool{false, true} {
		l := t.open(setup{})
		in := l.receive(accept)
		l.send(text(0))
		if !t.caps.Lossy {
			in.waitFor(text(0))
		}
		other := l.publish(l.address)
		closing := l.publisher.Close
		if parent {
			closing = l.producer.Close
		}
		t.must(closing(), "Close")
		closed := func(what string, err error) {
			t.Helper()
			if !errors.Is(err, t.d.errors.Closed) {
				t.fail("expected ErrClosed from %s, got %s", what, describe(err))
			}
		}
		closed("Send after Close", l.publisher.Send(t.ctx, t.envelope("sent after Close")))
		if parent {
			closed("Send after the producer's Close", other.Send(t.ctx, t.envelope("sent after Close")))
			_, err := l.producer.open(t.ctx, l.address, Channel{})
			closed("Publisher after the producer's Close", err)
			l.openProducer()
			other = l.publisher
		}
		t.must(other.Send(t.ctx, t.envelope(text(1))), "Send on another publisher")
		if !t.caps.Lossy {
			in.waitFor(text(1))
		}
		for _, payload := range in.texts() {
			if payload == "sent after Close" {
				t.fail("a message was delivered that was sent after Close")
			}
		}
		t.must(l.consumer.Close(), "Consumer.Close")
		_, err := l.consumer.open(t.ctx, t.address(), Channel{})
		closed("Subscriber after the consumer's Close", err)
		in.endedWithin(t.grace)
	}
}
