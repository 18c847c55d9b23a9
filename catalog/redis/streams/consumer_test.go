package streams_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/asyncapi-impl/asyncapi-impl/catalog/conformance"
	driver "github.com/asyncapi-impl/asyncapi-impl/catalog/redis/streams"
	"github.com/asyncapi-impl/asyncapi-impl/internal/brokers"
	"github.com/asyncapi-impl/asyncapi-impl/internal/redistest"
)

var errHandler = errors.New("not today")

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !condition(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal(what)
		}
	}
}

// start runs Receive until the test ends or the function it gives is called,
// which gives Receive's error.
func start(t *testing.T, sub *driver.Subscriber, handle func(context.Context, *driver.EnvelopeIn) error) func() error {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- sub.Receive(ctx, handle) }()
	t.Cleanup(cancel)
	return func() error {
		cancel()
		return <-done
	}
}

func pending(t *testing.T, client *redis.Client, stream, group string) int64 {
	t.Helper()
	p, err := client.XPending(context.Background(), stream, group).Result()
	if err != nil {
		t.Fatal(err)
	}
	return p.Count
}

func TestEntriesOfADeadMemberAreTakenOver(t *testing.T) {
	direct, stream := redistest.URL(t), newStream()
	cut, url := proxy(t, direct)
	pub := publisher(t, producer(t, direct, nil), stream)
	dead := consumer(t, url, &driver.Options{Timeout: time.Second, ClaimAfter: time.Second})
	release := make(chan struct{})
	entered := make(chan struct{}, 10)
	stop := start(t, subscriber(t, dead, stream, inGroup("g")), func(context.Context, *driver.EnvelopeIn) error {
		entered <- struct{}{}
		<-release
		return nil
	})
	send(t, pub, "1", "2", "3")
	<-entered
	cut.Refuse()
	cut.Reset()
	alive := subscriber(t, consumer(t, direct, &driver.Options{ClaimAfter: time.Second}), stream, inGroup("g"))
	if got := receive(t, alive, 3); payloads(got) != "1 2 3" {
		t.Errorf("the other member got %s", payloads(got))
	}
	close(release)
	if err := stop(); !errors.Is(err, context.Canceled) {
		t.Errorf("the dead member's Receive: %v", err)
	}
}

// A handler slower than ClaimAfter keeps its entry, and those read ahead.
func TestEntriesOfABusyMemberAreNotTakenOver(t *testing.T) {
	url, stream := redistest.URL(t), newStream()
	c := consumer(t, url, &driver.Options{ClaimAfter: 800 * time.Millisecond})
	var stolen atomic.Int64
	entered, release := make(chan struct{}), make(chan struct{})
	var busy atomic.Int64
	// They are there before, so that they are read together.
	send(t, publisher(t, producer(t, url, nil), stream), "1", "2", "3")
	start(t, subscriber(t, c, stream, inGroup("g")), func(context.Context, *driver.EnvelopeIn) error {
		if busy.Add(1) == 1 {
			close(entered)
			<-release
		}
		return nil
	})
	<-entered
	start(t, subscriber(t, c, stream, inGroup("g")), func(context.Context, *driver.EnvelopeIn) error {
		stolen.Add(1)
		return nil
	})
	time.Sleep(2500 * time.Millisecond) // three times ClaimAfter
	close(release)
	eventually(t, "not all entries were handled", func() bool { return busy.Load()+stolen.Load() >= 3 })
	if stolen.Load() != 0 {
		t.Errorf("%d entries were taken over from a busy member", stolen.Load())
	}
}

func TestCloseHandsOverAndLeavesTheGroup(t *testing.T) {
	url, stream := redistest.URL(t), newStream()
	c := consumer(t, url, &driver.Options{KeepAlive: 200 * time.Millisecond})
	send(t, publisher(t, producer(t, url, nil), stream), "1", "2", "3")
	first := subscriber(t, c, stream, inGroup("g"))
	failed := make(chan struct{}, 100)
	stop := start(t, first, func(context.Context, *driver.EnvelopeIn) error {
		failed <- struct{}{}
		return errHandler
	})
	<-failed
	second := subscriber(t, c, stream, inGroup("g"))
	if err := first.Close(); err != nil {
		t.Error(err)
	}
	if err := stop(); !errors.Is(err, driver.ErrClosed) && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	began := time.Now()
	if got := receive(t, second, 3); payloads(got) != "1 2 3" {
		t.Errorf("the other member got %s", payloads(got))
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("the entries of a closed member came after %v", took)
	}
	if err := second.Close(); err != nil {
		t.Error(err)
	}
	members, err := c.Native().XInfoConsumers(t.Context(), stream, "g").Result()
	if err != nil || len(members) != 1 || pending(t, c.Native(), stream, "g") != 0 {
		t.Errorf("members %v: %v", members, err)
	}
	// The first had entries when it was closed: only the second could go.
}

func TestTrimmedEntriesAreAcknowledged(t *testing.T) {
	url, stream := redistest.URL(t), newStream()
	var log records
	c := consumer(t, url, &driver.Options{Logger: log.logger()})
	b := &driver.ChannelBindings{Operation: &driver.OperationBindings{Group: "g", Consumer: "me"}}
	sub := subscriber(t, c, stream, b)
	send(t, publisher(t, producer(t, url, nil), stream), "1", "2", "3")
	// The member got them before it was restarted, and then two were trimmed.
	got, err := c.Native().XReadGroup(t.Context(), &redis.XReadGroupArgs{Group: "g", Consumer: "me", Streams: []string{stream, ">"}}).Result()
	if err != nil || len(got[0].Messages) != 3 {
		t.Fatal(got, err)
	}
	if err := c.Native().XDel(t.Context(), stream, got[0].Messages[0].ID, got[0].Messages[1].ID).Err(); err != nil {
		t.Fatal(err)
	}
	if got := receive(t, sub, 1); payloads(got) != "3" {
		t.Errorf("received %s", payloads(got))
	}
	if n := pending(t, c.Native(), stream, "g"); n != 0 {
		t.Errorf("%d entries are pending", n)
	}
	// miniredis forgets trimmed entries by itself.
	if n := log.count("was trimmed"); n != 2 && brokers.Real() {
		t.Errorf("%d times logged: %v", n, log.texts)
	}
}

func TestLostGroupIsCreatedAgain(t *testing.T) {
	url, stream := redistest.URL(t), newStream()
	p := producer(t, url, nil)
	pub := publisher(t, p, stream)
	o := &driver.Options{KeepAlive: 100 * time.Millisecond}
	var last atomic.Value
	stop := start(t, subscriber(t, consumer(t, url, o), stream, inGroup("g")), func(_ context.Context, e *driver.EnvelopeIn) error {
		last.Store(string(e.Payload()))
		return nil
	})
	o.NoDeclare = true
	strict := make(chan error, 1)
	sub := subscriber(t, consumer(t, url, o), stream, inGroup("g"))
	go func() {
		strict <- sub.Receive(context.Background(), func(_ context.Context, e *driver.EnvelopeIn) error {
			last.Store(string(e.Payload()))
			return nil
		})
	}()
	comes := func(payload string) {
		t.Helper()
		send(t, pub, payload)
		eventually(t, payload+" did not come", func() bool { return last.Load() == payload })
	}
	comes("before")
	if err := p.Native().Del(t.Context(), stream).Err(); err != nil {
		t.Fatal(err)
	}
	// With NoDeclare the loss is the end, unless another one was quicker.
	comes("after the stream was deleted")
	if err := p.Native().XGroupDestroy(t.Context(), stream, "g").Err(); err != nil {
		t.Fatal(err)
	}
	comes("after the group was destroyed")
	if err := stop(); !errors.Is(err, context.Canceled) {
		t.Errorf("Receive ended with %v", err)
	}
	if err := p.Native().Del(t.Context(), stream).Err(); err != nil {
		t.Fatal(err)
	}
	if err := <-strict; !errors.Is(err, driver.ErrNotFound) {
		t.Errorf("Receive with NoDeclare ended with %v", err)
	}
}

func TestNoDeclare(t *testing.T) {
	url, stream := redistest.URL(t), newStream()
	o := &driver.Options{NoDeclare: true}
	p, c := producer(t, url, o), consumer(t, url, o)
	if err := publisher(t, p, stream).Send(t.Context(), envelope("x")); !errors.Is(err, driver.ErrNotFound) {
		t.Errorf("Send: %v", err)
	}
	for _, b := range []*driver.ChannelBindings{nil, inGroup("g")} {
		if _, err := c.Subscriber(t.Context(), stream, b); !errors.Is(err, driver.ErrNotFound) {
			t.Errorf("Subscriber: %v", err)
		}
	}
	if n := p.Native().Exists(t.Context(), stream).Val(); n != 0 {
		t.Error("the stream was created")
	}
	subscriber(t, consumer(t, url, nil), stream, inGroup("g"))
	subscriber(t, c, stream, inGroup("g"))
	send(t, publisher(t, p, stream), "x")
}

func TestKeyIsNoStream(t *testing.T) {
	url, key := redistest.URL(t), newStream()
	p, c := producer(t, url, nil), consumer(t, url, nil)
	if err := p.Native().Set(t.Context(), key, "text", time.Minute).Err(); err != nil {
		t.Fatal(err)
	}
	if err := publisher(t, p, key).Send(t.Context(), envelope("x")); !errors.Is(err, driver.ErrRefused) {
		t.Errorf("Send: %v", err)
	}
	for _, b := range []*driver.ChannelBindings{nil, inGroup("g")} {
		if _, err := c.Subscriber(t.Context(), key, b); !errors.Is(err, driver.ErrRefused) {
			t.Errorf("Subscriber: %v", err)
		}
	}
}

func TestSubscriberIsRefused(t *testing.T) {
	b := testBroker(t)
	c := consumer(t, b.URL, nil)
	for _, bindings := range []*driver.ChannelBindings{nil, inGroup("g")} {
		if _, err := c.Subscriber(t.Context(), b.RefusedAddress, bindings); !errors.Is(err, driver.ErrUnauthorized) {
			t.Errorf("got %v", err)
		}
	}
}

func TestForeignEntries(t *testing.T) {
	url, stream := redistest.URL(t), newStream()
	p := producer(t, url, nil)
	sub := subscriber(t, consumer(t, url, nil), stream, inGroup("g"))
	for _, fields := range [][]any{
		{"a", "1"},
		{"payload", "p", "a", "1", "payload", "q", "a", "2", "a", "3"},
		{"", "", "payload", "\xff\x00\r\n"},
	} {
		if err := p.Native().Do(t.Context(), append([]any{"XADD", stream, "*"}, fields...)...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	got := receive(t, sub, 3)
	for i, want := range []struct {
		payload []byte
		headers driver.Headers
	}{
		{nil, driver.Headers{"a": "1"}},
		{[]byte("p"), driver.Headers{"a": []string{"1", "2", "3"}, "payload": "q"}},
		{[]byte("\xff\x00\r\n"), driver.Headers{"": ""}},
	} {
		if !reflect.DeepEqual(got[i].Payload(), want.payload) || !reflect.DeepEqual(got[i].Headers(), want.headers) {
			t.Errorf("entry %d: %q, %v", i, got[i].Payload(), got[i].Headers())
		}
	}
	if got[1].Header("a") != "1" || got[0].ID() == "" || got[0].ID() >= got[1].ID() || got[0].Address() != stream || got[1].Native().ID != got[1].ID() {
		t.Errorf("got %+v", got[1].Native())
	}
}

// Without a group, what was settled out of order does not come again.
func TestReceiveAgainWithoutAGroup(t *testing.T) {
	url, stream := redistest.URL(t), newStream()
	sub := subscriber(t, consumer(t, url, &driver.Options{Concurrency: 4}), stream, nil)
	var all []string
	for i := range 20 {
		all = append(all, fmt.Sprint(i))
	}
	send(t, publisher(t, producer(t, url, nil), stream), all...)
	counts := make([]atomic.Int64, 20)
	var settled atomic.Int64
	handle := func(stuck string) func(context.Context, *driver.EnvelopeIn) error {
		return func(_ context.Context, e *driver.EnvelopeIn) error {
			if string(e.Payload()) == stuck {
				return errHandler
			}
			var i int
			fmt.Sscan(string(e.Payload()), &i)
			counts[i].Add(1)
			settled.Add(1)
			return nil
		}
	}
	stop := start(t, sub, handle("3"))
	eventually(t, "the others were not handled", func() bool { return settled.Load() == 19 })
	if err := stop(); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	stop = start(t, sub, handle(""))
	eventually(t, "the failed one was not handled", func() bool { return settled.Load() == 20 })
	send(t, publisher(t, producer(t, url, nil), stream), "3")
	eventually(t, "the next one was not handled", func() bool { return settled.Load() == 21 })
	if err := stop(); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	for i := range counts {
		if n := counts[i].Load(); n != 1 && i != 3 || i == 3 && n != 2 {
			t.Errorf("entry %d was handled %d times", i, n)
		}
	}
}

// What was settled during an outage is acknowledged after it, and does not come
// again.
func TestSettledDuringAnOutage(t *testing.T) {
	direct, stream := redistest.URL(t), newStream()
	cut, url := proxy(t, direct)
	p := producer(t, direct, nil)
	c := consumer(t, url, &driver.Options{MaxBackoff: 50 * time.Millisecond})
	entered, release := make(chan struct{}), make(chan struct{})
	var handled atomic.Int64
	stop := start(t, subscriber(t, c, stream, inGroup("g")), func(context.Context, *driver.EnvelopeIn) error {
		if handled.Add(1) == 1 {
			close(entered)
			<-release
		}
		return nil
	})
	send(t, publisher(t, p, stream), "1", "2", "3")
	<-entered
	cut.Refuse()
	cut.Reset()
	close(release)
	eventually(t, "what was read is handled without a connection", func() bool { return handled.Load() >= 1 })
	cut.Heal()
	eventually(t, "not everything was acknowledged", func() bool { return handled.Load() >= 3 && pending(t, p.Native(), stream, "g") == 0 })
	if err := stop(); !errors.Is(err, context.Canceled) || handled.Load() != 3 {
		t.Errorf("%d entries were handled, Receive ended with %v", handled.Load(), err)
	}
}

// The server gave an entry, and the connection broke before it came.
func TestAnswerLostOnTheWay(t *testing.T) {
	direct, stream := redistest.URL(t), newStream()
	cut, url := proxy(t, direct)
	p := producer(t, direct, nil)
	sub := subscriber(t, consumer(t, url, &driver.Options{MaxBackoff: 50 * time.Millisecond}), stream, inGroup("g"))
	var handled atomic.Int64
	start(t, sub, func(context.Context, *driver.EnvelopeIn) error { handled.Add(1); return nil })
	send(t, publisher(t, p, stream), "0")
	eventually(t, "the first entry did not come", func() bool { return handled.Load() == 1 })
	cut.BlackHole(conformance.ToClient)
	send(t, publisher(t, p, stream), "1")
	eventually(t, "the server did not give the entry", func() bool { return pending(t, p.Native(), stream, "g") > 0 })
	cut.Reset()
	cut.Heal()
	eventually(t, "the entry is lost until somebody claims it", func() bool { return handled.Load() == 2 })
}
