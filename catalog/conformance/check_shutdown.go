package conformance

import (
	"context"
	"errors"
	"sync"
	"time"
)

var shutdownChecks = []check{
	{name: "close-during-send", topic: "close", rows: []int{33, 34},
		promise: "Close during Send: no panic; what Send confirmed has arrived, the rest is an error that is ErrClosed.",
		needs:   []need{lossless},
		run:     closeDuringSend},
	{name: "close-during-receive", topic: "close", rows: []int{34},
		promise: "Close during Receive under load: no panic, Receive returns ErrClosed, nothing unsettled is lost.",
		needs:   []need{lossless},
		run:     closeDuringReceive},
	{name: "close-while-down", topic: "close", rows: []int{33},
		promise: "Close returns within Timeout although the server does not answer.",
		needs:   []need{connection},
		run:     closeWhileDown},
	{name: "graceful-stop", topic: "close", rows: []int{37},
		promise: "Stopped with handlers in flight, each of them settles and nothing is lost.",
		needs:   []need{persistence, redelivery},
		run:     gracefulStop},
}

func closeDuringSend(t *trial) {
	const senders = 8
	for _, parent := range []bool{false, true} {
		l := t.open(setup{Settings: Settings{Concurrency: 4}})
		in := l.receive(accept)
		var group sync.WaitGroup
		confirmed := make([][]string, senders)
		ends := make([]error, senders)
		for s := 0; s < senders; s++ {
			group.Add(1)
			go func(s int) {
				defer group.Done()
				for i := s * 100000; t.ctx.Err() == nil; i++ {
					if ends[s] = l.publisher.Send(t.ctx, t.envelope(text(i))); ends[s] != nil {
						return
					}
					confirmed[s] = append(confirmed[s], text(i))
				}
			}(s)
		}
		in.wait(50)
		closing := l.publisher.Close
		if parent {
			closing = l.producer.Close
		}
		t.must(closing(), "Close during Send")
		group.Wait()
		var want []string
		for s, err := range ends {
			if !errors.Is(err, t.d.errors.Closed) {
				t.fail("expected ErrClosed from Send, got %s", describe(err))
			}
			want = append(want, confirmed[s]...)
		}
		in.waitFor(want...)
	}
}

func closeDuringReceive(t *trial) {
	const n = 200
	l := t.open(setup{Channel: Channel{Group: "load"}, Settings: Settings{Concurrency: 4}})
	in := l.receive(func(delivery) error { time.Sleep(2 * time.Millisecond); return nil })
	sent := l.sendAside(texts(0, n)...)
	in.wait(20)
	t.must(l.subscriber.Close(), "Subscriber.Close under load")
	if err := in.endedWithin(t.grace); !errors.Is(err, t.d.errors.Closed) {
		t.fail("expected ErrClosed from Receive, got %s", describe(err))
	}
	if in.panic != nil {
		t.fail("Receive panicked: %v", in.panic)
	}
	if t.caps.NoPersistence {
		t.must(l.publisher.Close(), "Publisher.Close")
		sent()
		return
	}
	t.must(sent(), "Send")
	settled := in.settledTexts()
	l.reopenConsumer()
	in = l.receive(accept)
	in.waitFor(without(texts(0, n), settled)...)
}

func closeWhileDown(t *trial) {
	const timeout = time.Second
	l := t.open(setup{Settings: Settings{Timeout: timeout}})
	in := l.receive(accept)
	l.send(text(0))
	in.waitSettled(text(0))
	p, c := t.proxy("producer"), t.proxy("consumer")
	p.BlackHole(ToServer, ToClient)
	if c != nil {
		c.BlackHole(ToServer, ToClient)
	}
	ctx, cancel := context.WithTimeout(t.ctx, timeout)
	defer cancel()
	l.publisher.Send(ctx, t.envelope(text(1)))
	for _, closing := range []func() error{l.publisher.Close, l.producer.Close, l.subscriber.Close, l.consumer.Close} {
		// The limit is checked for every call.
		if err := closing(); err != nil {
			t.Logf("Close without a server: %v", err)
		}
	}
	in.endedWithin(t.grace)
	p.Reset()
	if c != nil {
		c.Reset()
	}
}

func gracefulStop(t *trial) {
	const n, limit = 30, 4
	l := t.open(setup{Channel: Channel{Group: "graceful", Partitions: 16}, Settings: Settings{Concurrency: limit}})
	release := t.gate()
	in := l.receive(func(delivery) error { release.wait(); return nil })
	l.spread(texts(0, n)...)()
	in.wait(limit)
	in.cancel()
	release.open()
	in.stop()
	settled := in.settledTexts()
	if len(settled) < limit {
		t.fail("expected %d handlers in flight to settle, %d did", limit, len(settled))
	}
	l.reopenConsumer()
	in = l.receive(accept)
	in.waitFor(without(texts(0, n), settled)...)
	if again := without(in.texts(), without(texts(0, n), settled)); len(again) > 0 {
		t.fail("%s came again although their handlers had returned nil", short(again))
	}
}
