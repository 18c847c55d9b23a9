package goredis_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	driver "github.com/asyncapi-impl/asyncapi-impl/catalog/redis/goredis"
	"github.com/asyncapi-impl/asyncapi-impl/internal/brokers"
	"github.com/asyncapi-impl/asyncapi-impl/internal/redistest"
)

func TestMain(m *testing.M) { os.Exit(brokers.Main(m)) }

func init() {
	testBroker, testForeign = redistest.Broker, redistest.PubSub()
}

var channels atomic.Int64

// newChannel is a name that no other test of this process uses.
func newChannel() string { return fmt.Sprintf("channel-%d-%d", os.Getpid(), channels.Add(1)) }

func within(t testing.TB, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

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

func publisher(t testing.TB, p *driver.Producer, channel string) *driver.Publisher {
	t.Helper()
	pub, err := p.Publisher(within(t, 20*time.Second), channel, nil)
	if err != nil {
		t.Fatal(err)
	}
	return pub
}

func subscriber(t testing.TB, c *driver.Consumer, channel string, bindings *driver.ChannelBindings) *driver.Subscriber {
	t.Helper()
	sub, err := c.Subscriber(within(t, 20*time.Second), channel, bindings)
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

func send(t testing.TB, pub *driver.Publisher, payloads ...string) {
	t.Helper()
	var envelopes []*driver.EnvelopeOut
	for _, p := range payloads {
		envelopes = append(envelopes, envelope(p))
	}
	if err := pub.Send(within(t, 30*time.Second), envelopes...); err != nil {
		t.Fatal(err)
	}
}

// receive takes n messages and then ends Receive.
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
