package franz_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	driver "github.com/asyncapi-impl/asyncapi-impl/catalog/kafka/franz"
	"github.com/asyncapi-impl/asyncapi-impl/internal/brokers"
	"github.com/asyncapi-impl/asyncapi-impl/internal/kafkatest"
)

func TestMain(m *testing.M) { os.Exit(brokers.Main(m)) }

func init() {
	testBroker, testForeign = kafkatest.Broker, kafkatest.Segmentio()
}

// embedded starts a broker in this process.
func embedded(t testing.TB, options ...kfake.Opt) (*kfake.Cluster, string) {
	t.Helper()
	cluster, url := kafkatest.Embedded(t, options...)
	return cluster, strings.TrimPrefix(url, "kafka://")
}

// broker is the real broker where the run is about real ones, else an embedded
// one.
func broker(t testing.TB) string {
	t.Helper()
	return strings.TrimPrefix(kafkatest.URL(t), "kafka://")
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

func publisher(t testing.TB, p *driver.Producer, topic string, bindings *driver.ChannelBindings) *driver.Publisher {
	t.Helper()
	pub, err := p.Publisher(within(t, 20*time.Second), topic, bindings)
	if err != nil {
		t.Fatal(err)
	}
	return pub
}

func subscriber(t testing.TB, c *driver.Consumer, topic string, bindings *driver.ChannelBindings) *driver.Subscriber {
	t.Helper()
	sub, err := c.Subscriber(within(t, 20*time.Second), topic, bindings)
	if err != nil {
		t.Fatal(err)
	}
	return sub
}

func inGroup(group string) *driver.ChannelBindings {
	return &driver.ChannelBindings{Operation: &driver.OperationBindings{GroupID: driver.Value(group)}}
}

func envelope(key, payload string) *driver.EnvelopeOut {
	e := driver.NewEnvelopeOut()
	e.SetPayload([]byte(payload))
	if key != "" {
		e.SetKey([]byte(key))
	}
	return e
}

func send(t testing.TB, pub *driver.Publisher, envelopes ...*driver.EnvelopeOut) {
	t.Helper()
	if err := pub.Send(within(t, 30*time.Second), envelopes...); err != nil {
		t.Fatal(err)
	}
}

// receive takes n records and then ends Receive, in which all of them are
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
		t.Fatalf("received %d records, not %d: %v", len(got), n, err)
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

func TestExample(t *testing.T) {
	exampleURL = broker(t)
	stdout := os.Stdout
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	os.Stdout = w
	Example()
	os.Stdout = stdout
	_ = w.Close()
	if out, err := io.ReadAll(r); string(out) != "Hello, Kafka!\n" {
		t.Errorf("the example printed %q, %v", out, err)
	}
}
