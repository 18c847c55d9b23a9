package conformance

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

var subscriberChecks = []check{
	{name: "fan-out", topic: "subscribers", rows: []int{13},
		promise: "Two subscribers of one address get every message each, or share them, as documented.",
		needs:   []need{subscribers, lossless},
		run:     fanOut},
	{name: "groups", topic: "subscribers", rows: []int{14},
		promise: "Each group gets every message; its members share them.",
		needs:   []need{groups, lossless},
		run:     groupsShare},
	{name: "group-changes", topic: "subscribers", rows: []int{50},
		promise: "When members join and leave a group under load, nothing is lost.",
		needs:   []need{groups, redelivery, lossless, handover},
		run:     groupChanges},
	{name: "group-offline", topic: "subscribers", rows: []int{51},
		promise: "What was sent while a group was away arrives when it returns, in order.",
		needs:   []need{persistence, lossless},
		run:     groupOffline},
	{name: "concurrency", topic: "subscribers", rows: []int{27},
		promise: "The configured number of handlers at once is reached and never exceeded.",
		needs:   []need{lossless},
		run:     concurrency},
	{name: "one-handler", topic: "subscribers", rows: []int{27},
		promise: "Without a setting one handler runs at a time.",
		needs:   []need{lossless},
		run:     oneHandler},
	{name: "backpressure", topic: "subscribers", rows: []int{26},
		promise: "While handlers are blocked no more are started, and nothing is lost.",
		needs:   []need{lossless},
		run:     backpressure},
	{name: "idle-subscriber", topic: "subscribers", rows: []int{26},
		promise: "A subscriber on which no Receive runs does not hold up the others of its consumer.",
		needs:   []need{addresses, holding, lossless},
		run:     idleSubscriber},
	{name: "slow-neighbour", topic: "subscribers", rows: []int{12},
		promise: "A slow handler does not hold up the other subscribers of its consumer, nor opening one.",
		needs:   []need{addresses, lossless},
		run:     slowNeighbour},
	{name: "slow-handler", topic: "subscribers", rows: []int{25},
		promise: "A handler slower than the keep-alive interval costs neither the connection nor a second delivery.",
		needs:   []need{lossless},
		run:     slowHandler},
	{name: "handler-sends", topic: "subscribers",
		promise: "A handler may send.",
		needs:   []need{lossless},
		run:     handlerSends},
}

func fanOut(t *trial) {
	const n = 20
	l := t.open(setup{})
	first := l.receive(accept)
	second := l.subscribe(l.address).receive(accept)
	l.send(texts(0, n)...)
	if t.caps.NoFanOut {
		t.shared([]*inbox{first, second}, texts(0, n))
		return
	}
	for _, in := range []*inbox{first, second} {
		in.waitFor(texts(0, n)...)
		t.exactly(in.texts(), texts(0, n))
	}
}

// shared fails unless the inboxes got every payload once between them.
func (t *trial) shared(inboxes []*inbox, want []string) {
	t.Helper()
	var got []string
	t.eventually(t.arrive, func() bool {
		got = nil
		for _, in := range inboxes {
			got = append(got, in.texts()...)
		}
		return len(firsts(got)) >= len(want)
	})
	slices.Sort(got)
	t.exactly(got, want)
}

func groupsShare(t *trial) {
	n := t.pick(40, 1000)
	l := t.open(setup{Channel: Channel{Group: "red", Shared: true, Partitions: 4}})
	red := []*inbox{l.receive(accept)}
	other := t.open(setup{Channel: Channel{Group: "blue", Shared: true, Partitions: 4}, address: l.address})
	blue := []*inbox{other.receive(accept)}
	// The second member comes when the first has all partitions.
	l.send(texts(0, n/2)...)
	red[0].waitFor(texts(0, n/2)...)
	member := t.open(setup{Channel: Channel{Group: "red", Shared: true, Partitions: 4}, Settings: Settings{Session: "red-2"}, address: l.address})
	red = append(red, member.receive(accept))
	for i, payload := range texts(n/2, n) {
		out := t.envelope(payload)
		if t.d.setKey != nil {
			t.d.setKey(out, fmt.Sprint("key-", i))
		}
		t.must(l.publisher.Send(t.ctx, out), "Send")
	}
	t.caps.Unordered = true
	t.shared(blue, texts(0, n))
	t.shared(red, texts(0, n))
}

func groupChanges(t *trial) {
	s := setup{Channel: Channel{Group: "changing", Partitions: 4}, Settings: Settings{Concurrency: 2}}
	l := t.open(s)
	s.address = l.address
	slow := func(delivery) error { time.Sleep(3 * time.Millisecond); return nil }
	members, inboxes := []*link{l}, []*inbox{l.receive(slow)}
	sent := 0
	send := func(n int) {
		t.must(l.spread(texts(sent, sent+n)...)(), "Send")
		sent += n
	}
	send(20)
	for i := 0; i < t.pick(2, 10); i++ {
		s.Session = fmt.Sprint("changing-", i)
		member := t.open(s)
		members = append(members, member)
		in := member.receive(slow)
		inboxes = append(inboxes, in)
		joined := t.eventually(t.arrive, func() bool {
			send(20)
			return in.await(t.quiet, func() bool { return len(in.got) > 0 })
		})
		if !joined {
			t.fatal("a member that joined gets no messages")
		}
		// The oldest member leaves in the middle of its work.
		send(100)
		t.must(members[i].subscriber.Close(), "Subscriber.Close")
		t.must(members[i].consumer.Close(), "Consumer.Close")
	}
	var lost, got []string
	t.eventually(t.arrive, func() bool {
		got = nil
		for _, in := range inboxes {
			got = append(got, in.texts()...)
		}
		lost = without(texts(0, sent), got)
		return len(lost) == 0
	})
	t.Logf("%d sent, %d came, %d of them again", sent, len(firsts(got)), len(got)-len(firsts(got)))
	if len(lost) > 0 {
		t.fail("%d of %d messages were lost: %s", len(lost), sent, short(lost))
	}
}

func groupOffline(t *trial) {
	const n = 20
	l := t.open(setup{Channel: Channel{Group: "offline"}})
	in := l.receive(accept)
	l.send(text(0))
	in.waitSettled(text(0))
	in.stop()
	t.must(l.subscriber.Close(), "Subscriber.Close")
	t.must(l.consumer.Close(), "Consumer.Close")
	l.send(texts(1, n)...)
	l.openConsumer()
	in = l.receive(accept)
	in.waitFor(texts(1, n)...)
	t.exactly(in.texts(), texts(1, n))
}

func concurrency(t *trial) {
	const limit, n = 4, 64
	release := t.gate()
	l := t.open(setup{Settings: Settings{Concurrency: limit}, Channel: Channel{Group: "several", Partitions: 16}})
	in := l.receive(func(delivery) error { release.wait(); return nil })
	sent := l.spread(texts(0, n)...)
	reached := in.await(t.arrive, func() bool { return in.running == limit })
	// More would have been started by now if nothing held them back.
	time.Sleep(t.quiet)
	release.open()
	if !reached {
		t.fatal("expected %d handlers at once, got %d", limit, in.peak())
	}
	t.must(sent(), "Send")
	in.waitFor(texts(0, n)...)
	if in.peak() > limit {
		t.fail("expected at most %d handlers at once, got %d", limit, in.peak())
	}
}

func oneHandler(t *trial) {
	l := t.open(setup{})
	in := l.receive(func(delivery) error { time.Sleep(time.Millisecond); return nil })
	sent := l.sendAside(texts(0, 50)...)
	in.waitFor(texts(0, 50)...)
	t.must(sent(), "Send")
	if in.peak() != 1 {
		t.fail("expected one handler at a time, got %d", in.peak())
	}
}

func backpressure(t *trial) {
	const limit, n = 2, 100
	release := t.gate()
	l := t.open(setup{Settings: Settings{Concurrency: limit}, Channel: Channel{Group: "pressed"}})
	in := l.receive(func(delivery) error { release.wait(); return nil })
	sent := l.sendAside(texts(0, n)...)
	in.wait(1)
	time.Sleep(t.quiet)
	started := len(in.texts())
	release.open()
	if started > limit {
		t.fail("expected at most %d handlers to be started while they block, got %d", limit, started)
	}
	in.waitFor(texts(0, n)...)
	t.must(sent(), "Send")
	if got := in.texts(); len(got) != n {
		t.fail("expected %d deliveries, got %d", n, len(got))
	}
}

func idleSubscriber(t *trial) {
	l := t.open(setup{})
	busy := l.also(t.address())
	in := busy.receive(accept)
	idleSent := l.sendAside(texts(0, 20)...)
	busy.send(texts(0, 20)...)
	in.waitFor(texts(0, 20)...)
	t.must(l.subscriber.Close(), "Close of a subscriber that never received")
	if t.caps.NoServer {
		return
	}
	t.must(idleSent(), "Send to the idle subscriber's address")
	busy.send(text(20))
	in.waitFor(text(20))
}

func slowNeighbour(t *trial) {
	release := t.gate()
	l := t.open(setup{})
	slow := l.receive(func(delivery) error { release.wait(); return nil })
	sent := l.sendAside(text(0))
	slow.wait(1)
	other := l.also(t.address())
	in := other.receive(accept)
	quick := other.sendAside(texts(0, 20)...)
	came := in.await(t.grace, func() bool { return len(in.got) >= 20 })
	release.open()
	if !came {
		t.fail("expected 20 messages while another handler was busy, got %s", short(in.texts()))
	}
	t.must(errors.Join(sent(), quick()), "Send")
}

func slowHandler(t *trial) {
	keepAlive := time.Second
	slow := time.Duration(t.pick(3, 45)) * time.Second
	t.arrive += slow
	l := t.open(setup{Settings: Settings{KeepAlive: keepAlive, Timeout: 2 * slow}, Channel: Channel{Group: "slow"}})
	in := l.receive(func(d delivery) error {
		if number(d.text) == 0 {
			time.Sleep(slow)
		}
		return nil
	})
	sent := l.sendAside(texts(0, 3)...)
	in.waitSettled(text(0))
	in.waitFor(texts(0, 3)...)
	t.must(sent(), "Send")
	if got := in.texts(); len(got) != 3 {
		t.fail("expected 3 deliveries, got %s", short(got))
	}
	if p := t.proxy("consumer"); p != nil && p.Open() < p.Accepted() && !t.caps.NoServer {
		t.Logf("%d of %d connections were closed meanwhile", p.Accepted()-p.Open(), p.Accepted())
	}
}

func handlerSends(t *trial) {
	const n = 20
	l := t.open(setup{})
	echo := l
	if !t.caps.OneAddress {
		echo = l.also(t.address())
	} else {
		echo = t.open(setup{})
	}
	echoed := echo.receive(accept)
	in := l.receive(func(d delivery) error {
		return echo.publisher.Send(t.ctx, t.envelope(d.text))
	})
	l.send(texts(0, n)...)
	echoed.waitFor(texts(0, n)...)
	in.waitSettled(texts(0, n)...)
}
