package conformance

import (
	"sync/atomic"
	"time"
)

var restartChecks = []check{
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
	release := t.gate()
	l := t.open(setup{Channel: Channel{Group: "inhand"}, Settings: Settings{Timeout: time.Second}})
	in := l.receive(func(delivery) error { release.wait(); return errHandler })
	l.send(text(0))
	in.wait(1)
	// Close waits for the handler only as long as Timeout.
	l.subscriber.Close()
	l.consumer.Close()
	release.open()
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
	release := t.gate()
	l := t.open(setup{Channel: Channel{Group: "crash"}, Settings: Settings{Timeout: time.Second}})
	in := l.receive(func(d delivery) error { release.wait(); return errHandler })
	l.send(text(0))
	in.wait(1)
	// What was acknowledged too early shall get out.
	time.Sleep(t.quiet)
	p := t.proxy("consumer")
	p.Refuse()
	p.Reset()
	l.subscriber.Close()
	l.consumer.Close()
	release.open()
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
	release := t.gate()
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
		release.wait()
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
	release.open()
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
