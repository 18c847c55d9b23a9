package franz_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	driver "github.com/asyncapi-impl/asyncapi-impl/catalog/kafka/franz"
)

// deaf is a connection that loses the answer to its next Produce request.
type deaf struct {
	net.Conn
	armed *atomic.Bool
	lose  atomic.Bool
}

func (c *deaf) Write(p []byte) (int, error) {
	if len(p) > 6 && p[4] == 0 && p[5] == 0 && c.armed.CompareAndSwap(true, false) {
		c.lose.Store(true)
	}
	return c.Conn.Write(p)
}

func (c *deaf) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 && c.lose.Load() {
		c.Conn.Close()
		return 0, io.ErrUnexpectedEOF
	}
	return n, err
}

func TestLostConfirmationIsStoredOnce(t *testing.T) {
	url, topic := broker(t), newTopic()
	var armed atomic.Bool
	p := producer(t, url, &driver.Options{Native: []kgo.Opt{kgo.Dialer(func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, network, address)
		return &deaf{Conn: c, armed: &armed}, err
	})}})
	pub := create(t, p, topic, 1)
	var want []string
	for i := range 20 {
		armed.Store(true)
		send(t, pub, envelope("", fmt.Sprint(i)))
		if armed.Load() {
			t.Error("no answer was lost")
		}
		want = append(want, fmt.Sprint(i))
	}
	send(t, pub, envelope("", "end"))
	if got := payloads(receive(t, subscriber(t, consumer(t, url, nil), topic, inGroup(topic)), 21)); got != strings.Join(want, " ")+" end" {
		t.Errorf("stored: %s", got)
	}
}

// What a Send gave up is not sent later, and the Send beside it is not harmed.
func TestEndedSendTakesNoOtherAlong(t *testing.T) {
	cluster, url := embedded(t)
	topic := newTopic()
	p := producer(t, url, &driver.Options{
		MinBackoff: 5 * time.Millisecond, MaxBackoff: 10 * time.Millisecond,
		Native: []kgo.Opt{kgo.MetadataMinAge(10 * time.Millisecond)}, // what the library waits for between two attempts
	})
	pub := create(t, p, topic, 1)
	fault := cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: topic, Err: kerr.NotEnoughReplicas, Count: -1})
	short, end := context.WithCancel(context.Background())
	defer end()
	results := make(chan error, 2)
	go func() { results <- pub.Send(within(t, 30*time.Second), envelope("", "before")) }()
	if err := fault.Wait(within(t, 10*time.Second), 1); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- pub.Send(short, envelope("", "ended")) }()
	go func() { results <- pub.Send(within(t, 30*time.Second), envelope("", "after")) }()
	if err := fault.Wait(within(t, 10*time.Second), 10); err != nil {
		t.Fatal(err)
	}
	end()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	// By then no batch is left that the record was in.
	if err := fault.Wait(within(t, 10*time.Second), 30); err != nil {
		t.Fatal(err)
	}
	fault.Remove()
	for range 2 {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	send(t, pub, envelope("", "end"))
	sub := subscriber(t, consumer(t, url, nil), topic, inGroup(topic))
	if got := payloads(receive(t, sub, 3)); got != "before after end" && got != "after before end" {
		t.Errorf("stored: %s", got)
	}
}

func TestAbortedTransactionsAreNotDelivered(t *testing.T) {
	url, topic := broker(t), newTopic()
	p := producer(t, url, nil)
	pub := create(t, p, topic, 1)
	foreign, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(url, ",")...), kgo.TransactionalID(topic), kgo.DefaultProduceTopic(topic))
	if err != nil {
		t.Fatal(err)
	}
	defer foreign.Close()
	ctx := within(t, 30*time.Second)
	for i, end := range []kgo.TransactionEndTry{kgo.TryAbort, kgo.TryCommit, kgo.TryAbort} {
		if err := foreign.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		if err := foreign.ProduceSync(ctx, kgo.StringRecord(fmt.Sprint(i))).FirstErr(); err != nil {
			t.Fatal(err)
		}
		if err := foreign.EndTransaction(ctx, end); err != nil {
			t.Fatal(err)
		}
	}
	send(t, pub, envelope("", "end"))
	sub := subscriber(t, consumer(t, url, nil), topic, inGroup(topic))
	if got := payloads(receive(t, sub, 2)); got != "1 end" {
		t.Errorf("got %q", got)
	}
	if n := committed(t, p.Native(), topic, topic, 1); n != 7 {
		t.Errorf("committed %d, not past the markers", n)
	}
}

// A partition goes to another member when the handler is through and what it
// settled is committed.
func TestRevokeWaitsForTheHandler(t *testing.T) {
	cluster, url := embedded(t)
	topic := newTopic()
	pub := create(t, producer(t, url, nil), topic, 1)
	send(t, pub, envelope("", "1"), envelope("", "2"))
	c := consumer(t, url, fast)
	ctx, cancel := context.WithCancel(within(t, 30*time.Second))
	defer cancel()
	entered, proceed := make(chan string, 10), make(chan struct{})
	var wg sync.WaitGroup
	for i := range 2 {
		sub := subscriber(t, c, topic, inGroup(topic))
		wg.Go(func() {
			_ = sub.Receive(ctx, func(_ context.Context, e *driver.EnvelopeIn) error {
				entered <- string(e.Payload())
				<-proceed
				return nil
			})
		})
		if i == 0 {
			if got := <-entered; got != "1" {
				t.Errorf("got %s first", got)
			}
		}
	}
	if _, err := cluster.WaitGroupInfo(ctx, topic, func(g *kfake.GroupInfo) bool { return g != nil && g.State == "PreparingRebalance" }); err != nil {
		t.Fatal("the second member did not join:", err)
	}
	select {
	case got := <-entered:
		t.Errorf("%s came while the handler of 1 runs", got)
	case <-time.After(300 * time.Millisecond): // a rebalance takes a few milliseconds
	}
	close(proceed)
	if got := <-entered; got != "2" {
		t.Errorf("then came %s", got)
	}
	cancel()
	wg.Wait()
}

// A member that waits for the others must not keep Receive from its end.
func TestReceiveEndsWhileTheGroupRebalances(t *testing.T) {
	cluster, url := embedded(t)
	topic := newTopic()
	send(t, create(t, producer(t, url, nil), topic, 1), envelope("", "1"))
	c := consumer(t, url, &driver.Options{SessionTimeout: 2 * time.Second})
	ctx, cancel := context.WithCancel(within(t, 30*time.Second))
	defer cancel()
	entered, proceed := make(chan struct{}), make(chan struct{})
	first := subscriber(t, c, topic, inGroup(topic))
	var wg sync.WaitGroup
	wg.Go(func() {
		_ = first.Receive(ctx, func(context.Context, *driver.EnvelopeIn) error { close(entered); <-proceed; return nil })
	})
	<-entered
	second := subscriber(t, c, topic, inGroup(topic))
	short, end := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() {
		done <- second.Receive(short, func(context.Context, *driver.EnvelopeIn) error { return nil })
	}()
	if _, err := cluster.WaitGroupInfo(ctx, topic, func(g *kfake.GroupInfo) bool { return g != nil && g.State == "PreparingRebalance" }); err != nil {
		t.Fatal("the second member did not join:", err)
	}
	start := time.Now()
	end()
	if err := <-done; !errors.Is(err, context.Canceled) || time.Since(start) > time.Second {
		t.Errorf("after %v: %v", time.Since(start), err)
	}
	close(proceed)
	cancel()
	wg.Wait()
}

// The library reads ahead for a partition whose handler stands still, up to a
// limit; the others go on, and nothing is missing when it moves again.
func TestSlowPartition(t *testing.T) {
	url, topic := broker(t), newTopic()
	pub := create(t, producer(t, url, nil), topic, 2)
	const total, size = 400, 2000
	for partition := range 2 {
		var all []*driver.EnvelopeOut
		for i := range total {
			e := envelope("", fmt.Sprintf("%d %s", i, strings.Repeat("x", size)))
			e.SetPartition(partition)
			all = append(all, e)
			if len(all) == 5 { // small batches, so that a fetch takes few
				send(t, pub, all...)
				all = nil
			}
		}
	}
	sub := subscriber(t, consumer(t, url, &driver.Options{Concurrency: 2, MaxFetchBytes: 30 * size}), topic, inGroup(topic))
	ctx, cancel := context.WithCancel(within(t, 30*time.Second))
	defer cancel()
	var mu sync.Mutex
	var got [2][]string
	free := make(chan struct{})
	err := sub.Receive(ctx, func(_ context.Context, e *driver.EnvelopeIn) error {
		if e.Partition() == 0 {
			<-free
		}
		mu.Lock()
		defer mu.Unlock()
		number, _, _ := strings.Cut(string(e.Payload()), " ")
		got[e.Partition()] = append(got[e.Partition()], number)
		if len(got[1]) == total && len(got[0]) == 0 {
			close(free)
		}
		if len(got[0])+len(got[1]) == 2*total {
			cancel()
		}
		return nil
	})
	var want []string
	for i := range total {
		want = append(want, fmt.Sprint(i))
	}
	for partition := range got {
		if !slices.Equal(got[partition], want) {
			t.Errorf("partition %d: %d records, %v (%v)", partition, len(got[partition]), got[partition], err)
		}
	}
}

// Leaders move from server to server while records flow.
func TestLeadersMove(t *testing.T) {
	cluster, url := embedded(t, kfake.NumBrokers(3))
	topic := newTopic()
	p := producer(t, url, nil)
	pub := create(t, p, topic, 4)
	sub := subscriber(t, consumer(t, url, fast), topic, inGroup(topic))
	ctx, cancel := context.WithCancel(within(t, 60*time.Second))
	defer cancel()
	const total = 400
	last := map[string]int{}
	seen := map[int]int{}
	done := make(chan error, 1)
	go func() {
		done <- sub.Receive(ctx, func(_ context.Context, e *driver.EnvelopeIn) error {
			var i int
			if _, err := fmt.Sscan(string(e.Payload()), &i); err != nil {
				return err
			}
			if seen[i]++; seen[i] == 1 && i < last[string(e.Key())] {
				t.Errorf("%d came after %d", i, last[string(e.Key())])
			}
			last[string(e.Key())] = max(i, last[string(e.Key())])
			if len(seen) == total {
				cancel()
			}
			return nil
		})
	}()
	for i := range total {
		send(t, pub, envelope(fmt.Sprint(i%7), fmt.Sprint(i)))
		if i%50 == 25 {
			cluster.ShufflePartitionLeaders()
		}
		if i%100 == 75 {
			cluster.RehashCoordinators()
		}
	}
	if err := <-done; !errors.Is(err, context.Canceled) || len(seen) != total {
		t.Errorf("%d of %d came: %v", len(seen), total, err)
	}
}

// The library refuses values outside of its limits.
func TestOptionsOfAnySize(t *testing.T) {
	url := broker(t)
	for _, o := range []*driver.Options{
		{MaxFetchBytes: 1}, {MaxFetchBytes: 200 << 20}, {MaxFetchBytes: 1 << 40}, {MaxBatchBytes: 1}, {MaxBatchBytes: 1 << 30},
		{Timeout: 90 * time.Millisecond}, {Timeout: 400 * time.Hour}, {SessionTimeout: time.Second}, {SessionTimeout: 5 * time.Minute},
		{RebalanceTimeout: time.Second}, {MinBackoff: time.Nanosecond, MaxBackoff: time.Nanosecond}, {Concurrency: 1000},
	} {
		topic := newTopic()
		wait := *o
		if wait.Timeout > 0 && wait.Timeout < time.Second {
			wait.Timeout = 0 // too short for a real server that is busy
			if _, err := driver.NewProducer("127.0.0.1:1", nil, o); err == nil {
				t.Error("reached a server that is not there")
			}
		}
		send(t, create(t, producer(t, url, &wait), topic, 1), envelope("", "a"), envelope("", "b"))
		if got := payloads(receive(t, subscriber(t, consumer(t, url, &wait), topic, inGroup(topic)), 2)); got != "a b" {
			t.Errorf("%+v: got %q", o, got)
		}
	}
}
