package paho_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asyncapi-impl/asyncapi-impl/catalog/conformance"
	driver "github.com/asyncapi-impl/asyncapi-impl/catalog/mqtt/paho"
	"github.com/asyncapi-impl/asyncapi-impl/internal/brokers"
	"github.com/asyncapi-impl/asyncapi-impl/internal/mqtttest"
)

func TestMain(m *testing.M) { os.Exit(brokers.Main(m)) }

func init() {
	testBroker = func(t testing.TB) (*conformance.Broker, *conformance.Foreign) { return mqtttest.Broker(t, 4) }
}

var topics atomic.Int64

// newTopic is a name that no other test of this process uses.
func newTopic() string { return fmt.Sprintf("topic-%d-%d", os.Getpid(), topics.Add(1)) }

func within(t testing.TB, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

func producer(t testing.TB, url string, bindings *driver.ServerBindings, options *driver.Options) *driver.Producer {
	t.Helper()
	p, err := driver.NewProducer(url, bindings, options)
	if err != nil {
		t.Fatal(err)
	}
	closed(t, p)
	return p
}

func consumer(t testing.TB, url string, bindings *driver.ServerBindings, options *driver.Options) *driver.Consumer {
	t.Helper()
	c, err := driver.NewConsumer(url, bindings, options)
	if err != nil {
		t.Fatal(err)
	}
	closed(t, c)
	return c
}

func closed(t testing.TB, c io.Closer) {
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
}

func publisher(t testing.TB, p *driver.Producer, topic string, o *driver.OperationBindings) *driver.Publisher {
	t.Helper()
	pub, err := p.Publisher(within(t, 20*time.Second), topic, &driver.ChannelBindings{Operation: o})
	if err != nil {
		t.Fatal(err)
	}
	return pub
}

func subscriber(t testing.TB, c *driver.Consumer, topic string, o *driver.OperationBindings) *driver.Subscriber {
	t.Helper()
	sub, err := c.Subscriber(within(t, 20*time.Second), topic, &driver.ChannelBindings{Operation: o})
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

func send(t testing.TB, pub *driver.Publisher, envelopes ...*driver.EnvelopeOut) {
	t.Helper()
	if err := pub.Send(within(t, 30*time.Second), envelopes...); err != nil {
		t.Fatal(err)
	}
}

// receive takes n messages and then ends Receive, in which all of them are
// settled.
func receive(t testing.TB, sub *driver.Subscriber, n int) []*driver.EnvelopeIn {
	t.Helper()
	ctx, cancel := context.WithCancel(within(t, 30*time.Second))
	defer cancel()
	var got []*driver.EnvelopeIn
	err := sub.Receive(ctx, func(_ context.Context, e *driver.EnvelopeIn) error {
		if got = append(got, e); len(got) == n {
			cancel()
		}
		return nil
	})
	if len(got) != n {
		t.Fatalf("received %d messages, not %d: %v", len(got), n, err)
	}
	return got
}

func payloads(envelopes []*driver.EnvelopeIn) string {
	var all []string
	for _, e := range envelopes {
		all = append(all, string(e.Payload()))
	}
	return strings.Join(all, " ")
}

// proxied gives a URL that leads through a proxy.
func proxied(t testing.TB, url string) (*conformance.Proxy, string) {
	t.Helper()
	scheme, host, _ := strings.Cut(url, "://")
	p, err := conformance.NewProxy(host, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p, scheme + "://" + p.Addr()
}

// eventually waits for what nothing announces.
func eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not in 20 s", what)
		}
	}
}

func ptr[T any](v T) *T { return &v }
