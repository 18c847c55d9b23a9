package streadway_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	amqp "github.com/streadway/amqp"

	driver "github.com/asyncapi-impl/asyncapi-impl/catalog/amqp/streadway"
	"github.com/asyncapi-impl/asyncapi-impl/internal/rabbittest"
)

// TestQueueDeleted: the server's end of a subscription is Receive's.
func TestQueueDeleted(t *testing.T) {
	s := managed(t)
	queue := newName()
	pub := publisher(t, producer(t, s.URL, nil), queue, nil)
	for _, document := range []string{`{}`, `{"operation":{"ack":false}}`} {
		sub := subscriber(t, consumer(t, s.URL, nil), queue, decode(t, document))
		send(t, pub, envelope("x"))
		err := sub.Receive(within(t, 20*time.Second), func(context.Context, *driver.EnvelopeIn) error {
			_, err := bare(t, s.URL).QueueDelete(queue, false, false, false)
			return err
		})
		if !errors.Is(err, driver.ErrNotFound) {
			t.Errorf("%s: Receive from a deleted queue ended with %v", document, err)
		}
		if err := pub.Send(within(t, 10*time.Second), envelope("x")); !errors.Is(err, driver.ErrRefused) {
			t.Errorf("Send to a deleted queue gives %v", err)
		}
		// The next Receive declares it again.
		ctx, cancel := context.WithCancel(within(t, 20*time.Second))
		done := make(chan error)
		go func() {
			done <- sub.Receive(ctx, func(context.Context, *driver.EnvelopeIn) error { cancel(); return nil })
		}()
		for pub.Send(ctx, envelope("again")) != nil && ctx.Err() == nil {
			time.Sleep(10 * time.Millisecond)
		}
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
}

// TestRejectDeadLetters: what is rejected goes where the queue sends its dead
// letters, and says why.
func TestRejectDeadLetters(t *testing.T) {
	s := managed(t)
	queue, dead := newName(), newName()
	if err := rabbittest.Declare(s, queue, `{"x-dead-letter-exchange":"","x-dead-letter-routing-key":"`+dead+`"}`); err != nil {
		t.Fatal(err)
	}
	options := &driver.Options{NoDeclare: true}
	c := consumer(t, s.URL, options)
	letters := subscriber(t, consumer(t, s.URL, nil), dead, nil)
	send(t, publisher(t, producer(t, s.URL, options), queue, nil), envelope("1"), envelope("2"))
	ctx, cancel := context.WithCancel(within(t, 20*time.Second))
	_ = subscriber(t, c, queue, nil).Receive(ctx, func(_ context.Context, e *driver.EnvelopeIn) error {
		if string(e.Payload()) == "1" {
			return driver.Reject(errors.New("bad"))
		}
		cancel()
		return nil
	})
	got := receive(t, letters, 1)[0]
	if string(got.Payload()) != "1" {
		t.Errorf("the dead letter is %s", got.Payload())
	}
	deaths, _ := got.Headers()["x-death"].([]any)
	if len(deaths) != 1 || deaths[0].(driver.Headers)["reason"] != "rejected" {
		t.Errorf("it died of %v", got.Headers())
	}
}

// TestFailedMessageKeepsItsPlace, and no other is handled meanwhile.
func TestFailedMessageKeepsItsPlace(t *testing.T) {
	s := managed(t)
	queue := newName()
	send(t, publisher(t, producer(t, s.URL, nil), queue, nil), envelope("1"), envelope("2"))
	sub := subscriber(t, consumer(t, s.URL, &driver.Options{MinBackoff: 20 * time.Millisecond, MaxBackoff: 40 * time.Millisecond}), queue, nil)
	var seen []string
	ctx, cancel := context.WithCancel(within(t, 20*time.Second))
	_ = sub.Receive(ctx, func(_ context.Context, e *driver.EnvelopeIn) error {
		seen = append(seen, fmt.Sprintf("%s %v", e.Payload(), e.Redelivered()))
		if len(seen) < 4 {
			return errors.New("not yet")
		}
		if len(seen) == 5 {
			cancel()
		}
		return nil
	})
	if got := strings.Join(seen, ", "); got != "1 false, 1 true, 1 true, 1 true, 2 false" {
		t.Errorf("handled %s", got)
	}
}

// TestLateAcknowledgement: a message of the session before is settled when its
// delivery tag is another message's.
func TestLateAcknowledgement(t *testing.T) {
	s := managed(t)
	url, proxy := through(t, s)
	queue := newName()
	send(t, publisher(t, producer(t, s.URL, nil), queue, nil), envelope("1"), envelope("2"), envelope("3"))
	var log safeBuffer
	c := consumer(t, url, &driver.Options{
		Concurrency: 2, MinBackoff: time.Millisecond, MaxBackoff: 10 * time.Millisecond, Logger: slog.New(slog.NewTextHandler(&log, nil)),
	})
	sub := subscriber(t, c, queue, nil)
	ctx, cancel := context.WithCancel(within(t, 30*time.Second))
	defer cancel()
	var mu sync.Mutex
	handled := map[string]int{}
	both := make(chan struct{})
	_ = sub.Receive(ctx, func(_ context.Context, e *driver.EnvelopeIn) error {
		mu.Lock()
		payload := string(e.Payload())
		handled[payload]++
		first := handled[payload] == 1 && payload != "3"
		if first && len(handled) == 2 {
			close(both)
		}
		if handled["1"] == 2 && handled["2"] == 2 && handled["3"] >= 1 {
			cancel()
		}
		mu.Unlock()
		if first {
			<-both
			proxy.Reset()
		}
		return nil
	})
	if handled["1"] != 2 || handled["2"] != 2 || handled["3"] != 1 {
		t.Errorf("handled %v: the messages in hand at the cut have to come twice, the other once", handled)
	}
	if text := log.String(); strings.Count(text, "connection lost") != 1 || strings.Count(text, "connected again") != 1 || !strings.Contains(text, "not settled") {
		t.Errorf("the log says\n%s", text)
	}
	if q, err := bare(t, s.URL).QueueDeclarePassive(queue, true, false, false, false, nil); err != nil || q.Messages != 0 {
		t.Errorf("the queue holds %d messages, %v", q.Messages, err)
	}
}

// TestExchangeSubscriberReconnects: its queue went with the connection, and
// another takes its place.
func TestExchangeSubscriberReconnects(t *testing.T) {
	s := managed(t)
	url, proxy := through(t, s)
	b := &driver.ChannelBindings{Exchange: &driver.Exchange{Name: newName(), Type: "fanout"}}
	own := decode(t, `{"queue":{"exclusive":true}}`)
	exclusive := newName()
	p := producer(t, s.URL, nil)
	c := consumer(t, url, &driver.Options{Heartbeat: time.Second, MaxBackoff: 50 * time.Millisecond})
	sub, mine := subscriber(t, c, "", b), subscriber(t, c, exclusive, own)
	for i, harm := range []func(){func() {}, proxy.Reset, proxy.Abandon} {
		harm()
		ctx, cancel := context.WithCancel(within(t, 30*time.Second))
		var work sync.WaitGroup
		for _, one := range []struct {
			sub *driver.Subscriber
			pub *driver.Publisher
		}{{sub, publisher(t, p, "key", b)}, {mine, publisher(t, p, exclusive, own)}} {
			came := make(chan struct{})
			work.Add(1)
			go func() {
				defer work.Done()
				var once sync.Once
				err := one.sub.Receive(ctx, func(context.Context, *driver.EnvelopeIn) error {
					once.Do(func() { close(came) })
					return nil
				})
				if !errors.Is(err, context.Canceled) {
					t.Errorf("round %d: Receive ended with %v", i, err)
				}
			}()
			for open := true; open; {
				attempt, stop := context.WithTimeout(ctx, time.Second)
				_ = one.pub.Send(attempt, envelope("x")) // refused while the queue is gone
				stop()
				select {
				case <-came:
					open = false
				case <-ctx.Done():
					t.Fatalf("round %d: nothing came", i)
				case <-time.After(10 * time.Millisecond):
				}
			}
		}
		cancel()
		work.Wait()
	}
}

// TestWithoutAcknowledgement: the server forgets a message when it is on its
// way, so what Close can't hand over is told.
func TestWithoutAcknowledgement(t *testing.T) {
	s := managed(t)
	queue := newName()
	b := decode(t, `{"operation":{"ack":false}}`)
	sub := subscriber(t, consumer(t, s.URL, nil), queue, b)
	var envelopes []*driver.EnvelopeOut
	for range 10 {
		envelopes = append(envelopes, envelope("x"))
	}
	send(t, publisher(t, producer(t, s.URL, nil), queue, nil), envelopes...)
	ctx, cancel := context.WithCancel(within(t, 20*time.Second))
	n := 0
	_ = sub.Receive(ctx, func(context.Context, *driver.EnvelopeIn) error {
		if n++; n == 3 {
			cancel()
		}
		return errors.New("nobody can help it")
	})
	if n != 3 {
		t.Errorf("%d handlers ran, want 3", n)
	}
	if err := sub.Close(); err == nil || !strings.Contains(err.Error(), "7 messages") {
		t.Errorf("Close gives %v", err)
	}
}

// TestHeadersOfAnyClient: whatever types a header has, it can be read, and so
// can the next message.
func TestHeadersOfAnyClient(t *testing.T) {
	s := managed(t)
	queue := newName()
	sub := subscriber(t, consumer(t, s.URL, nil), queue, nil)
	moment := time.Unix(1_700_000_000, 0)
	err := bare(t, s.URL).Publish("", queue, true, false, amqp.Publishing{Body: []byte("x"), Headers: amqp.Table{
		"nil": nil, "bool": true, "i16": int16(-2), "i32": int32(-3), "i64": int64(-4), "f32": float32(0.5), "f64": 0.25,
		"text": "t", "bytes": []byte{0, 255}, "time": moment, "decimal": amqp.Decimal{Scale: 2, Value: 314},
		"list": []any{"a", int32(1), []any{}}, "table": amqp.Table{"inner": amqp.Table{"deep": "x"}}, "": "no key",
	}})
	if err != nil {
		t.Fatal(err)
	}
	send(t, publisher(t, producer(t, s.URL, nil), queue, nil), envelope("next"))
	got := receive(t, sub, 2)
	want := driver.Headers{
		"nil": nil, "bool": true, "i16": int16(-2), "i32": int32(-3), "i64": int64(-4), "f32": float32(0.5), "f64": 0.25,
		"text": "t", "bytes": []byte{0, 255}, "time": moment, "decimal": amqp.Decimal{Scale: 2, Value: 314},
		"list": []any{"a", int32(1), []any{}}, "table": driver.Headers{"inner": driver.Headers{"deep": "x"}}, "": "no key",
	}
	if have := got[0].Headers(); !reflect.DeepEqual(have, want) {
		t.Errorf("the headers are %#v", have)
	}
	for key, want := range map[string]string{
		"nil": "", "bool": "true", "i16": "-2", "f64": "0.25", "text": "t", "bytes": "\x00\xff", "time": "2023-11-14T22:13:20Z", "list": "a", "absent": "",
	} {
		if have := got[0].Header(key); have != want {
			t.Errorf("Header(%q) is %q", key, have)
		}
	}
}

func TestReplies(t *testing.T) {
	s := managed(t)
	queue := newName()
	sub := subscriber(t, consumer(t, s.URL, nil), queue, nil)
	url, proxy := through(t, s)
	pub := publisher(t, producer(t, url, nil), queue, nil)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	var cut sync.Once
	go func() {
		defer close(done)
		_ = sub.Receive(ctx, func(ctx context.Context, e *driver.EnvelopeIn) error {
			switch string(e.Payload()) {
			case "cut": // the reply has lost its way, so the request comes again
				cut.Do(proxy.Reset)
			case "twice":
				if err := e.Reply(ctx, envelope("first")); err != nil {
					return err
				}
			case "no place":
				if err := e.Reply(ctx, envelope("x")); !errors.Is(err, driver.ErrUnsupported) {
					t.Errorf("Reply to a message without reply-to: %v", err)
				}
				return nil
			}
			return e.Reply(ctx, envelope("re: "+string(e.Payload())))
		})
	}()
	defer func() { cancel(); <-done }()
	for request, want := range map[string]string{"a": "re: a", "cut": "re: cut", "twice": "first"} {
		reply, err := pub.Request(within(t, 20*time.Second), envelope(request))
		if err != nil || string(reply.Payload()) != want {
			t.Errorf("the reply to %s is %v, %v", request, reply, err)
			continue
		}
		if err := reply.Reply(context.Background(), envelope("x")); err == nil {
			t.Error("a reply has a reply")
		}
	}
	send(t, pub, envelope("no place"))
	e := envelope("x")
	e.SetReplyTo("elsewhere")
	if _, err := pub.Request(within(t, 10*time.Second), e); !errors.Is(err, driver.ErrUnsupported) {
		t.Errorf("a request whose reply goes elsewhere: %v", err)
	}
	// A reply to a queue.
	back := newName()
	replies := subscriber(t, consumer(t, s.URL, nil), back, nil)
	e = envelope("b")
	e.SetReplyTo(back)
	e.SetCorrelationID("c-7")
	send(t, pub, e)
	if got := receive(t, replies, 1)[0]; string(got.Payload()) != "re: b" || got.CorrelationID() != "c-7" {
		t.Errorf("the queue got %s with the correlation id %q", got.Payload(), got.CorrelationID())
	}
	if _, err := pub.Request(within(t, 10*time.Second), nil); err == nil {
		t.Error("a nil request is sent")
	}
}

// safeBuffer is a log that a test may read.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
