package franz_test

import (
	"context"
	"errors"
	"fmt"
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

	"github.com/asyncapi-impl/asyncapi-impl/catalog/conformance"
	driver "github.com/asyncapi-impl/asyncapi-impl/catalog/kafka/franz"
)

// fast notices a rebalance soon.
var fast = &driver.Options{SessionTimeout: 2 * time.Second, RebalanceTimeout: 10 * time.Second}

func create(t testing.TB, p *driver.Producer, topic string, partitions int) *driver.Publisher {
	t.Helper()
	return publisher(t, p, topic, &driver.ChannelBindings{Partitions: &partitions})
}

func TestWithoutGroupFromNowOn(t *testing.T) {
	url, topic := broker(t), newTopic()
	pub := create(t, producer(t, url, nil), topic, 3)
	c := consumer(t, url, nil)
	for i := range 9 {
		send(t, pub, envelope(fmt.Sprint(i), "before"))
	}
	one, two := subscriber(t, c, topic, nil), subscriber(t, c, topic, nil)
	var want []string
	for i := range 9 {
		send(t, pub, envelope(fmt.Sprint(i), fmt.Sprint(i)))
		want = append(want, fmt.Sprint(i))
	}
	for _, sub := range []*driver.Subscriber{one, two} {
		got := strings.Fields(payloads(receive(t, sub, 9)))
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("got %v", got)
		}
	}
	send(t, pub, envelope("", "next"))
	if got := payloads(receive(t, one, 1)); got != "next" {
		t.Errorf("a second Receive went on with %q", got)
	}
}

func TestGroupStartsAtTheFirstRecordAndGoesOn(t *testing.T) {
	url, topic := broker(t), newTopic()
	pub := create(t, producer(t, url, nil), topic, 1)
	send(t, pub, envelope("", "1"), envelope("", "2"), envelope("", "3"))
	c := consumer(t, url, nil)
	if got := payloads(receive(t, subscriber(t, c, topic, inGroup(topic)), 2)); got != "1 2" {
		t.Errorf("the group began with %q", got)
	}
	if n := committed(t, c.Native(), topic, topic, 1); n != 2 {
		t.Errorf("committed %d of the 2 that were handled", n)
	}
	if got := payloads(receive(t, subscriber(t, c, topic, inGroup(topic)), 1)); got != "3" {
		t.Errorf("the group went on with %q", got)
	}
}

// Members come and go while records flow and handlers take their time. Each
// record must be handled, and the offsets must not pass one that is not.
func TestRebalanceLosesNothing(t *testing.T) {
	url, topic := broker(t), newTopic()
	p := producer(t, url, nil)
	const partitions, total = 4, 600
	pub := create(t, p, topic, partitions)

	var mu sync.Mutex
	handled := map[string]int{}
	all := make(chan struct{})
	handle := func(_ context.Context, e *driver.EnvelopeIn) error {
		time.Sleep(time.Millisecond)
		mu.Lock()
		defer mu.Unlock()
		if handled[string(e.Payload())]++; len(handled) == total && handled[string(e.Payload())] == 1 {
			close(all)
		}
		return nil
	}
	member := func(ctx context.Context) {
		c, err := driver.NewConsumer(url, nil, fast)
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		sub, err := c.Subscriber(ctx, topic, inGroup(topic))
		if err != nil {
			t.Error(err)
			return
		}
		if err := sub.Receive(ctx, handle); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
	ctx, cancel := context.WithCancel(within(t, 60*time.Second))
	defer cancel()
	var wg sync.WaitGroup
	run := func(ctx context.Context) {
		wg.Add(1)
		go func() { defer wg.Done(); member(ctx) }()
	}
	run(ctx)
	wg.Add(1)
	go func() {
		defer wg.Done()
		for i := range total {
			if err := pub.Send(ctx, envelope(fmt.Sprint(i%17), fmt.Sprint(i))); err != nil {
				t.Error(err)
			}
		}
	}()
	reached := func(n int) {
		for {
			mu.Lock()
			have := len(handled)
			mu.Unlock()
			if have >= n || ctx.Err() != nil {
				return
			}
			time.Sleep(time.Millisecond)
		}
	}
	reached(50)
	second, leave := context.WithCancel(ctx)
	run(second)
	reached(200)
	run(ctx)
	reached(350)
	leave()
	select {
	case <-all:
	case <-ctx.Done():
		t.Fatalf("only %d of %d records were handled", len(handled), total)
	}
	cancel()
	wg.Wait()
	twice := 0
	for _, n := range handled {
		twice += n - 1
	}
	t.Logf("%d of %d records came twice", twice, total)
	if n := committed(t, p.Native(), topic, topic, partitions); n != total {
		t.Errorf("committed %d of %d", n, total)
	}
}

// A member that lost its partitions, and does not know it yet, must not commit.
func TestStaleMemberCommitsNothing(t *testing.T) {
	cluster, url := embedded(t)
	topic := newTopic()
	p := producer(t, url, nil)
	pub := create(t, p, topic, 1)
	send(t, pub, envelope("", "1"), envelope("", "2"))
	sub := subscriber(t, consumer(t, url, &driver.Options{SessionTimeout: 2 * time.Second}), topic, inGroup(topic))

	ctx, cancel := context.WithCancel(within(t, 30*time.Second))
	defer cancel()
	entered, proceed := make(chan context.Context, 10), make(chan struct{})
	done := make(chan error, 1)
	go func() {
		done <- sub.Receive(ctx, func(ctx context.Context, e *driver.EnvelopeIn) error {
			entered <- ctx
			<-proceed
			return nil
		})
	}()
	handler := <-entered
	// The group throws the member out while its handler runs.
	info := cluster.GroupInfo(topic)
	throwOut(t, p, topic, info.Members[0].MemberID)
	select {
	case <-handler.Done():
	case <-ctx.Done():
		t.Fatal("the handler was not told that its partition is lost")
	}
	refused := cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.JoinGroup}, Group: topic, TopLevel: true, Err: kerr.CoordinatorLoadInProgress, Count: -1})
	close(proceed)
	if err := refused.Wait(ctx, 1); err != nil {
		t.Fatal("the member did not come back:", err)
	}
	if n := committed(t, p.Native(), topic, topic, 1); n != 0 {
		t.Errorf("offset %d was committed by a member that had lost the partition", n)
	}
	refused.Remove()
	if got := <-entered; got == handler {
		t.Error("the same context again")
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestFailedRecordHoldsBackItsPartitionAlone(t *testing.T) {
	url, topic := broker(t), newTopic()
	p := producer(t, url, nil)
	pub := create(t, p, topic, 2)
	for i := range 6 {
		e := envelope("", fmt.Sprint(i))
		e.SetPartition(i % 2)
		send(t, pub, e)
	}
	sub := subscriber(t, consumer(t, url, &driver.Options{MinBackoff: 10 * time.Millisecond}), topic, inGroup(topic))
	ctx, cancel := context.WithCancel(within(t, 30*time.Second))
	defer cancel()
	var mu sync.Mutex
	var order []string
	tries := 0
	err := sub.Receive(ctx, func(_ context.Context, e *driver.EnvelopeIn) error {
		mu.Lock()
		defer mu.Unlock()
		if string(e.Payload()) == "2" {
			clear(e.Payload()) // it belongs to the handler
			if tries++; tries < 4 {
				return errors.New("not yet")
			}
			// Three tries went by: the other partition must be through.
			order = append(order, "2")
			return nil
		}
		if order = append(order, string(e.Payload())); len(order) == 6 {
			cancel()
		}
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	even := slices.DeleteFunc(slices.Clone(order), func(s string) bool { return s[0]%2 == 1 })
	if strings.Join(even, "") != "024" || tries != 4 || slices.Index(order, "5") > slices.Index(order, "2") {
		t.Errorf("order %v after %d tries", order, tries)
	}
	if n := committed(t, p.Native(), topic, topic, 2); n != 6 {
		t.Errorf("committed %d", n)
	}
}

func TestNoCommitPastAFailedRecord(t *testing.T) {
	url, topic := broker(t), newTopic()
	p := producer(t, url, nil)
	pub := create(t, p, topic, 1)
	send(t, pub, envelope("", "1"), envelope("", "2"), envelope("", "3"))
	sub := subscriber(t, consumer(t, url, nil), topic, inGroup(topic))
	ctx, cancel := context.WithCancel(within(t, 30*time.Second))
	defer cancel()
	tries := 0
	_ = sub.Receive(ctx, func(_ context.Context, e *driver.EnvelopeIn) error {
		if string(e.Payload()) != "2" {
			return nil
		}
		if tries++; tries == 3 {
			cancel()
		}
		return errors.New("never")
	})
	if n := committed(t, p.Native(), topic, topic, 1); n != 1 {
		t.Errorf("committed offset %d, the record at 1 was not handled", n)
	}
}

func TestConcurrencyOverPartitions(t *testing.T) {
	url, topic := broker(t), newTopic()
	pub := create(t, producer(t, url, nil), topic, 4)
	sub := subscriber(t, consumer(t, url, &driver.Options{Concurrency: 3}), topic, nil)
	for i := range 40 {
		e := envelope("", fmt.Sprint(i))
		e.SetPartition(i % 4)
		send(t, pub, e)
	}
	ctx, cancel := context.WithCancel(within(t, 30*time.Second))
	defer cancel()
	var running, most, total atomic.Int32
	three := make(chan struct{})
	var busy [4]atomic.Int32
	var last [4]int64
	err := sub.Receive(ctx, func(_ context.Context, e *driver.EnvelopeIn) error {
		if busy[e.Partition()].Add(1) > 1 {
			t.Error("two handlers at once on one partition")
		}
		defer busy[e.Partition()].Add(-1)
		n := running.Add(1)
		defer running.Add(-1)
		for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
		}
		if n == 3 && total.Load() < 3 {
			close(three)
		}
		if total.Add(1) <= 3 {
			<-three
			time.Sleep(50 * time.Millisecond) // for a fourth to show itself
		}
		if e.Offset() < last[e.Partition()] {
			t.Error("out of order")
		}
		last[e.Partition()] = e.Offset()
		if total.Load() == 40 {
			cancel()
		}
		return nil
	})
	if !errors.Is(err, context.Canceled) || most.Load() != 3 {
		t.Errorf("at most %d handlers ran at once: %v", most.Load(), err)
	}
}

func TestNewPartitionsAreRead(t *testing.T) {
	url, topic := broker(t), newTopic()
	p := producer(t, url, nil)
	pub := create(t, p, topic, 1)
	o := &driver.Options{Timeout: 2 * time.Second, Native: []kgo.Opt{kgo.MetadataMinAge(50 * time.Millisecond), kgo.MetadataMaxAge(100 * time.Millisecond)}}
	c := consumer(t, url, o)
	ctx, cancel := context.WithCancel(within(t, 30*time.Second))
	defer cancel()
	got := make(chan string, 10)
	var wg sync.WaitGroup
	for _, bindings := range []*driver.ChannelBindings{nil, inGroup(topic)} {
		sub := subscriber(t, c, topic, bindings)
		wg.Add(1)
		go func() {
			defer wg.Done()
			_ = sub.Receive(ctx, func(_ context.Context, e *driver.EnvelopeIn) error {
				got <- fmt.Sprint(bindings != nil, e.Partition())
				return nil
			})
		}()
	}
	send(t, pub, envelope("", "x"))
	first, second := <-got, <-got
	grow(t, p, topic, 2)
	e := envelope("", "y")
	e.SetPartition(1)
	// The server takes a moment to know the new partition.
	two, fresh := 2, producer(t, url, nil)
	for {
		pub, err := fresh.Publisher(ctx, topic, &driver.ChannelBindings{Partitions: &two})
		if err == nil {
			send(t, pub, e)
			break
		}
		if !errors.Is(err, driver.ErrRefused) || ctx.Err() != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
	}
	want := map[string]bool{"true 1": true, "false 1": true}
	for len(want) > 0 {
		select {
		case s := <-got:
			delete(want, s)
		case <-ctx.Done():
			t.Fatalf("after %s and %s nothing came of %v", first, second, want)
		}
	}
	cancel()
	wg.Wait()
}

func TestTopicDeletedUnderReceive(t *testing.T) {
	url, topic := broker(t), newTopic()
	p := producer(t, url, nil)
	pub := create(t, p, topic, 1)
	o := &driver.Options{Timeout: time.Second, NoDeclare: true, Native: []kgo.Opt{kgo.MetadataMinAge(50 * time.Millisecond), kgo.MetadataMaxAge(100 * time.Millisecond)}}
	for _, bindings := range []*driver.ChannelBindings{nil, inGroup(topic)} {
		sub := subscriber(t, consumer(t, url, o), topic, bindings)
		received := make(chan struct{}, 100)
		done := make(chan error, 1)
		go func() {
			done <- sub.Receive(context.Background(), func(context.Context, *driver.EnvelopeIn) error {
				received <- struct{}{}
				return nil
			})
		}()
		send(t, pub, envelope("", "x"))
		<-received
		if err := wiring(&conformance.Broker{URL: url}).Delete(within(t, 10*time.Second), topic); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-done:
			if !errors.Is(err, driver.ErrNotFound) {
				t.Error(err)
			}
		case <-time.After(20 * time.Second):
			t.Fatal("Receive goes on as if nothing had happened")
		}
		topic = newTopic()
		pub = create(t, p, topic, 1)
	}
}

func TestMissingTopic(t *testing.T) {
	_, url := embedded(t)
	c := consumer(t, url, &driver.Options{NoDeclare: true})
	if _, err := c.Subscriber(within(t, 20*time.Second), newTopic(), nil); !errors.Is(err, driver.ErrNotFound) {
		t.Errorf("declaring off: %v", err)
	}
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	p := producer(t, strings.Join(cluster.ListenAddrs(), ","), &driver.Options{Timeout: time.Second})
	start := time.Now()
	_, err = p.Publisher(context.Background(), newTopic(), nil)
	if took := time.Since(start); !errors.Is(err, driver.ErrNotFound) || took > 3*time.Second {
		t.Errorf("a server that creates nothing: %v after %v", err, took)
	}
}

// Records that were deleted must not stop the group.
func TestOffsetOutOfRange(t *testing.T) {
	cluster, url := embedded(t)
	topic := newTopic()
	pub := create(t, producer(t, url, nil), topic, 1)
	sub := subscriber(t, consumer(t, url, nil), topic, inGroup(topic))
	send(t, pub, envelope("", "1"), envelope("", "2"), envelope("", "3"), envelope("", "4"))
	receive(t, sub, 1)
	if err := cluster.DeleteRecords(topic, 0, 3); err != nil {
		t.Fatal(err)
	}
	if got := payloads(receive(t, sub, 1)); got != "4" {
		t.Errorf("went on with %q", got)
	}
}

// A transaction leaves markers in the log that are nobody's records: reading
// must go past them, also where they are all there is.
func TestTransactionMarkers(t *testing.T) {
	url, topic := broker(t), newTopic()
	p := producer(t, url, nil)
	pub := create(t, p, topic, 1)
	foreign, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(url, ",")...), kgo.TransactionalID(topic), kgo.DefaultProduceTopic(topic), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	defer foreign.Close()
	ctx := within(t, 30*time.Second)
	sub := subscriber(t, consumer(t, url, nil), topic, inGroup(topic))
	for i := range 3 {
		if err := foreign.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		if err := foreign.ProduceSync(ctx, kgo.StringRecord(fmt.Sprint(i))).FirstErr(); err != nil {
			t.Fatal(err)
		}
		if err := foreign.EndTransaction(ctx, kgo.TryCommit); err != nil {
			t.Fatal(err)
		}
	}
	if got := payloads(receive(t, sub, 3)); got != "0 1 2" {
		t.Errorf("got %q", got)
	}
	again, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = sub.Receive(again, func(_ context.Context, e *driver.EnvelopeIn) error {
			if string(e.Payload()) != "last" {
				t.Errorf("got %q", e.Payload())
			}
			cancel()
			return nil
		})
	}()
	for committed(t, p.Native(), topic, topic, 1) != 6 {
		if ctx.Err() != nil {
			t.Fatal("the offset stands before the marker")
		}
		time.Sleep(time.Millisecond)
	}
	send(t, pub, envelope("", "last"))
	<-done
}

func TestHeadersAndKeysOfAForeignClient(t *testing.T) {
	url, topic := broker(t), newTopic()
	pub := create(t, producer(t, url, nil), topic, 1)
	foreign, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(url, ",")...), kgo.ConsumeTopics(topic), kgo.DefaultProduceTopic(topic))
	if err != nil {
		t.Fatal(err)
	}
	defer foreign.Close()
	ctx := within(t, 30*time.Second)
	sub := subscriber(t, consumer(t, url, nil), topic, nil)
	record := &kgo.Record{Key: []byte{0, 1}, Value: []byte{0xff, 0}, Headers: []kgo.RecordHeader{
		{Key: "twice", Value: []byte("a")}, {Key: "twice", Value: []byte("b")}, {Key: "binary", Value: []byte{0, 0xff}},
		{Key: "empty", Value: []byte{}}, {Key: "", Value: []byte("no name")}, {Key: "content-type", Value: []byte("text/plain")},
	}}
	if err := foreign.ProduceSync(ctx, record).FirstErr(); err != nil {
		t.Fatal(err)
	}
	e := receive(t, sub, 1)[0]
	twice, _ := e.Headers()["twice"].([][]byte)
	if len(twice) != 2 || string(twice[1]) != "b" || e.Header("twice") != "a" || e.Header("binary") != "\x00\xff" ||
		e.Header("") != "no name" || e.ContentType() != "text/plain" || string(e.Key()) != "\x00\x01" || string(e.Payload()) != "\xff\x00" {
		t.Errorf("got %+v", e.Native())
	}
	if empty, ok := e.Headers()["empty"].([]byte); !ok || len(empty) != 0 {
		t.Errorf("an empty header came as %#v", e.Headers()["empty"])
	}

	out := envelope("k", "v")
	out.SetHeaders(driver.Headers{"n": 1, "many": []string{"x", "y"}, "t": time.Unix(0, 0).UTC(), "f": 1.5, "yes": true, "raw": []byte{0, 0xff}})
	out.SetContentType("application/json")
	send(t, pub, out)
	var seen []string
	for len(seen) == 0 && ctx.Err() == nil {
		foreign.PollFetches(ctx).EachRecord(func(r *kgo.Record) {
			if string(r.Value) != "v" {
				return
			}
			for _, h := range r.Headers {
				seen = append(seen, fmt.Sprintf("%s=%q", h.Key, h.Value))
			}
		})
	}
	want := `f="1.5" many="x" many="y" n="1" raw="\x00\xff" t="1970-01-01T00:00:00Z" yes="true" content-type="application/json"`
	if got := strings.Join(seen, " "); got != want {
		t.Errorf("the foreign client read\n%s, not\n%s", got, want)
	}
}

// The leader of a group must understand the members that are other clients.
func TestGroupWithAForeignMember(t *testing.T) {
	url, topic := broker(t), newTopic()
	p := producer(t, url, nil)
	pub := create(t, p, topic, 4)
	ctx, cancel := context.WithCancel(within(t, 30*time.Second))
	defer cancel()
	got := make(chan string, 1000)
	sub := subscriber(t, consumer(t, url, fast), topic, inGroup(topic))
	var wg sync.WaitGroup
	wg.Add(1)
	go func() {
		defer wg.Done()
		_ = sub.Receive(ctx, func(_ context.Context, e *driver.EnvelopeIn) error {
			got <- "ours"
			return nil
		})
	}()
	send(t, pub, envelope("", "x"))
	<-got
	foreign, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(url, ",")...), kgo.ConsumeTopics(topic), kgo.ConsumerGroup(topic),
		kgo.Balancers(kgo.RangeBalancer()), kgo.SessionTimeout(2*time.Second), kgo.HeartbeatInterval(200*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	defer foreign.Close()
	wg.Add(1)
	go func() {
		defer wg.Done()
		for ctx.Err() == nil {
			foreign.PollFetches(ctx).EachRecord(func(*kgo.Record) { got <- "theirs" })
		}
	}()
	seen := map[string]bool{}
	for len(seen) < 2 && ctx.Err() == nil {
		for i := range 4 {
			e := envelope("", "y")
			e.SetPartition(i)
			send(t, pub, e)
		}
		for range 4 {
			select {
			case who := <-got:
				seen[who] = true
			case <-ctx.Done():
			}
		}
	}
	if len(seen) != 2 {
		t.Errorf("only %v received", seen)
	}
	cancel()
	wg.Wait()
}

func TestOneReceiveAtATime(t *testing.T) {
	url, topic := broker(t), newTopic()
	sub := subscriber(t, consumer(t, url, nil), topic, nil)
	pub := publisher(t, producer(t, url, nil), topic, nil)
	ctx, cancel := context.WithCancel(within(t, 10*time.Second))
	running, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		_ = sub.Receive(ctx, func(context.Context, *driver.EnvelopeIn) error { close(running); return nil })
	}()
	send(t, pub, envelope("", "x"))
	<-running
	if err := sub.Receive(ctx, nil); err == nil || !strings.Contains(err.Error(), "another Receive") {
		t.Errorf("a second Receive: %v", err)
	}
	cancel()
	<-done
}

// A topic that was deleted and created again under a running Receive is read
// from its first record.
func TestTopicCreatedAgain(t *testing.T) {
	url := broker(t)
	p := producer(t, url, nil)
	o := &driver.Options{Timeout: 2 * time.Second, SessionTimeout: 2 * time.Second, MaxBackoff: 200 * time.Millisecond}
	for _, grouped := range []bool{false, true} {
		t.Run(fmt.Sprintf("group %t", grouped), func(t *testing.T) {
			topic := newTopic()
			pub := create(t, p, topic, 1)
			var bindings *driver.ChannelBindings
			if grouped {
				bindings = inGroup(topic)
			}
			sub := subscriber(t, consumer(t, url, o), topic, bindings)
			ctx, cancel := context.WithCancel(within(t, 60*time.Second))
			defer cancel()
			got := make(chan string, 100)
			done := make(chan error, 1)
			go func() {
				done <- sub.Receive(ctx, func(_ context.Context, e *driver.EnvelopeIn) error {
					got <- string(e.Payload())
					return nil
				})
			}()
			send(t, pub, envelope("", "1"), envelope("", "2"))
			for range 2 {
				<-got
			}
			for grouped && committed(t, p.Native(), topic, topic, 1) != 2 {
				time.Sleep(time.Millisecond)
			}
			if err := wiring(&conformance.Broker{URL: url}).Delete(ctx, topic); err != nil {
				t.Fatal(err)
			}
			pub = create(t, producer(t, url, nil), topic, 1)
			send(t, pub, envelope("", "3"), envelope("", "4"), envelope("", "5"))
			for want := 3; want <= 5; want++ {
				select {
				case s := <-got:
					if s != fmt.Sprint(want) {
						t.Errorf("got %s, not %d", s, want)
					}
				case err := <-done:
					t.Fatal(err)
				case <-ctx.Done():
					t.Fatalf("%d did not come", want)
				}
			}
			cancel()
			<-done
		})
	}
}
