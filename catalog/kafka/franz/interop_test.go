package franz_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/asyncapi-impl/asyncapi-impl/catalog/kafka/franz"
	"github.com/asyncapi-impl/asyncapi-impl/catalog/kafka/segmentio"
)

// out and in are what the tests use of the envelopes of both drivers.
type (
	out interface {
		SetPayload([]byte)
		SetKey([]byte)
		SetHeaders(map[string]any)
		SetContentType(string)
	}
	in interface {
		Payload() []byte
		Key() []byte
		Partition() int
		Offset() int64
		Headers() map[string]any
		ContentType() string
	}
)

// peer is one of the two drivers.
type peer struct {
	name string
	// send sends an envelope for each function, in one call.
	send func(t testing.TB, url, topic string, fill ...func(out))
	// receive runs a Receive until ctx ends.
	receive func(ctx context.Context, t testing.TB, url, topic, group string, handle func(in) error)
}

var peers = []peer{
	{
		name: "franz",
		send: func(t testing.TB, url, topic string, fill ...func(out)) {
			var all []*franz.EnvelopeOut
			for _, f := range fill {
				e := franz.NewEnvelopeOut()
				f(e)
				all = append(all, e)
			}
			send(t, publisher(t, producer(t, url, nil), topic, nil), all...)
		},
		receive: func(ctx context.Context, t testing.TB, url, topic, group string, handle func(in) error) {
			sub := subscriber(t, consumer(t, url, fast), topic, inGroup(group))
			err := sub.Receive(ctx, func(_ context.Context, e *franz.EnvelopeIn) error { return handle(e) })
			if !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		},
	},
	{
		name: "segmentio",
		send: func(t testing.TB, url, topic string, fill ...func(out)) {
			p, err := segmentio.NewProducer(url, nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			pub, err := p.Publisher(within(t, 20*time.Second), topic, nil)
			if err != nil {
				t.Fatal(err)
			}
			var all []*segmentio.EnvelopeOut
			for _, f := range fill {
				e := segmentio.NewEnvelopeOut()
				f(e)
				all = append(all, e)
			}
			if err := pub.Send(within(t, 20*time.Second), all...); err != nil {
				t.Fatal(err)
			}
		},
		receive: func(ctx context.Context, t testing.TB, url, topic, group string, handle func(in) error) {
			c, err := segmentio.NewConsumer(url, nil, &segmentio.Options{SessionTimeout: fast.SessionTimeout, RebalanceTimeout: fast.RebalanceTimeout})
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			sub, err := c.Subscriber(ctx, topic, &segmentio.ChannelBindings{
				Operation: &segmentio.OperationBindings{GroupID: segmentio.Value(group)},
			})
			if err != nil {
				t.Error(err)
				return
			}
			err = sub.Receive(ctx, func(_ context.Context, e *segmentio.EnvelopeIn) error { return handle(e) })
			if !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		},
	},
}

func keyed(i int) func(out) {
	return func(e out) {
		e.SetKey(fmt.Appendf(nil, "key %d", i))
		e.SetPayload(fmt.Append(nil, i))
		e.SetHeaders(map[string]any{"number": i, "twice": []string{"a", "b"}, "raw": []byte{0, 0xff}})
		e.SetContentType("text/plain")
	}
}

// What one driver sends reads the same by both, and is in the same place.
func TestBothDriversMeanTheSame(t *testing.T) {
	url, topic := broker(t), newTopic()
	create(t, producer(t, url, nil), topic, 5)
	var fill []func(out)
	for i := range 40 {
		fill = append(fill, keyed(i))
	}
	fill = append(fill,
		func(e out) { e.SetKey([]byte("tombstone")); e.SetPayload(nil) },
		func(e out) { e.SetKey([]byte("empty")); e.SetPayload([]byte{}) },
		func(e out) { e.SetKey([]byte{}); e.SetPayload([]byte("an empty key")) },
	)
	var sent [2][]string
	for i, from := range peers {
		for _, to := range peers {
			topic := topic
			if i == 1 {
				topic += "-again"
				create(t, producer(t, url, nil), topic, 5)
			}
			if len(sent[i]) == 0 {
				from.send(t, url, topic, fill...)
			}
			got := map[string]string{}
			ctx, cancel := context.WithCancel(within(t, 30*time.Second))
			to.receive(ctx, t, url, topic, topic+to.name, func(e in) error {
				got[string(e.Key())] = fmt.Sprintf("%q %q %t %d %d %q %v", e.Key(), e.Payload(), e.Payload() == nil, e.Partition(), e.Offset(), e.ContentType(), e.Headers())
				if len(got) == len(fill) {
					cancel()
				}
				return nil
			})
			cancel()
			all := slices.Sorted(maps.Values(got))
			if len(sent[i]) == 0 {
				sent[i] = all
			}
			if !slices.Equal(all, sent[i]) {
				t.Errorf("%s reads of %s\n%s, not\n%s", to.name, from.name, strings.Join(all, "\n"), strings.Join(sent[i], "\n"))
			}
		}
	}
	if !slices.Equal(sent[0], sent[1]) {
		t.Errorf("franz sends\n%s, segmentio\n%s", strings.Join(sent[0], "\n"), strings.Join(sent[1], "\n"))
	}
}

// One goes on where the other one ended.
func TestBothDriversShareAGroupInTurn(t *testing.T) {
	url, topic := broker(t), newTopic()
	create(t, producer(t, url, nil), topic, 3)
	const rounds, each = 6, 10
	seen := map[string]int{}
	for round := range rounds {
		var fill []func(out)
		for i := range each {
			fill = append(fill, keyed(round*each+i))
		}
		peers[round%2].send(t, url, topic, fill...)
		// Every second round leaves some to the next one.
		want := (round + 1) * each
		if round%2 == 0 {
			want -= 3
		}
		ctx, cancel := context.WithCancel(within(t, 30*time.Second))
		peers[round/2%2].receive(ctx, t, url, topic, topic, func(e in) error {
			seen[string(e.Payload())]++
			if len(seen) == want {
				cancel()
			}
			return nil
		})
		cancel()
	}
	for payload, n := range seen {
		if n != 1 {
			t.Errorf("%s came %d times", payload, n)
		}
	}
	if len(seen) != rounds*each {
		t.Errorf("%d of %d came", len(seen), rounds*each)
	}
}

// Members of one group can be of both drivers, whichever leads it.
func TestBothDriversInOneGroup(t *testing.T) {
	for _, order := range [][]peer{{peers[0], peers[1]}, {peers[1], peers[0]}} {
		t.Run(order[0].name+" leads", func(t *testing.T) {
			url, topic := broker(t), newTopic()
			create(t, producer(t, url, nil), topic, 4)
			ctx, cancel := context.WithCancel(within(t, 30*time.Second))
			defer cancel()
			var mu sync.Mutex
			by, seen := map[string]bool{}, map[string]bool{}
			var wg sync.WaitGroup
			defer wg.Wait()
			defer cancel()
			entered := make(chan string, 100_000)
			for _, p := range order {
				wg.Go(func() {
					p.receive(ctx, t, url, topic, topic, func(e in) error {
						mu.Lock()
						defer mu.Unlock()
						by[p.name], seen[string(e.Payload())] = true, true
						entered <- p.name
						return nil
					})
				})
				if p.name == order[0].name {
					p.send(t, url, topic, keyed(-1))
					<-entered
				}
			}
			sent := 0
			both := func() bool {
				mu.Lock()
				defer mu.Unlock()
				return len(by) == 2
			}
			for ; !both() && ctx.Err() == nil; sent += 8 {
				var fill []func(out)
				for i := range 8 {
					fill = append(fill, keyed(sent+i))
				}
				order[0].send(t, url, topic, fill...)
			}
			for ctx.Err() == nil {
				mu.Lock()
				n := len(seen)
				mu.Unlock()
				if n == sent+1 {
					break
				}
				select {
				case <-entered:
				case <-ctx.Done():
					t.Fatalf("%d of %d came, by %v", n, sent+1, by)
				}
			}
		})
	}
}
