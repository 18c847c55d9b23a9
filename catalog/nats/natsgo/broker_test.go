package natsgo_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	driver "github.com/asyncapi-impl/asyncapi-impl/catalog/nats/natsgo"
	"github.com/asyncapi-impl/asyncapi-impl/internal/brokers"
	"github.com/asyncapi-impl/asyncapi-impl/internal/natstest"
)

func TestMain(m *testing.M) { os.Exit(brokers.Main(m)) }

var subjects atomic.Int64

// newSubject is a name that no other test of this process uses.
func newSubject() string { return fmt.Sprintf("subject.%d.%d", os.Getpid(), subjects.Add(1)) }

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

func publisher(t testing.TB, p *driver.Producer, subject string) *driver.Publisher {
	t.Helper()
	pub, err := p.Publisher(within(t, 20*time.Second), subject, nil)
	if err != nil {
		t.Fatal(err)
	}
	return pub
}

func subscriber(t testing.TB, c *driver.Consumer, subject string, bindings *driver.ChannelBindings) *driver.Subscriber {
	t.Helper()
	sub, err := c.Subscriber(within(t, 20*time.Second), subject, bindings)
	if err != nil {
		t.Fatal(err)
	}
	return sub
}

func inQueue(queue string) *driver.ChannelBindings {
	return &driver.ChannelBindings{Operation: &driver.OperationBindings{Queue: queue}}
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

func init() {
	testBroker, testForeign = natstest.Broker, natstest.Foreign(false)
}
