package conformance

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

var orderChecks = []check{
	{name: "order", topic: "order", rows: []int{15},
		promise: "Messages sent one after the other arrive all, once, in that order.",
		needs:   []need{lossless, ordered},
		run:     order},
	{name: "all-arrive", topic: "order", rows: []int{15},
		promise: "Messages sent one after the other arrive all, once.",
		needs:   []need{lossless},
		run:     allArrive},
	{name: "batch", topic: "order", rows: []int{8},
		promise: "Several envelopes in one Send arrive all, in their order where the protocol keeps one.",
		needs:   []need{lossless},
		run:     batch},
	{name: "batch-partial-failure", topic: "order", rows: []int{8, 56},
		promise: "When some envelopes of a Send fail, SendErrors tells by index which; the others arrive.",
		needs:   []need{lossless},
		run:     batchPartialFailure},
	{name: "concurrent-send", topic: "order", rows: []int{11},
		promise: "A Publisher is safe for concurrent use: nothing is lost, doubled or mixed up.",
		needs:   []need{lossless},
		run:     concurrentSend},
	{name: "concurrent-publishers", topic: "order", rows: []int{11},
		promise: "A Producer is safe for concurrent use: publishers are opened, used and closed side by side.",
		needs:   []need{lossless},
		run:     concurrentPublishers},
	{name: "many-addresses", topic: "order", rows: []int{12},
		promise: "Messages of many addresses on one connection do not mix.",
		needs:   []need{addresses, lossless},
		run:     manyAddresses},
	{name: "order-per-key", topic: "order", rows: []int{15, 27},
		promise: "With several handlers at once the messages of one key are still handled one after the other, in order.",
		needs:   []need{keys, ordered},
		run:     orderPerKey},
	{name: "stress", topic: "order", rows: []int{62},
		promise: "10,000 messages of 1 KiB from several publishers arrive all, once.",
		needs:   []need{lossless},
		long:    true,
		run:     stress},
}

// exactly fails unless the payloads came all, once, in order if it is kept.
func (t *trial) exactly(got, want []string) {
	t.Helper()
	sorted, expected := slices.Clone(got), slices.Clone(want)
	slices.Sort(sorted)
	slices.Sort(expected)
	switch {
	case !slices.Equal(sorted, expected):
		t.fail("expected each of %d messages once, got %d of which %d differ: %s", len(want), len(got), len(firsts(got)), short(got))
	case !t.caps.Unordered && !slices.Equal(got, want):
		for i := range got {
			if got[i] != want[i] {
				t.fail("expected %s at position %d, got %s; around it: %s", want[i], i, got[i], short(got[max(0, i-3):min(len(got), i+4)]))
				return
			}
		}
	}
}

func order(t *trial) {
	n := t.pick(1000, 10000)
	l := t.open(setup{})
	in := l.receive(accept)
	l.send(texts(0, n)...)
	in.waitFor(texts(0, n)...)
	t.exactly(in.texts(), texts(0, n))
}

func allArrive(t *trial) {
	n := t.pick(200, 10000)
	l := t.open(setup{Settings: Settings{Concurrency: 4}})
	in := l.receive(accept)
	l.send(texts(0, n)...)
	in.waitFor(texts(0, n)...)
	got := in.texts()
	slices.Sort(got)
	t.exactly(got, texts(0, n))
}

func batch(t *trial) {
	const n = 300
	l := t.open(setup{})
	in := l.receive(accept)
	var envelopes []EnvelopeOut
	for _, payload := range texts(0, n) {
		envelopes = append(envelopes, t.envelope(payload))
	}
	t.must(l.publisher.Send(t.ctx, envelopes...), "Send of several envelopes")
	t.must(l.publisher.Send(t.ctx), "Send of no envelope")
	in.waitFor(texts(0, n)...)
	t.exactly(in.texts(), texts(0, n))
}

func batchPartialFailure(t *trial) {
	l := t.open(setup{})
	in := l.receive(accept)
	var envelopes []EnvelopeOut
	for _, payload := range texts(0, 5) {
		envelopes = append(envelopes, t.envelope(payload))
	}
	const bad = 2
	envelopes[bad].SetHeaders(map[string]any{"x-bad": struct{ A int }{1}})
	err := l.publisher.Send(t.ctx, envelopes...)
	if !errors.Is(err, t.d.errors.Unsupported) {
		t.fatal("expected an error that is ErrUnsupported, got %s", describe(err))
	}
	entries := t.d.sendErrors(err)
	if len(entries) != len(envelopes) {
		t.fatal("expected SendErrors with %d entries, got %d in %v", len(envelopes), len(entries), err)
	}
	if !errors.Is(entries[bad], t.d.errors.Unsupported) {
		t.fail("expected entry %d to be ErrUnsupported, got %s", bad, describe(entries[bad]))
	}
	var want []string
	for i, entry := range entries {
		if entry == nil {
			want = append(want, text(i))
		}
	}
	l.send(text(5))
	want = append(want, text(5))
	in.waitFor(want...)
	t.exactly(in.texts(), want)
}

func concurrentSend(t *trial) {
	const senders, each = 50, 20
	l := t.open(setup{Settings: Settings{Concurrency: 4}})
	in := l.receive(accept)
	var group sync.WaitGroup
	errs := make([]error, senders)
	for s := 0; s < senders; s++ {
		group.Add(1)
		go func(s int) {
			defer group.Done()
			for _, payload := range texts(s*each, (s+1)*each) {
				errs[s] = errors.Join(errs[s], l.publisher.Send(t.ctx, t.envelope(payload+strings.Repeat("=", s*10))))
			}
		}(s)
	}
	group.Wait()
	t.must(errors.Join(errs...), "Send from several goroutines")
	in.wait(senders * each)
	var got []string
	for _, d := range in.deliveries() {
		i := number(d.text)
		if d.text != text(i)+strings.Repeat("=", i/each*10) {
			t.fatal("the payload %.60q is not one that was sent", d.text)
		}
		got = append(got, text(i))
	}
	slices.Sort(got)
	t.exactly(got, texts(0, senders*each))
}

func concurrentPublishers(t *trial) {
	const senders, each = 10, 10
	l := t.open(setup{Settings: Settings{Concurrency: 4}})
	in := l.receive(accept)
	var group sync.WaitGroup
	errs := make([]error, senders)
	for s := 0; s < senders; s++ {
		group.Add(1)
		go func(s int) {
			defer group.Done()
			for _, payload := range texts(s*each, (s+1)*each) {
				p, err := l.producer.open(t.ctx, l.address, l.setup.Channel)
				if err != nil {
					errs[s] = err
					return
				}
				errs[s] = errors.Join(errs[s], p.Send(t.ctx, t.envelope(payload)), p.Close())
			}
		}(s)
	}
	group.Wait()
	t.must(errors.Join(errs...), "publishers side by side")
	in.waitFor(texts(0, senders*each)...)
	got := in.texts()
	slices.Sort(got)
	t.exactly(got, texts(0, senders*each))
}

func manyAddresses(t *trial) {
	const n, each = 8, 20
	lanes := []*link{t.open(setup{})}
	inboxes := []*inbox{lanes[0].receive(accept)}
	for i := 1; i < n; i++ {
		lanes = append(lanes, lanes[0].also(t.address()))
		inboxes = append(inboxes, lanes[i].receive(accept))
	}
	for m := 0; m < each; m++ {
		for i, lane := range lanes {
			lane.send(fmt.Sprintf("%d/%s", i, text(m)))
		}
	}
	for i, in := range inboxes {
		var want []string
		for m := 0; m < each; m++ {
			want = append(want, fmt.Sprintf("%d/%s", i, text(m)))
		}
		in.waitFor(want...)
		t.exactly(in.texts(), want)
	}
}

func orderPerKey(t *trial) {
	const keys, each, burst = 8, 40, 4
	l := t.open(setup{Settings: Settings{Concurrency: 4}, Channel: Channel{Group: "keys", Partitions: 4}})
	var busy [keys]atomic.Int32
	in := l.receive(func(d delivery) error {
		k := d.text[0] - '0'
		if busy[k].Add(1) > 1 {
			t.fail("two messages of the key %d are handled at once", k)
		}
		time.Sleep(time.Millisecond)
		busy[k].Add(-1)
		return nil
	})
	var want []string
	for i := 0; i < keys*each; i++ {
		// Each key's messages come in bursts, so that they would overlap.
		k, m := i/burst%keys, i/burst/keys*burst+i%burst
		out := t.envelope(fmt.Sprintf("%d/%s", k, text(m)))
		t.d.setKey(out, fmt.Sprint("key-", k))
		t.must(l.publisher.Send(t.ctx, out), "Send")
		want = append(want, fmt.Sprintf("%d/%s", k, text(m)))
	}
	in.waitFor(want...)
	for k := 0; k < keys; k++ {
		prefix := fmt.Sprintf("%d/", k)
		other := func(p string) bool { return !strings.HasPrefix(p, prefix) }
		t.exactly(slices.DeleteFunc(in.texts(), other), slices.DeleteFunc(slices.Clone(want), other))
	}
}

func stress(t *trial) {
	const senders, each = 10, 1000
	l := t.open(setup{Settings: Settings{Concurrency: 8}, Channel: Channel{Partitions: 4}})
	in := l.receive(accept)
	padding := strings.Repeat(".", 1000)
	var group sync.WaitGroup
	errs := make([]error, senders)
	for s := 0; s < senders; s++ {
		group.Add(1)
		go func(s int) {
			defer group.Done()
			for i := s * each; i < (s+1)*each; i += 20 {
				var envelopes []EnvelopeOut
				for _, payload := range texts(i, i+20) {
					envelopes = append(envelopes, t.envelope(payload+padding))
				}
				errs[s] = errors.Join(errs[s], l.publisher.Send(t.ctx, envelopes...))
			}
		}(s)
	}
	group.Wait()
	t.must(errors.Join(errs...), "Send from several goroutines")
	var want []string
	for _, payload := range texts(0, senders*each) {
		want = append(want, payload+padding)
	}
	in.waitFor(want...)
	got := in.texts()
	slices.Sort(got)
	t.exactly(got, want)
}
