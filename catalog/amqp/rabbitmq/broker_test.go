package rabbitmq_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	driver "github.com/asyncapi-impl/asyncapi-impl/catalog/amqp/rabbitmq"
	"github.com/asyncapi-impl/asyncapi-impl/catalog/conformance"
	"github.com/asyncapi-impl/asyncapi-impl/internal/brokers"
	"github.com/asyncapi-impl/asyncapi-impl/internal/rabbittest"
)

func TestMain(m *testing.M) { os.Exit(brokers.Main(m)) }

func init() {
	testBroker, testForeign = rabbittest.Broker, rabbittest.Foreign
}

// managed is a server of which everything is known.
func managed(t testing.TB) *brokers.Server {
	t.Helper()
	s := brokers.RabbitMQ(t)
	if s.ManagementAddr == "" {
		t.Skip("the server at AMQP_URL can't be asked")
	}
	return s
}

// ask gives what the management plugin knows, once that satisfies enough: its
// statistics are seconds behind.
func ask(t testing.TB, s *brokers.Server, path string, enough func(map[string]any) bool) map[string]any {
	t.Helper()
	deadline := time.Now().Add(15 * time.Second)
	for {
		answer, err := s.Manage(context.Background(), http.MethodGet, path, "")
		var object map[string]any
		if err == nil {
			err = json.Unmarshal(answer, &object)
		}
		if err == nil && (enough == nil || enough(object)) {
			return object
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s is %s, %v", path, answer, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func queuePath(name string) string { return "queues/%2f/" + url.PathEscape(name) }

var names atomic.Int64

// newName is one that no other test of this process uses.
func newName() string { return fmt.Sprintf("name-%d-%d", os.Getpid(), names.Add(1)) }

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

// bare is a channel of the library alone.
func bare(t testing.TB, url string) *amqp.Channel {
	t.Helper()
	conn, err := amqp.Dial(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	channel, err := conn.Channel()
	if err != nil {
		t.Fatal(err)
	}
	return channel
}

// through is the server's URL by a proxy, on which a test can do harm.
func through(t testing.TB, s *brokers.Server) (string, *conformance.Proxy) {
	t.Helper()
	proxy, err := conformance.NewProxy(s.Addr, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proxy.Close)
	return strings.Replace(s.URL, s.Addr, proxy.Addr(), 1), proxy
}

func TestExample(t *testing.T) {
	exampleURL = brokers.RabbitMQ(t).URL
	stdout := os.Stdout
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	os.Stdout = w
	Example()
	os.Stdout = stdout
	_ = w.Close()
	if out, err := io.ReadAll(r); string(out) != "Hello, RabbitMQ!\n" {
		t.Errorf("the example printed %q, %v", out, err)
	}
}
