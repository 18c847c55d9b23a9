package gobwas_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/asyncapi-impl/asyncapi-impl/catalog/conformance"
	driver "github.com/asyncapi-impl/asyncapi-impl/catalog/ws/gobwas"
	"github.com/asyncapi-impl/asyncapi-impl/internal/brokers"
)

func TestMain(m *testing.M) { os.Exit(brokers.Main(m)) }

func init() {
	testBroker = func(t testing.TB) *conformance.Broker {
		b := &conformance.Broker{Name: "its own", User: brokers.User, Password: brokers.Password}
		c := consumer(t, anywhere, quick(func(o *driver.Options) { o.Security = driver.UserPassword{User: b.User, Password: b.Password} }))
		subscriber(t, c, "{address}", nil)
		b.SecureURL = c.URL()
		return b
	}
	testForeign = func(t testing.TB) *conformance.Foreign {
		return &conformance.Foreign{
			Send: func(ctx context.Context, url, address string, payload []byte, _ map[string]string) error {
				if brokers.Real() {
					return nodeSend(ctx, url+"/"+address, payload)
				}
				return foreignSend(ctx, url+"/"+address, payload)
			},
		}
	}
}

// anywhere is where a side listens that may choose the port.
const anywhere = "ws://127.0.0.1:0"

func within(t testing.TB, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

// quick are options under which a test need not wait for what goes wrong.
func quick(change ...func(*driver.Options)) *driver.Options {
	o := &driver.Options{Timeout: 5 * time.Second, MinBackoff: 10 * time.Millisecond, MaxBackoff: 100 * time.Millisecond}
	for _, c := range change {
		c(o)
	}
	return o
}

func dialling(o *driver.Options)  { o.Role = driver.RoleDial }
func listening(o *driver.Options) { o.Role = driver.RoleListen }

func producer(t testing.TB, url string, options *driver.Options) *driver.Producer {
	t.Helper()
	p, err := driver.NewProducer(url, nil, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

func consumer(t testing.TB, url string, options *driver.Options) *driver.Consumer {
	t.Helper()
	c, err := driver.NewConsumer(url, nil, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func publisher(t testing.TB, p *driver.Producer, address string, bindings *driver.ChannelBindings) *driver.Publisher {
	t.Helper()
	pub, err := p.Publisher(within(t, 20*time.Second), address, bindings)
	if err != nil {
		t.Fatal(err)
	}
	return pub
}

func subscriber(t testing.TB, c *driver.Consumer, address string, bindings *driver.ChannelBindings) *driver.Subscriber {
	t.Helper()
	sub, err := c.Subscriber(within(t, 20*time.Second), address, bindings)
	if err != nil {
		t.Fatal(err)
	}
	return sub
}

func envelope(payload string) *driver.EnvelopeOut {
	e := driver.NewEnvelopeOut()
	e.SetPayload([]byte(payload))
	return e
}

func text(payload string) *driver.EnvelopeOut {
	e := envelope(payload)
	e.SetOpCode(driver.OpText)
	return e
}

type sender interface {
	Send(context.Context, ...*driver.EnvelopeOut) error
}

func send(t testing.TB, to sender, envelopes ...*driver.EnvelopeOut) {
	t.Helper()
	if err := to.Send(within(t, 20*time.Second), envelopes...); err != nil {
		t.Fatal(err)
	}
}

// receive takes n messages and then ends Receive.
func receive(t testing.TB, sub *driver.Subscriber, n int) []*driver.EnvelopeIn {
	t.Helper()
	ctx, cancel := context.WithCancel(within(t, 20*time.Second))
	defer cancel()
	var got []*driver.EnvelopeIn
	err := sub.Receive(ctx, func(_ context.Context, e *driver.EnvelopeIn) error {
		if got = append(got, e); len(got) == n {
			cancel()
		}
		return nil
	})
	if len(got) < n {
		t.Fatalf("received %d messages, not %d: %v", len(got), n, err)
	}
	return got
}

func expect(t testing.TB, got []*driver.EnvelopeIn, want ...string) {
	t.Helper()
	var all []string
	for _, e := range got {
		all = append(all, string(e.Payload()))
	}
	if strings.Join(all, "|") != strings.Join(want, "|") {
		t.Fatalf("received %q, want %q", all, want)
	}
}

// answering receives until the test ends and replies to each message.
func answering(t testing.TB, sub *driver.Subscriber) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = sub.Receive(ctx, func(ctx context.Context, e *driver.EnvelopeIn) error {
			out := envelope("reply to " + string(e.Payload()))
			out.SetOpCode(e.OpCode())
			return e.Reply(ctx, out)
		})
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
}

func eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !condition() {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func numbered(from, to int) []string {
	var all []string
	for i := from; i < to; i++ {
		all = append(all, fmt.Sprint("message ", i))
	}
	return all
}
