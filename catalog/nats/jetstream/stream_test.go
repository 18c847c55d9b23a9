package jetstream_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/asyncapi-impl/asyncapi-impl/catalog/conformance"
	driver "github.com/asyncapi-impl/asyncapi-impl/catalog/nats/jetstream"
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

// info asks the server for a durable consumer.
func info(t testing.TB, js jetstream.JetStream, subject, durable string) *jetstream.ConsumerInfo {
	t.Helper()
	ctx := within(t, 10*time.Second)
	stream, err := js.StreamNameBySubject(ctx, subject)
	if err != nil {
		t.Fatal(err)
	}
	consumer, err := js.Consumer(ctx, stream, durable)
	if err != nil {
		t.Fatal(err)
	}
	return consumer.CachedInfo()
}

func create(t testing.TB, js jetstream.JetStream, config jetstream.StreamConfig) {
	t.Helper()
	if _, err := js.CreateStream(within(t, 10*time.Second), config); err != nil {
		t.Fatal(err)
	}
}

// word is a name for streams that no other test of this process uses.
func word() string { return strings.ReplaceAll(newSubject(), ".", "-") }

func TestDeclare(t *testing.T) {
	url, subject := natstest.URL(t), newSubject()
	p := producer(t, url, &driver.Options{Stream: func(s *jetstream.StreamConfig) { s.MaxAge = time.Hour }})
	publisher(t, p, subject)
	publisher(t, p, subject)
	stream, err := p.Native().Stream(within(t, 10*time.Second), strings.ReplaceAll(subject, ".", "_"))
	if err != nil {
		t.Fatal(err)
	}
	if config := stream.CachedInfo().Config; len(config.Subjects) != 1 || config.Subjects[0] != subject || config.MaxAge != time.Hour {
		t.Errorf("the stream is %+v", config)
	}
}

// Nothing that exists with other settings is changed.
func TestDeclareWhatIsThere(t *testing.T) {
	url, w := natstest.URL(t), word()
	c, p := consumer(t, url, nil), producer(t, url, nil)
	create(t, c.Native(), jetstream.StreamConfig{Name: w + "-all", Subjects: []string{w + ".in.>", w + ".x"}})
	create(t, c.Native(), jetstream.StreamConfig{Name: w + "-other", Subjects: []string{w + ".other.*"}})
	for _, fine := range []string{w + ".in.a", w + ".in.a.b", w + ".in.*", w + ".in.*.b", w + ".in.>", w + ".x", w + ".other.*"} {
		subscriber(t, c, fine, nil)
	}
	for subject, want := range map[string]string{
		w + ".>": "spread over", w + ".*": "has only a part", w + ".other.>": "has only a part", w + ".*.a": "spread over",
	} {
		_, err := c.Subscriber(within(t, 10*time.Second), subject, nil)
		if !errors.Is(err, driver.ErrRefused) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", subject, err)
		}
	}
	// A name that is taken.
	create(t, c.Native(), jetstream.StreamConfig{Name: w + "_taken", Subjects: []string{"elsewhere." + w}})
	if _, err := p.Publisher(within(t, 10*time.Second), w+".taken", nil); !errors.Is(err, driver.ErrRefused) || !errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
		t.Errorf("a stream of the name with another subject: %v", err)
	}
}

func TestDurable(t *testing.T) {
	url, w := natstest.URL(t), word()
	c := consumer(t, url, &driver.Options{MaxPending: 7, Consumer: func(c *jetstream.ConsumerConfig) { c.AckWait = 5 * time.Second }})
	create(t, c.Native(), jetstream.StreamConfig{Name: w, Subjects: []string{w + ".>"}})
	subscriber(t, c, w+".a", inQueue("billing"))
	subscriber(t, c, w+".a", inQueue("billing"))
	config := info(t, c.Native(), w+".a", "billing").Config
	if config.FilterSubject != w+".a" || config.MaxAckPending != 7 || config.AckWait != 5*time.Second || config.AckPolicy != jetstream.AckExplicitPolicy {
		t.Errorf("the durable is %+v", config)
	}
	if _, err := c.Subscriber(within(t, 10*time.Second), w+".b", inQueue("billing")); !errors.Is(err, driver.ErrRefused) {
		t.Errorf("the durable of another subject: %v", err)
	}
	for _, bad := range []string{"with.dot", "with*star", "with/slash"} {
		if _, err := c.Subscriber(within(t, 10*time.Second), w+".b", inQueue(bad)); !errors.Is(err, driver.ErrUnsupported) {
			t.Errorf("the queue %q: %v", bad, err)
		}
	}
	strict := consumer(t, url, &driver.Options{NoDeclare: true})
	if _, err := strict.Subscriber(within(t, 10*time.Second), w+".a", inQueue("missing")); !errors.Is(err, driver.ErrNotFound) {
		t.Errorf("a missing durable that is not to be created: %v", err)
	}
	subscriber(t, strict, w+".a", inQueue("billing"))
}

// A Subscriber without a queue leaves nothing on the server.
func TestConsumerOfItsOwnIsRemoved(t *testing.T) {
	url, subject := natstest.URL(t), newSubject()
	c := consumer(t, url, nil)
	sub := subscriber(t, c, subject, nil)
	stream, err := c.Native().Stream(within(t, 10*time.Second), strings.ReplaceAll(subject, ".", "_"))
	if err != nil {
		t.Fatal(err)
	}
	count := func() int {
		info, err := stream.Info(within(t, 10*time.Second))
		if err != nil {
			t.Fatal(err)
		}
		return info.State.Consumers
	}
	if n := count(); n != 1 {
		t.Errorf("%d consumers", n)
	}
	if err := sub.Close(); err != nil {
		t.Error(err)
	}
	if n := count(); n != 0 {
		t.Errorf("%d consumers after Close", n)
	}
}

// The server is asked what became of each message.
func TestSettle(t *testing.T) {
	url, subject := natstest.URL(t), newSubject()
	c := consumer(t, url, &driver.Options{MinBackoff: 10 * time.Millisecond, MaxBackoff: 20 * time.Millisecond})
	pub := publisher(t, producer(t, url, nil), subject)
	send(t, pub, envelope("fine"), envelope("fails twice"), envelope("rejected"))
	sub := subscriber(t, c, subject, inQueue("q"))
	ctx, cancel := context.WithCancel(within(t, 20*time.Second))
	var seen []string
	_ = sub.Receive(ctx, func(_ context.Context, e *driver.EnvelopeIn) error {
		meta, err := e.Native().Metadata()
		if err != nil {
			t.Error(err)
		}
		seen = append(seen, fmt.Sprintf("%s/%d", e.Payload(), meta.NumDelivered))
		switch {
		case string(e.Payload()) == "rejected":
			return driver.Reject(errors.New("no"))
		case string(e.Payload()) == "fails twice" && meta.NumDelivered < 3:
			return errors.New("not yet")
		case string(e.Payload()) == "fails twice":
			cancel()
		}
		return nil
	})
	if got := strings.Join(seen, " "); got != "fine/1 fails twice/1 rejected/1 fails twice/2 fails twice/3" {
		t.Errorf("delivered %q", got)
	}
	state := info(t, c.Native(), subject, "q")
	if state.NumAckPending != 0 || state.NumPending != 0 || state.AckFloor.Stream != 3 {
		t.Errorf("on the server %d are not acknowledged, %d wait, all up to %d are done", state.NumAckPending, state.NumPending, state.AckFloor.Stream)
	}
}

// The server is told that a message is worked on, also while it waits.
func TestSlowHandlersHaveTime(t *testing.T) {
	url, subject := natstest.URL(t), newSubject()
	c := consumer(t, url, &driver.Options{Consumer: func(c *jetstream.ConsumerConfig) { c.AckWait = 300 * time.Millisecond }})
	pub := publisher(t, producer(t, url, nil), subject)
	sub := subscriber(t, c, subject, inQueue("q"))
	for i := range 4 {
		send(t, pub, envelope(fmt.Sprint(i)))
	}
	ctx, cancel := context.WithCancel(within(t, 20*time.Second))
	var got []string
	_ = sub.Receive(ctx, func(_ context.Context, e *driver.EnvelopeIn) error {
		switch got = append(got, string(e.Payload())); string(e.Payload()) {
		case "end":
			cancel()
		case "3":
			send(t, pub, envelope("end"))
			fallthrough
		default:
			time.Sleep(500 * time.Millisecond)
		}
		return nil
	})
	if s := strings.Join(got, " "); s != "0 1 2 3 end" {
		t.Errorf("handled %s", s)
	}
}

// What a Receive has not handled goes to others at once, not after AckWait.
func TestWhatWasNotHandledGoesBack(t *testing.T) {
	url, subject := natstest.URL(t), newSubject()
	pub := publisher(t, producer(t, url, nil), subject)
	one := subscriber(t, consumer(t, url, nil), subject, inQueue("q"))
	other := subscriber(t, consumer(t, url, nil), subject, inQueue("q"))
	for i := range 50 {
		send(t, pub, envelope(fmt.Sprint(i)))
	}
	receive(t, one, 1)
	began := time.Now()
	receive(t, other, 49)
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("the rest came after %v", took)
	}
}

func TestDurableDeletedEndsReceive(t *testing.T) {
	url, subject := natstest.URL(t), newSubject()
	c := consumer(t, url, nil)
	sub := subscriber(t, c, subject, inQueue("q"))
	send(t, publisher(t, producer(t, url, nil), subject), envelope("x"))
	entered := make(chan struct{})
	done := make(chan error)
	go func() {
		done <- sub.Receive(context.Background(), func(context.Context, *driver.EnvelopeIn) error { close(entered); return nil })
	}()
	<-entered
	if err := c.Native().DeleteConsumer(within(t, 10*time.Second), strings.ReplaceAll(subject, ".", "_"), "q"); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-done:
		if !errors.Is(err, driver.ErrNotFound) {
			t.Errorf("Receive ended with %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("Receive did not end when the durable was deleted")
	}
	if err := sub.Receive(within(t, 10*time.Second), func(context.Context, *driver.EnvelopeIn) error { return nil }); !errors.Is(err, driver.ErrNotFound) {
		t.Errorf("the next Receive: %v", err)
	}
}

// The library receives by a subscription that the server may refuse.
func TestSubscriptionRefusedEndsReceive(t *testing.T) {
	for config, want := range map[string]error{
		"max_subscriptions: 1\n": driver.ErrRefused,
		"authorization { users: [ { user: u, password: p, permissions: { subscribe: { deny: [\"_INBOX.*\"] } } } ] }\nno_auth_user: u\n": driver.ErrUnauthorized,
	} {
		server := natstest.Start(t, config)
		// The first subscription is that of all answers.
		sub := subscriber(t, consumer(t, "nats://"+server.Addr, nil), "orders", inQueue("q"))
		err := sub.Receive(within(t, 20*time.Second), func(context.Context, *driver.EnvelopeIn) error { return nil })
		if !errors.Is(err, want) {
			t.Errorf("%s: Receive ended with %v", config, err)
		}
	}
}

// Deleted while the connection was away, so that nobody could say so.
func TestDurableDeletedDuringAnOutage(t *testing.T) {
	url, subject := natstest.URL(t), newSubject()
	proxy, err := conformance.NewProxy(strings.TrimPrefix(url, "nats://"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer proxy.Close()
	c := consumer(t, "nats://"+proxy.Addr(), &driver.Options{KeepAlive: time.Second, MaxBackoff: 100 * time.Millisecond})
	sub := subscriber(t, c, subject, inQueue("q"))
	done := make(chan error)
	go func() {
		done <- sub.Receive(context.Background(), func(context.Context, *driver.EnvelopeIn) error { return nil })
	}()
	eventually(t, func() bool { return info(t, c.Native(), subject, "q").NumWaiting > 0 })
	proxy.Refuse()
	proxy.Reset()
	if err := consumer(t, url, nil).Native().DeleteConsumer(within(t, 10*time.Second), strings.ReplaceAll(subject, ".", "_"), "q"); err != nil {
		t.Fatal(err)
	}
	proxy.Heal()
	select {
	case err := <-done:
		if !errors.Is(err, driver.ErrNotFound) {
			t.Errorf("Receive ended with %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("Receive did not end when the durable was deleted")
	}
}

func TestSendErrors(t *testing.T) {
	url, w := natstest.URL(t), word()
	p := producer(t, url, nil)
	create(t, p.Native(), jetstream.StreamConfig{
		Name: w, Subjects: []string{w + ".>"}, MaxMsgs: 2, Discard: jetstream.DiscardNew, MaxMsgSize: 1000,
	})
	pub := publisher(t, p, w+".a")
	refused := envelope("c")
	refused.SetSubject(brokers.RefusedSubject)
	reply := envelope("d")
	reply.SetReplyTo("elsewhere")
	err := pub.Send(within(t, 20*time.Second), envelope("a"), envelope(strings.Repeat("b", 2000)), refused, reply, envelope(strings.Repeat("e", 1<<20+1)), envelope("f"), envelope("g"), nil)
	var errs driver.SendErrors
	if !errors.As(err, &errs) || len(errs) != 8 {
		t.Fatalf("%T is no SendErrors of 8: %v", err, err)
	}
	for i, want := range []error{
		nil, driver.ErrTooLarge, driver.ErrUnauthorized, driver.ErrUnsupported, driver.ErrTooLarge, nil, driver.ErrRefused,
	} {
		if !errors.Is(errs[i], want) {
			t.Errorf("envelope %d: %v, not %v", i, errs[i], want)
		}
	}
	if errs[7] == nil {
		t.Error("a nil envelope was accepted")
	}
	var native *jetstream.APIError
	if !errors.As(errs[6], &native) {
		t.Errorf("errors.As does not reach the library's error: %v", errs[6])
	}
}

func TestSendWithoutStream(t *testing.T) {
	url, subject := natstest.URL(t), newSubject()
	p := producer(t, url, nil)
	pub := publisher(t, p, subject)
	stream := strings.ReplaceAll(subject, ".", "_")
	if err := p.Native().DeleteStream(within(t, 10*time.Second), stream); err != nil {
		t.Fatal(err)
	}
	err := pub.Send(within(t, time.Second), envelope("x"))
	if !errors.Is(err, driver.ErrNotFound) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Send without a stream: %v", err)
	}
	// It goes on when the stream is there again, as after a server's restart.
	again := time.AfterFunc(300*time.Millisecond, func() { create(t, p.Native(), jetstream.StreamConfig{Name: stream, Subjects: []string{subject}}) })
	defer again.Stop()
	send(t, pub, envelope("y"))
}

// The header is the server's: a message that is sent again is stored once.
func TestMessageID(t *testing.T) {
	url, subject := natstest.URL(t), newSubject()
	p := producer(t, url, nil)
	e := envelope("once")
	e.SetHeaders(driver.Headers{"Nats-Msg-Id": "42"})
	pub := publisher(t, p, subject)
	send(t, pub, e, e)
	send(t, pub, e, envelope("other"))
	if got := payloads(receive(t, subscriber(t, consumer(t, url, nil), subject, inQueue("q")), 2)); got != "once other" {
		t.Errorf("got %q", got)
	}
}

func TestNoReplies(t *testing.T) {
	url, subject := natstest.URL(t), newSubject()
	pub := publisher(t, producer(t, url, nil), subject)
	if _, err := pub.Request(within(t, time.Second), envelope("x")); !errors.Is(err, driver.ErrUnsupported) {
		t.Error(err)
	}
	send(t, pub, envelope("x"))
	e := receive(t, subscriber(t, consumer(t, url, nil), subject, inQueue("q")), 1)[0]
	if err := e.Reply(t.Context(), envelope("x")); !errors.Is(err, driver.ErrUnsupported) || e.ReplyTo() != "" {
		t.Errorf("%v, %q", err, e.ReplyTo())
	}
}

func TestNoJetStream(t *testing.T) {
	server := natstest.Start(t, "jetstream: disabled\n")
	p := producer(t, "nats://"+server.Addr, &driver.Options{Timeout: 500 * time.Millisecond})
	_, err := p.Publisher(within(t, 20*time.Second), "orders", nil)
	if !errors.Is(err, driver.ErrRefused) || !errors.Is(err, jetstream.ErrJetStreamNotEnabled) || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a server without JetStream: %v", err)
	}
	_, err = p.Publisher(within(t, 200*time.Millisecond), "orders", nil)
	if !errors.Is(err, driver.ErrRefused) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a server without JetStream, less than Timeout: %v", err)
	}
}

// A server that has just started does not answer for JetStream yet.
func TestJetStreamIsLate(t *testing.T) {
	server := natstest.Start(t, "jetstream: disabled\n")
	var told journal
	c := consumer(t, "nats://"+server.Addr, &driver.Options{MaxBackoff: 100 * time.Millisecond, Logger: told.logger()})
	opened := make(chan error)
	go func() {
		_, err := c.Subscriber(within(t, 20*time.Second), "orders", inQueue("q"))
		opened <- err
	}()
	select {
	case err := <-opened:
		t.Fatalf("Subscriber did not wait: %v", err)
	case <-time.After(300 * time.Millisecond):
	}
	if err := errors.Join(server.Kill(), server.Reload(""), server.Restart()); err != nil {
		t.Fatal(err)
	}
	if err := <-opened; err != nil {
		t.Errorf("Subscriber before JetStream was there: %v\n%s", err, told.String())
	}
}

// A batch larger than what the library has under way at once.
func TestLargeBatch(t *testing.T) {
	url, subject := natstest.URL(t), newSubject()
	pub := publisher(t, producer(t, url, nil), subject)
	const n = 10_000
	envelopes := make([]*driver.EnvelopeOut, n)
	for i := range envelopes {
		envelopes[i] = envelope(fmt.Sprint(i))
	}
	send(t, pub, envelopes...)
	sub := subscriber(t, consumer(t, url, nil), subject, inQueue("q"))
	for i, e := range receive(t, sub, n) {
		if string(e.Payload()) != fmt.Sprint(i) {
			t.Fatalf("%q came at position %d", e.Payload(), i)
		}
	}
}

func TestPanicComesAgain(t *testing.T) {
	url, subject := natstest.URL(t), newSubject()
	c := consumer(t, url, &driver.Options{Concurrency: 2, MinBackoff: time.Millisecond, MaxBackoff: time.Millisecond})
	sub := subscriber(t, c, subject, nil)
	send(t, publisher(t, producer(t, url, nil), subject), envelope("a"), envelope("b"))
	var count atomic.Int64
	func() {
		defer func() {
			if p := recover(); p != "the handler's" {
				t.Errorf("recovered %v", p)
			}
		}()
		_ = sub.Receive(within(t, 20*time.Second), func(context.Context, *driver.EnvelopeIn) error {
			if count.Add(1) == 1 {
				panic("the handler's")
			}
			return nil
		})
	}()
	if n := 3 - int(count.Load()); n > 0 {
		receive(t, sub, n)
	}
}

// The example ends by itself, and prints what it has received.
func TestExample(t *testing.T) {
	exampleURL = natstest.URL(t)
	stdout := os.Stdout
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	os.Stdout = w
	Example()
	os.Stdout = stdout
	w.Close()
	if got, err := io.ReadAll(r); string(got) != "Hello, NATS!\n" {
		t.Errorf("printed %q, %v", got, err)
	}
}
