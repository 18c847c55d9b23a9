package conformance

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

var faultChecks = []check{
	{name: "black-hole", topic: "faults", rows: []int{40},
		promise: "A connection that went silent for good is noticed within a few keep-alive intervals and replaced.",
		needs:   []need{connection, lifeSigns},
		run:     blackHole},
	{name: "long-outage", topic: "faults", rows: []int{43},
		promise: "However long an outage lasts, both sides carry on when it ends.",
		needs:   []need{connection},
		run:     longOutage},
	{name: "outage-logged", topic: "faults",
		promise: "The Logger is told of an outage and of its end, once each and not for every attempt.",
		needs:   []need{connection, server},
		run:     outageLogged},
	{name: "cut", topic: "faults", rows: []int{40},
		promise: "When connections end (FIN) both sides carry on by themselves and nothing is lost.",
		needs:   []need{connection},
		run:     func(t *trial) { t.sides((*Proxy).Cut) }},
	{name: "reset", topic: "faults", rows: []int{40},
		promise: "When connections break (RST) both sides carry on by themselves and nothing is lost.",
		needs:   []need{connection},
		run:     func(t *trial) { t.sides((*Proxy).Reset) }},
	{name: "reset-often", topic: "faults", rows: []int{40},
		promise: "Connections that break again and again delay messages but lose none.",
		needs:   []need{connection},
		run:     resetOften},
	{name: "stall", topic: "faults", rows: []int{40},
		promise: "A network that stands still for a moment loses nothing, whichever direction stands.",
		needs:   []need{connection},
		run:     stall},
	{name: "slow-network", topic: "faults", rows: []int{41},
		promise: "Latency does not matter, nor where the network splits the stream.",
		needs:   []need{connection},
		run:     slowNetwork},
	{name: "down-at-start", topic: "faults", rows: []int{42},
		promise: "A server that is down at the start is an error within Timeout that tells the cause.",
		needs:   []need{connection},
		run:     downAtStart},
	{name: "silent-at-start", topic: "faults", rows: []int{42},
		promise: "A server that accepts and stays silent is an error within Timeout.",
		needs:   []need{connection, confirmed},
		run:     silentAtStart},
	{name: "listener-restart", topic: "faults", rows: []int{39},
		promise: "When the listening side was restarted the dialling side carries on.",
		needs:   []need{noServer, connection},
		run:     listenerRestart},
}

// traffic sends numbered messages until it is stopped.
type traffic struct {
	l       *link
	in      *inbox
	stopped atomic.Bool
	done    chan struct{}
	mu      sync.Mutex
	sent    []string // confirmed by Send
	next    int
	failed  []error
}

func (l *link) traffic(in *inbox) *traffic { return l.trafficFrom(0, in) }

func (l *link) trafficFrom(first int, in *inbox) *traffic {
	f := &traffic{l: l, in: in, next: first, done: make(chan struct{})}
	go func() {
		defer close(f.done)
		for !f.stopped.Load() && l.t.ctx.Err() == nil {
			f.mu.Lock()
			payload := text(f.next)
			f.next++
			f.mu.Unlock()
			ctx, cancel := context.WithTimeout(l.t.ctx, l.t.arrive)
			err := l.publisher.Send(ctx, l.t.envelope(payload))
			cancel()
			f.mu.Lock()
			if err == nil {
				f.sent = append(f.sent, payload)
			} else {
				f.failed = append(f.failed, err)
			}
			f.mu.Unlock()
			time.Sleep(time.Millisecond)
		}
	}()
	return f
}

// flows waits until n messages have come that were sent from now on.
func (f *traffic) flows(when string, n int) {
	t := f.l.t
	t.Helper()
	f.mu.Lock()
	from := f.next
	f.mu.Unlock()
	flows := f.in.await(t.arrive, func() bool {
		fresh := 0
		for i := len(f.in.got) - 1; i >= 0 && fresh < n; i-- {
			if number(f.in.got[i].text) >= from {
				fresh++
			}
		}
		return fresh >= n
	})
	if !flows {
		f.stopped.Store(true)
		t.fatal("no messages flow %s: %d were sent before, %d since then%s%s", when, from, f.count()-from, f.in.whyEnded(), f.why())
	}
}

func (f *traffic) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.next
}

func (f *traffic) why() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.failed) == 0 {
		return ""
	}
	return ". Send failed with " + f.failed[0].Error()
}

func (f *traffic) stop() {
	f.stopped.Store(true)
	<-f.done
}

// finish stops sending and looks at what came of it.
func (f *traffic) finish() {
	t := f.l.t
	t.Helper()
	f.stop()
	if len(f.failed) > 0 && !t.caps.NoConfirm {
		t.fail("Send failed during the fault although its ctx had not ended: %v", f.failed[0])
	}
	if !t.caps.AtMostOnce {
		f.in.waitFor(f.sent...)
	}
	got := f.in.texts()
	unique := firsts(got)
	t.Logf("%d sent, %d confirmed, %d came, %d of them again", len(f.sent)+len(f.failed), len(f.sent), len(unique), len(got)-len(unique))
	if lost := without(f.sent, unique); len(lost) > 0 {
		t.Logf("%d confirmed messages were lost, as this protocol may: %s", len(lost), short(lost))
	}
	if !t.caps.Unordered && !t.caps.Overtaken && !slices.IsSorted(unique) {
		for i := 1; i < len(unique); i++ {
			if unique[i] < unique[i-1] {
				t.fatal("%s came after %s; around it: %s", unique[i], unique[i-1], short(unique[max(0, i-4):min(len(unique), i+4)]))
			}
		}
	}
}

// exactlyFirsts is exactly for a link where a fault may have made duplicates.
func (t *trial) exactlyFirsts(in *inbox, want []string) {
	t.Helper()
	t.exactly(firsts(in.texts()), want)
}

// faulty opens a link with traffic on it.
func (t *trial) faulty(s setup) (*link, *traffic) {
	t.Helper()
	if s.Timeout == 0 {
		s.Timeout = t.arrive
	}
	l := t.open(s)
	f := l.traffic(l.receive(accept))
	f.flows("at the start", 20)
	return l, f
}

// networks are the proxies of a link: the consumer's, the producer's.
func (t *trial) networks() []*Proxy {
	if t.caps.NoServer {
		return []*Proxy{t.proxy("producer")}
	}
	return []*Proxy{t.proxy("consumer"), t.proxy("producer")}
}

// inFlight slows the networks down a little, so that every fault interrupts
// something.
func (t *trial) inFlight() {
	for _, p := range t.networks() {
		p.Latency(3 * time.Millisecond)
	}
}

// sides does something to either side's connections and then to both.
func (t *trial) sides(harm func(*Proxy)) {
	_, f := t.faulty(setup{Channel: Channel{Group: "faults"}})
	t.inFlight()
	for round := 0; round < t.pick(1, 20); round++ {
		for i, p := range t.networks() {
			harm(p)
			f.flows([]string{"after the fault on the first side", "after the fault on the second side"}[i], 20)
		}
		for _, p := range t.networks() {
			harm(p)
		}
		f.flows("after the fault on all sides", 20)
	}
	f.finish()
}

func resetOften(t *trial) {
	_, f := t.faulty(setup{Channel: Channel{Group: "often"}})
	t.inFlight()
	for i := 0; i < t.pick(8, 100); i++ {
		for _, p := range t.networks() {
			p.Reset()
		}
		// Sometimes in the middle of a reconnect, sometimes of a message.
		time.Sleep(time.Duration(i%4) * 50 * time.Millisecond)
	}
	f.flows("after many faults", 20)
	f.finish()
}

func stall(t *trial) {
	_, f := t.faulty(setup{Channel: Channel{Group: "stall"}})
	for _, p := range t.networks() {
		for _, ways := range [][]Direction{{ToServer}, {ToClient}, {ToServer, ToClient}} {
			p.BlackHole(ways...)
			time.Sleep(2 * t.quiet)
			p.Heal()
			f.flows("after the network stood still", 10)
		}
	}
	f.finish()
}

func blackHole(t *trial) {
	keepAlive := time.Second
	_, f := t.faulty(setup{Channel: Channel{Group: "hole"}, Settings: Settings{KeepAlive: keepAlive, Timeout: 2 * time.Second}})
	for _, p := range t.networks() {
		p.Abandon()
		f.flows("after a connection went silent", 20)
	}
	f.finish()
}

func longOutage(t *trial) {
	outage := time.Duration(t.pick(3, 130)) * time.Second
	t.arrive += outage
	_, f := t.faulty(setup{Channel: Channel{Group: "outage"}})
	for _, p := range t.networks() {
		p.Refuse()
		p.Reset()
	}
	time.Sleep(outage)
	for _, p := range t.networks() {
		p.Heal()
	}
	f.flows("after the outage", 20)
	f.finish()
}

func outageLogged(t *trial) {
	var log journal
	l := t.open(setup{
		Channel:  Channel{Group: "logged"},
		Settings: Settings{Backoff: 20 * time.Millisecond},
		consumer: func(s *Settings) { s.Logger = log.logger() },
	})
	in := l.receive(accept)
	l.send(text(0))
	in.waitSettled(text(0))
	p := t.proxy("consumer")
	quiet := log.count()
	attempts := p.Accepted()
	p.Refuse()
	p.Reset()
	t.eventually(t.arrive, func() bool { return p.Accepted() > attempts+15 })
	attempts = p.Accepted() - attempts
	p.Heal()
	f := l.trafficFrom(1, in)
	f.flows("after the outage", 5)
	f.finish()
	switch n := log.count() - quiet; {
	case n == 0:
		t.fail("an outage with %d attempts was not logged", attempts)
	case n > attempts/2:
		t.fail("an outage with %d attempts made %d lines of log:%s", attempts, n, log.text())
	}
}

func slowNetwork(t *trial) {
	const n = 10
	l := t.open(setup{Settings: Settings{Timeout: t.arrive}})
	in := l.receive(accept)
	for _, p := range t.networks() {
		p.Drip()
	}
	l.send(texts(0, n)...)
	in.waitFor(texts(0, n)...)
	for _, p := range t.networks() {
		p.Heal()
		p.Latency(20 * time.Millisecond)
	}
	l.send(texts(n, 2*n)...)
	in.waitFor(texts(n, 2*n)...)
	t.exactly(in.texts(), texts(0, 2*n))
}
