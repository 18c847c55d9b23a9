package natsgo_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	driver "github.com/asyncapi-impl/asyncapi-impl/catalog/nats/natsgo"
	"github.com/asyncapi-impl/asyncapi-impl/internal/brokers"
	"github.com/asyncapi-impl/asyncapi-impl/internal/natstest"
)

// journal is a Logger's text.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *journal) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *journal) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *journal) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// eventually waits for a condition that no event announces.
func eventually(t testing.TB, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it did not happen in time")
		}
	}
}

func TestWildcards(t *testing.T) {
	url, subject := natstest.URL(t), newSubject()
	c, p := consumer(t, url, nil), producer(t, url, nil)
	one, rest := subscriber(t, c, subject+".*", nil), subscriber(t, c, subject+".>", nil)
	pub := publisher(t, p, subject)
	for _, to := range []string{"a", "a.b", "c"} {
		e := envelope(to)
		e.SetSubject(subject + "." + to)
		send(t, pub, e)
	}
	if got := payloads(receive(t, one, 2)); got != "a c" {
		t.Errorf("* got %q", got)
	}
	all := receive(t, rest, 3)
	if got := payloads(all); got != "a a.b c" || all[1].Subject() != subject+".a.b" {
		t.Errorf("> got %q, the second on %q", got, all[1].Subject())
	}
}

func TestQueueGroupsShare(t *testing.T) {
	url, subject := natstest.URL(t), newSubject()
	c := consumer(t, url, nil)
	got := map[string][]string{}
	var mu sync.Mutex
	ctx, cancel := context.WithCancel(context.Background())
	var wait sync.WaitGroup
	var count atomic.Int64
	for i, queue := range []string{"red", "red", "red", "blue", ""} {
		sub := subscriber(t, c, subject, inQueue(queue))
		wait.Go(func() {
			_ = sub.Receive(ctx, func(_ context.Context, e *driver.EnvelopeIn) error {
				mu.Lock()
				defer mu.Unlock()
				got[queue] = append(got[queue], string(e.Payload()))
				got[fmt.Sprint(queue, i)] = append(got[fmt.Sprint(queue, i)], string(e.Payload()))
				count.Add(1)
				return nil
			})
		})
	}
	pub := publisher(t, producer(t, url, nil), subject)
	var want []string
	for i := range 90 {
		send(t, pub, envelope(fmt.Sprintf("%02d", i)))
		want = append(want, fmt.Sprintf("%02d", i))
	}
	eventually(t, func() bool { return count.Load() >= 270 })
	cancel()
	wait.Wait()
	for _, queue := range []string{"red", "blue", ""} {
		slices.Sort(got[queue])
		if !slices.Equal(got[queue], want) {
			t.Errorf("the group %q got %v", queue, got[queue])
		}
	}
	for i := range 3 {
		if n := len(got[fmt.Sprint("red", i)]); n == 0 || n == 90 {
			t.Errorf("member %d got %d of 90", i, n)
		}
	}
}

// What does not fit is dropped, as in all of core NATS, but not unseen.
func TestDroppedMessagesAreTold(t *testing.T) {
	url, subject := natstest.URL(t), newSubject()
	var told journal
	c := consumer(t, url, &driver.Options{MaxPending: 10, Logger: told.logger()})
	sub := subscriber(t, c, subject, nil)
	pub := publisher(t, producer(t, url, nil), subject)
	for i := range 200 {
		send(t, pub, envelope(fmt.Sprint(i)))
	}
	eventually(t, func() bool { return strings.Contains(told.String(), "messages were dropped") })
	if got := payloads(receive(t, sub, 10)); got != "0 1 2 3 4 5 6 7 8 9" {
		t.Errorf("got %q", got)
	}
}

func TestCloseTellsWhatItDrops(t *testing.T) {
	url, subject := natstest.URL(t), newSubject()
	var told journal
	c := consumer(t, url, &driver.Options{Logger: told.logger()})
	sub := subscriber(t, c, subject, nil)
	pub := publisher(t, producer(t, url, nil), subject)
	for i := range 100 {
		send(t, pub, envelope(fmt.Sprint(i)))
	}
	receive(t, sub, 1)
	if err := c.Native().Flush(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := sub.Close(); err != nil {
			t.Error(err)
		}
	}
	if text := told.String(); strings.Count(text, "dropped=99") != 1 {
		t.Errorf("the logger was told\n%s", text)
	}
}

func TestSubscriptionRefused(t *testing.T) {
	c := consumer(t, natstest.URL(t), nil)
	for _, queue := range []string{"", "q"} {
		_, err := c.Subscriber(within(t, 20*time.Second), brokers.RefusedSubject, inQueue(queue))
		if !errors.Is(err, driver.ErrUnauthorized) {
			t.Errorf("Subscriber in queue %q of a subject that is denied: %v", queue, err)
		}
	}
	subscriber(t, c, newSubject(), nil)
}

// A subscription that the server takes away is never silently dead.
func TestSubscriptionRefusedLater(t *testing.T) {
	users := func(denied string) string {
		return fmt.Sprintf("authorization { users: [ { user: u, password: p, permissions: { subscribe: { deny: %q } } } ] }\n", denied)
	}
	server := natstest.Start(t, users("none"))
	c := consumer(t, "nats://u:p@"+server.Addr, fast)
	plain, queue, other := subscriber(t, c, "orders", nil), subscriber(t, c, "orders", inQueue("q")), subscriber(t, c, "others", nil)
	ends := make(chan error, 2)
	for _, sub := range []*driver.Subscriber{plain, queue} {
		go func() {
			ends <- sub.Receive(t.Context(), func(context.Context, *driver.EnvelopeIn) error { return nil })
		}()
	}
	if err := server.Reload(users("orders")); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		select {
		case err := <-ends:
			if !errors.Is(err, driver.ErrUnauthorized) {
				t.Errorf("Receive ended with %v", err)
			}
		case <-time.After(20 * time.Second):
			t.Fatal("Receive did not end when its subject was denied")
		}
	}
	p := producer(t, "nats://u:p@"+server.Addr, nil)
	send(t, publisher(t, p, "others"), envelope("x"))
	receive(t, other, 1)
}

// Which subscription is too many the server does not say.
func TestTooManySubscriptions(t *testing.T) {
	server := natstest.Start(t, "max_subscriptions: 2\n")
	c := consumer(t, "nats://"+server.Addr, fast)
	one, two := subscriber(t, c, "one", nil), subscriber(t, c, "two", nil)
	if sub, err := c.Subscriber(within(t, 20*time.Second), "three", nil); !errors.Is(err, driver.ErrRefused) {
		t.Errorf("one too many: %v, %v", sub, err)
	}
	// Another one too many may be known only later, but it is.
	four, err := c.Subscriber(within(t, 20*time.Second), "four", nil)
	if err == nil {
		err = four.Receive(within(t, 20*time.Second), func(context.Context, *driver.EnvelopeIn) error { return nil })
	}
	if !errors.Is(err, driver.ErrRefused) {
		t.Errorf("another one too many: %v", err)
	}
	pub := publisher(t, producer(t, "nats://"+server.Addr, nil), "one")
	other := envelope("2")
	other.SetSubject("two")
	send(t, pub, envelope("1"), other)
	if got := payloads(receive(t, one, 1)) + payloads(receive(t, two, 1)); got != "12" {
		t.Errorf("those that were there got %q", got)
	}
	if err := two.Close(); err != nil {
		t.Fatal(err)
	}
	subscriber(t, c, "five", nil)
}

// One too many after a reconnect leaves those alone that it has restored.
func TestOneSubscriptionTooManyAfterAReconnect(t *testing.T) {
	server := natstest.Start(t, "max_subscriptions: 1\n")
	c := consumer(t, "nats://"+server.Addr, fast)
	one := subscriber(t, c, "one", nil)
	if err := errors.Join(server.Kill(), server.Restart()); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { return c.Native().Stats().Reconnects == 1 && c.Native().IsConnected() })
	if sub, err := c.Subscriber(within(t, 20*time.Second), "two", nil); !errors.Is(err, driver.ErrRefused) {
		t.Errorf("one too many: %v, %v", sub, err)
	}
	send(t, publisher(t, producer(t, "nats://"+server.Addr, nil), "one"), envelope("1"))
	receive(t, one, 1)
}

// After a reconnect the server may take fewer: none is silently dead.
func TestTooManySubscriptionsAfterAReconnect(t *testing.T) {
	server := natstest.Start(t, "max_subscriptions: 2\n")
	c := consumer(t, "nats://"+server.Addr, fast)
	ends := make(chan error, 2)
	for _, sub := range []*driver.Subscriber{subscriber(t, c, "one", nil), subscriber(t, c, "two", nil)} {
		go func() {
			ends <- sub.Receive(t.Context(), func(context.Context, *driver.EnvelopeIn) error { return nil })
		}()
	}
	if err := errors.Join(server.Kill(), server.Reload("max_subscriptions: 1\n"), server.Restart()); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		select {
		case err := <-ends:
			if !errors.Is(err, driver.ErrRefused) {
				t.Errorf("Receive ended with %v", err)
			}
		case <-time.After(20 * time.Second):
			t.Fatal("Receive did not end")
		}
	}
}

// A server that answers nothing on the first connection: the subscription is
// confirmed on the next.
func TestSubscriberWaitsForTheConnection(t *testing.T) {
	wire := natstest.Script(t, func(c *natstest.Conn) {
		if c.Number == 1 {
			for line := c.Line(); !strings.HasPrefix(line, "SUB"); line = c.Line() {
				if line == "PING" {
					c.Say("PONG")
				}
			}
			return
		}
		c.Serve()
	})
	subscriber(t, consumer(t, wire.URL, fast), "orders", nil)
	sent := wire.Sent()
	if last := sent[strings.LastIndex(sent, "CONNECT"):]; !strings.Contains(last, "SUB orders  1") {
		t.Errorf("the connection that confirmed had %q", last)
	}
}

// The library delivers what it can't decode, without its headers.
func TestForeignHeaders(t *testing.T) {
	headers := []string{
		"NATS/1.0\r\n\r\n", "NATS/1.0 503\r\n\r\n", "NATS/1.0\r\nkey:value\r\nKEY:  Value \r\nkey:second\r\n\r\n", "rubbish\r\n\r\n", "NATS/1.0\r\nno colon\r\n\r\n",
		"NATS/1.0\r\ncontent-TYPE: text/x\r\n\r\n", "NATS/1.0\r\nempty:\r\n\r\n",
	}
	wire := natstest.Script(t, func(c *natstest.Conn) {
		for line := c.Line(); line != ""; line = c.Line() {
			switch {
			case line == "PING":
				c.Say("PONG")
			case strings.HasPrefix(line, "SUB"):
				for _, h := range headers {
					c.Say("HMSG orders 1 %d %d\r\n%spayload", len(h), len(h)+7, h)
				}
			}
		}
	})
	got := receive(t, subscriber(t, consumer(t, wire.URL, nil), "orders", nil), len(headers))
	for i, e := range got {
		if string(e.Payload()) != "payload" {
			t.Errorf("the message with the headers %q has the payload %q", headers[i], e.Payload())
		}
	}
	if h := fmt.Sprint(got[2].Headers()); h != "map[KEY:Value  key:[value second]]" || got[2].Header("key") != "value" || got[2].Header("Key") != "" {
		t.Errorf("headers %v", h)
	}
	if got[5].ContentType() != "text/x" || got[6].Header("empty") != "" || got[6].Headers()["empty"] != "" {
		t.Errorf("headers %v and %v", got[5].Headers(), got[6].Headers())
	}
}

func TestPanicWaitsForTheOtherHandlers(t *testing.T) {
	url, subject := natstest.URL(t), newSubject()
	sub := subscriber(t, consumer(t, url, &driver.Options{Concurrency: 2}), subject, nil)
	pub := publisher(t, producer(t, url, nil), subject)
	send(t, pub, envelope("slow"), envelope("panic"))
	var entered, finished atomic.Bool
	func() {
		defer func() {
			if p := recover(); p != "the handler's" || !finished.Load() {
				t.Errorf("recovered %v, the other handler finished: %t", p, finished.Load())
			}
		}()
		_ = sub.Receive(within(t, 20*time.Second), func(ctx context.Context, e *driver.EnvelopeIn) error {
			if string(e.Payload()) == "panic" {
				eventually(t, entered.Load)
				panic("the handler's")
			}
			entered.Store(true)
			time.Sleep(50 * time.Millisecond)
			finished.Store(true)
			return nil
		})
	}()
	send(t, pub, envelope("next"))
	if got := payloads(receive(t, sub, 1)); got != "next" {
		t.Errorf("after a panic came %q", got)
	}
}

func TestHandlersContext(t *testing.T) {
	url, subject := natstest.URL(t), newSubject()
	pub := publisher(t, producer(t, url, nil), subject)
	c, err := driver.NewConsumer(url, nil, &driver.Options{Timeout: 200 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	sub := subscriber(t, c, subject, nil)
	type key struct{}
	ctx, cancel := context.WithCancel(context.WithValue(context.Background(), key{}, "v"))
	defer cancel()
	send(t, pub, envelope("1"))
	err = sub.Receive(ctx, func(ctx context.Context, _ *driver.EnvelopeIn) error {
		if ctx.Value(key{}) != "v" {
			t.Error("the handler's context does not derive from Receive's")
		}
		cancel()
		<-ctx.Done()
		return ctx.Err()
	})
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	// Close waits for Timeout, and then ends the handler's context.
	send(t, pub, envelope("2"))
	entered, done := make(chan struct{}), make(chan error)
	go func() {
		done <- sub.Receive(context.Background(), func(ctx context.Context, _ *driver.EnvelopeIn) error {
			close(entered)
			<-ctx.Done()
			return nil
		})
	}()
	<-entered
	if err := c.Close(); err == nil {
		t.Error("Close does not say that a handler still ran")
	}
	if err := <-done; !errors.Is(err, driver.ErrClosed) {
		t.Error(err)
	}
}

func TestReplyAfterClose(t *testing.T) {
	url, subject := natstest.URL(t), newSubject()
	c := consumer(t, url, nil)
	sub := subscriber(t, c, subject, nil)
	e := envelope("x")
	e.SetReplyTo(newSubject())
	send(t, publisher(t, producer(t, url, nil), subject), e)
	got := receive(t, sub, 1)[0]
	other := envelope("x")
	other.SetSubject("elsewhere")
	if err := got.Reply(t.Context(), other); !errors.Is(err, driver.ErrUnsupported) {
		t.Errorf("a reply to elsewhere: %v", err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if err := got.Reply(t.Context(), envelope("x")); !errors.Is(err, driver.ErrClosed) {
		t.Errorf("a reply after Close: %v", err)
	}
}

// The examples end by themselves, and print what they have received.
func TestExamples(t *testing.T) {
	exampleURL = natstest.URL(t)
	for want, example := range map[string]func(){"Hello, NATS!\n": Example, "Hello, NATS!\n ": Example_reply} {
		stdout := os.Stdout
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		os.Stdout = w
		example()
		os.Stdout = stdout
		w.Close()
		if got, err := io.ReadAll(r); string(got) != strings.TrimSuffix(want, " ") {
			t.Errorf("printed %q, %v", got, err)
		}
	}
}
