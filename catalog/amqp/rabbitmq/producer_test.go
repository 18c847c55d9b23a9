package rabbitmq_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	driver "github.com/asyncapi-impl/asyncapi-impl/catalog/amqp/rabbitmq"
	"github.com/asyncapi-impl/asyncapi-impl/catalog/conformance"
	"github.com/asyncapi-impl/asyncapi-impl/internal/brokers"
	"github.com/asyncapi-impl/asyncapi-impl/internal/rabbittest"
)

// TestWhichEnvelopeFailed: of many on their way, the ones that fail are told,
// however they fail, and all others arrive.
func TestWhichEnvelopeFailed(t *testing.T) {
	s := managed(t)
	if err := rabbittest.SetUser(s, "poisoner", "secret", ".*"); err != nil {
		t.Fatal(err)
	}
	queue := newName()
	pub := publisher(t, producer(t, "amqp://poisoner:secret@"+s.Addr, nil), queue, nil)
	bad := map[int]error{}
	var envelopes []*driver.EnvelopeOut
	var want []string
	for i := range 60 {
		e := envelope(fmt.Sprintf("%02d", i))
		switch {
		case i == 59:
		case i%20 == 3: // the server returns it
			e.SetRoutingKey("nobody")
			bad[i] = driver.ErrRefused
		case i%20 == 7: // the server closes the channel over it
			e.SetHeaders(driver.Headers{"CC": "not an array"})
			bad[i] = driver.ErrRefused
		case i%20 == 11: // the server would close the connection over it
			e.SetHeaders(driver.Headers{"x": strings.Repeat("x", 140_000)})
			bad[i] = driver.ErrTooLarge
		case i%20 == 15:
			e.SetHeaders(driver.Headers{strings.Repeat("x", 256): 1})
			bad[i] = driver.ErrUnsupported
		}
		if bad[i] == nil {
			want = append(want, fmt.Sprintf("%02d", i))
		}
		envelopes = append(envelopes, e)
	}
	err := pub.Send(within(t, 30*time.Second), envelopes...)
	var errs driver.SendErrors
	if !errors.As(err, &errs) {
		t.Fatalf("Send gives %v", err)
	}
	for i, err := range errs {
		if !errors.Is(err, bad[i]) {
			t.Errorf("envelope %d: %v, want %v", i, err, bad[i])
		}
	}
	// Those that shared the channel with one that broke it may come twice.
	var got []string
	for _, e := range receive(t, subscriber(t, consumer(t, s.URL, nil), queue, nil), len(want)) {
		got = append(got, string(e.Payload()))
	}
	slices.Sort(got)
	if got = slices.Compact(got); !slices.Equal(got, want) && len(got) >= len(want) {
		t.Errorf("received %v, want %v", got, want)
	}
}

// TestReturnsOfOneID: messages that bear the same id are told apart.
func TestReturnsOfOneID(t *testing.T) {
	s := managed(t)
	queue := newName()
	pub := publisher(t, producer(t, s.URL, nil), queue, nil)
	var envelopes []*driver.EnvelopeOut
	for i := range 40 {
		e := envelope("x")
		e.SetMessageID("the same")
		if i%2 == 0 {
			e.SetRoutingKey(fmt.Sprint("nobody", i))
		}
		envelopes = append(envelopes, e)
	}
	var errs driver.SendErrors
	if err := pub.Send(within(t, 30*time.Second), envelopes...); !errors.As(err, &errs) {
		t.Fatal(err)
	}
	for i, err := range errs {
		if (i%2 == 0) != errors.Is(err, driver.ErrRefused) {
			t.Errorf("envelope %d: %v", i, err)
		}
	}
}

// TestDeletedExchange: what was deleted is declared again, and the message sent
// again.
func TestDeletedExchange(t *testing.T) {
	s := managed(t)
	exchange := newName()
	b := &driver.ChannelBindings{Exchange: &driver.Exchange{Name: exchange, Type: "topic"}}
	there := publisher(t, producer(t, s.URL, &driver.Options{NoDeclare: true}), "key", &driver.ChannelBindings{Exchange: &driver.Exchange{Name: "amq.topic"}})
	pub := publisher(t, producer(t, s.URL, nil), "key", b)
	strict := publisher(t, producer(t, s.URL, &driver.Options{NoDeclare: true}), "key", b)
	send(t, pub, envelope("1"))
	send(t, there, envelope("1"))
	if err := bare(t, s.URL).ExchangeDelete(exchange, false, false); err != nil {
		t.Fatal(err)
	}
	if err := strict.Send(within(t, 10*time.Second), envelope("2")); !errors.Is(err, driver.ErrNotFound) {
		t.Errorf("Send to a deleted exchange that is not to be declared: %v", err)
	}
	send(t, pub, envelope("2"))
	ask(t, s, "exchanges/%2f/"+exchange, nil)
}

func TestUserMayNotWrite(t *testing.T) {
	s := managed(t)
	if err := rabbittest.SetUser(s, "reader", "secret", "^may-.*"); err != nil {
		t.Fatal(err)
	}
	p := producer(t, "amqp://reader:secret@"+s.Addr, nil)
	if err := publisher(t, p, newName(), nil).Send(within(t, 10*time.Second), envelope("x")); !errors.Is(err, driver.ErrUnauthorized) {
		t.Errorf("Send to an exchange that the user may not write to: %v", err)
	}
	send(t, publisher(t, p, "key", &driver.ChannelBindings{Exchange: &driver.Exchange{Name: "may-write", Type: "topic"}}), envelope("x"))
	pub := publisher(t, producer(t, s.URL, nil), newName(), &driver.ChannelBindings{Operation: &driver.OperationBindings{UserID: "somebody"}})
	if err := pub.Send(within(t, 10*time.Second), envelope("x")); !errors.Is(err, driver.ErrRefused) {
		t.Errorf("Send in somebody else's name: %v", err)
	}
}

// TestBlockedServer: a server that is short of memory takes no messages. Send
// gives up in time, and what waits arrives when it recovers.
func TestBlockedServer(t *testing.T) {
	s := managed(t)
	if !brokers.Real() {
		t.Skip("rabbitmqctl takes seconds: only with ASYNCAPI_IMPL_BROKERS=real")
	}
	queue := newName()
	p := producer(t, s.URL, &driver.Options{Timeout: 2 * time.Second})
	pub := publisher(t, p, queue, nil)
	other := publisher(t, producer(t, s.URL, nil), newName(), nil)
	send(t, pub, envelope("before"))
	watermark := func(value string) {
		t.Helper()
		if err := s.RabbitMQCtl(within(t, time.Minute), "set_vm_memory_high_watermark", value); err != nil {
			t.Fatal(err)
		}
	}
	watermark("0.00001")
	defer watermark("0.4")
	for range 2 {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		err := pub.Send(ctx, envelope(strings.Repeat("x", 1<<20)))
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("Send to a blocked server gives %v", err)
		}
	}
	if err := pub.Send(context.Background(), envelope("x")); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "takes no messages") {
		t.Errorf("Send to a blocked server gives %v, want one that tells why", err)
	}
	sent := make(chan error)
	go func() { sent <- pub.Send(within(t, time.Minute), envelope("after")) }()
	closing := time.Now()
	blocked, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := other.Send(blocked, envelope("x")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Send to a blocked server gives %v", err)
	}
	if err := other.Close(); err != nil {
		t.Log(err)
	}
	if took := time.Since(closing); took > 13*time.Second {
		t.Errorf("Close took %v", took)
	}
	watermark("0.4")
	if err := <-sent; err != nil {
		t.Errorf("Send that waited for the server: %v", err)
	}
	sub := subscriber(t, consumer(t, s.URL, nil), queue, nil)
	for {
		if got := receive(t, sub, 1)[0]; string(got.Payload()) == "after" {
			break
		}
	}
}

func TestTooLargeForTheServer(t *testing.T) {
	s := managed(t)
	if !brokers.Real() {
		t.Skip("rabbitmqctl takes seconds: only with ASYNCAPI_IMPL_BROKERS=real")
	}
	limit := func(bytes int) {
		t.Helper()
		if err := s.RabbitMQCtl(within(t, time.Minute), "eval", fmt.Sprintf("persistent_term:erase(max_message_size), application:set_env(rabbit, max_message_size, %d).", bytes)); err != nil {
			t.Fatal(err)
		}
	}
	limit(1 << 20)
	defer limit(128 << 20)
	pub := publisher(t, producer(t, s.URL, nil), newName(), nil)
	send(t, pub, envelope("x"))
	if err := pub.Send(within(t, 20*time.Second), envelope(strings.Repeat("x", 1<<20+1))); !errors.Is(err, driver.ErrTooLarge) {
		t.Errorf("Send of a message above the server's limit: %v", err)
	}
	send(t, pub, envelope("x"))
}

// TestSilentServer: a server that still hears this side, and is not heard, is
// given up.
func TestSilentServer(t *testing.T) {
	s := managed(t)
	url, proxy := through(t, s)
	p := producer(t, url, &driver.Options{Heartbeat: time.Second})
	pub := publisher(t, p, newName(), nil)
	proxy.BlackHole(conformance.ToClient)
	for ctx := within(t, 15*time.Second); p.Native() != nil; {
		if ctx.Err() != nil {
			t.Fatal("a connection that is silent for 15 s is kept, with heartbeats each second")
		}
		time.Sleep(10 * time.Millisecond)
	}
	proxy.Heal()
	send(t, pub, envelope("x"))
}

// TestTextsThatAreTooLong: the library would close the connection over a property
// that is too long, so the driver looks first.
func TestTextsThatAreTooLong(t *testing.T) {
	s := managed(t)
	p := producer(t, s.URL, nil)
	pub := publisher(t, p, newName(), nil)
	before := p.Native()
	long := strings.Repeat("x", 256)
	for name, set := range map[string]func(*driver.EnvelopeOut){
		"content type":     func(e *driver.EnvelopeOut) { e.SetContentType(long) },
		"content encoding": func(e *driver.EnvelopeOut) { e.SetBindings(driver.MessageBindings{ContentEncoding: long}) },
		"message type":     func(e *driver.EnvelopeOut) { e.SetBindings(driver.MessageBindings{MessageType: long}) },
		"routing key":      func(e *driver.EnvelopeOut) { e.SetRoutingKey(long) },
		"message id":       func(e *driver.EnvelopeOut) { e.SetMessageID(long) },
		"correlation id":   func(e *driver.EnvelopeOut) { e.SetCorrelationID(long) },
		"reply-to":         func(e *driver.EnvelopeOut) { e.SetReplyTo(long) },
	} {
		e := envelope("x")
		set(e)
		if err := pub.Send(within(t, 10*time.Second), e); !errors.Is(err, driver.ErrUnsupported) || !strings.Contains(err.Error(), name) {
			t.Errorf("a %s of 256 bytes: %v", name, err)
		}
	}
	if err := pub.Send(within(t, 10*time.Second), nil); err == nil {
		t.Error("an envelope that is nil is sent")
	}
	send(t, pub, envelope("x"))
	if p.Native() != before {
		t.Error("the connection was lost meanwhile")
	}
}
