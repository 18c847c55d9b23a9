package franz_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	driver "github.com/asyncapi-impl/asyncapi-impl/catalog/kafka/franz"
)

func decode[T any](t testing.TB, document string) *T {
	t.Helper()
	v := new(T)
	if err := json.Unmarshal([]byte(document), v); err != nil {
		t.Fatalf("%s: %v", document, err)
	}
	return v
}

// The server is asked what a topic is.
func TestChannelBindingsDeclareTheTopic(t *testing.T) {
	url, topic := broker(t), newTopic()
	p := producer(t, url, nil)
	bindings := decode[driver.ChannelBindings](t, `{
		"topic": "`+topic+`", "partitions": 5, "replicas": 1, "bindingVersion": "0.5.0",
		"topicConfiguration": {
			"cleanup.policy": ["delete", "compact"], "retention.ms": 604800000, "retention.bytes": 1000000000,
			"delete.retention.ms": 86400000, "max.message.bytes": 1048000, "segment.bytes": 2000000
		}}`)
	pub := publisher(t, p, "another address", bindings)
	send(t, pub, envelope("k", "x"))

	if got := describe(t, p, topic).Partitions; len(got) != 5 || len(got[0].Replicas) != 1 {
		t.Errorf("%d partitions, %d replicas", len(got), len(got[0].Replicas))
	}
	have := configuration(t, p, topic)
	for name, want := range map[string]string{
		"cleanup.policy": "delete,compact", "retention.ms": "604800000", "retention.bytes": "1000000000",
		"delete.retention.ms": "86400000", "max.message.bytes": "1048000", "segment.bytes": "2000000",
	} {
		if have[name] != want {
			t.Errorf("%s is %q, not %q", name, have[name], want)
		}
	}
	// The same again is no contradiction; the order of the policies does not matter.
	bindings.TopicConfiguration.CleanupPolicy = []string{"compact", "delete"}
	publisher(t, p, "", bindings)
}

func TestTopicThatIsNotWhatTheBindingsSay(t *testing.T) {
	url, topic := broker(t), newTopic()
	p := producer(t, url, nil)
	create(t, p, topic, 2)
	c := consumer(t, url, nil)
	for document, complaint := range map[string]string{
		`{"partitions": 3}`: "partitions 2, the bindings say 3",
		`{"replicas": 2}`:   "replicas 1, the bindings say 2",
		`{"topicConfiguration": {"retention.ms": 12345}}`:         "retention.ms",
		`{"topicConfiguration": {"cleanup.policy": ["compact"]}}`: "cleanup.policy",
	} {
		bindings := decode[driver.ChannelBindings](t, document)
		_, err := p.Publisher(within(t, 10*time.Second), topic, bindings)
		if !errors.Is(err, driver.ErrRefused) || !strings.Contains(err.Error(), complaint) {
			t.Errorf("%s: publisher: %v", document, err)
		}
		if _, err := c.Subscriber(within(t, 10*time.Second), topic, bindings); !errors.Is(err, driver.ErrRefused) {
			t.Errorf("%s: subscriber: %v", document, err)
		}
		if _, err := producer(t, url, &driver.Options{NoDeclare: true}).Publisher(within(t, 10*time.Second), topic, bindings); err != nil {
			t.Errorf("%s: declaring off: %v", document, err)
		}
	}
	if n := len(describe(t, p, topic).Partitions); n != 2 {
		t.Errorf("the topic was changed: it has %d partitions", n)
	}
}

func TestBindingsThatContradict(t *testing.T) {
	url := broker(t)
	if _, err := driver.NewProducer(url, decode[driver.ServerBindings](t, `{"schemaRegistryVendor": "confluent"}`), nil); err == nil || !strings.Contains(err.Error(), "schemaRegistryUrl") {
		t.Errorf("a vendor without a URL: %v", err)
	}
	p := producer(t, url, nil)
	for _, document := range []string{`{"partitions": 0}`, `{"replicas": -1}`, `{"topicConfiguration": {"cleanup.policy": ["forget"]}}`} {
		if _, err := p.Publisher(within(t, 10*time.Second), newTopic(), decode[driver.ChannelBindings](t, document)); err == nil {
			t.Errorf("%s was accepted", document)
		}
	}
	if _, err := p.Publisher(within(t, 10*time.Second), "", nil); err == nil {
		t.Error("no topic at all was accepted")
	}
	e := envelope("", "x")
	e.SetBindings(*decode[driver.MessageBindings](t, `{"schemaIdLocation": "trailer"}`))
	if err := publisher(t, p, newTopic(), nil).Send(within(t, 10*time.Second), e); err == nil || !strings.Contains(err.Error(), "schemaIdLocation") {
		t.Errorf("an unknown schemaIdLocation: %v", err)
	}
	for _, document := range []string{`{"groupId": {"$ref": "#/x"}}`, `{"groupId": 5}`, `{"groupId": {"const": [1]}}`, `{"groupId": {"const": {}}}`} {
		if err := json.Unmarshal([]byte(document), new(driver.OperationBindings)); err == nil {
			t.Errorf("%s was accepted", document)
		}
	}
	if err := json.Unmarshal([]byte(`{"topicConfiguration": {"retention.ms": "soon"}}`), new(driver.ChannelBindings)); err == nil || !strings.Contains(err.Error(), "retention.ms") {
		t.Errorf("a retention that is no number: %v", err)
	}
}

func TestValueOfASchema(t *testing.T) {
	for document, want := range map[string]driver.Value{
		`"plain"`: "plain", `{"const": "c", "default": "d"}`: "c", `{"type": "string", "enum": ["only"]}`: "only",
		`{"enum": ["a", "b"], "default": "b"}`: "b", `{"type": "string"}`: "", `{"const": 7}`: "7", `{"const": true}`: "true",
	} {
		if got := *decode[driver.Value](t, document); got != want {
			t.Errorf("%s is %q, not %q", document, got, want)
		}
	}
}

func TestMessageKey(t *testing.T) {
	url, topic := broker(t), newTopic()
	pub := publisher(t, producer(t, url, nil), topic, nil)
	sub := subscriber(t, consumer(t, url, nil), topic, nil)
	for _, test := range []struct{ own, bindings, want string }{
		{"", `{"key": {"type": "string", "enum": ["from bindings"]}}`, "from bindings"},
		{"own", `{"key": {"const": "from bindings"}}`, "own"},
		{"own", `{"key": {"type": "string"}, "schemaIdLocation": "payload", "schemaIdPayloadEncoding": "4"}`, "own"},
	} {
		e := envelope(test.own, "x")
		e.SetBindings(*decode[driver.MessageBindings](t, test.bindings))
		send(t, pub, e)
		if got := receive(t, sub, 1)[0]; string(got.Key()) != test.want {
			t.Errorf("%+v: key %q", test, got.Key())
		}
	}
}

// The client id is looked for on the wire.
func TestClientID(t *testing.T) {
	url, topic := broker(t), newTopic()
	var mu sync.Mutex
	var wire strings.Builder
	tap := &driver.Options{Native: []kgo.Opt{kgo.Dialer(func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return tapped{c, func(p []byte) {
			mu.Lock()
			defer mu.Unlock()
			wire.Write(p)
		}}, nil
	})}}
	bindings := decode[driver.ChannelBindings](t, `{"operation": {"clientId": {"enum": ["my-client"]}, "groupId": {"const": "`+topic+`"}}}`)
	pub := publisher(t, producer(t, url, tap), topic, bindings)
	send(t, pub, envelope("", "x"))
	if err := pub.Close(); err != nil {
		t.Error(err)
	}
	mu.Lock()
	sent := strings.Count(wire.String(), "my-client")
	wire.Reset()
	mu.Unlock()
	sub := subscriber(t, consumer(t, url, tap), topic, bindings)
	receive(t, sub, 1)
	mu.Lock()
	defer mu.Unlock()
	if received := strings.Count(wire.String(), "my-client"); sent == 0 || received == 0 {
		t.Errorf("requests with the client id: %d to send, %d to receive", sent, received)
	}
}

type tapped struct {
	net.Conn
	tap func([]byte)
}

func (c tapped) Write(p []byte) (int, error) {
	c.tap(p)
	return c.Conn.Write(p)
}

// Two members share a group's records; two groups have all of them each.
func TestGroupID(t *testing.T) {
	url, topic := broker(t), newTopic()
	pub := create(t, producer(t, url, nil), topic, 2)
	c := consumer(t, url, fast)
	ctx, cancel := context.WithCancel(within(t, 30*time.Second))
	defer cancel()
	got := make(chan string, 1000)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	for name, group := range map[string]string{"a1": topic + "a", "a2": topic + "a", "b": topic + "b"} {
		sub := subscriber(t, c, topic, inGroup(group))
		wg.Add(1)
		go func() {
			defer wg.Done()
			_ = sub.Receive(ctx, func(_ context.Context, e *driver.EnvelopeIn) error {
				got <- fmt.Sprintf("%s of %s", name, e.Payload())
				return nil
			})
		}()
	}
	// When both members have had a record they have a partition each.
	for round, members := 0, map[string]bool{}; len(members) < 2; round++ {
		seen := map[string]int{}
		for i := range 2 {
			e := envelope("", fmt.Sprint(round, i))
			e.SetPartition(i)
			send(t, pub, e)
		}
		for range 4 {
			select {
			case s := <-got:
				member, payload, _ := strings.Cut(s, " of ")
				seen[member[:1]+payload]++
				if member[0] == 'a' {
					members[member] = true
				}
			case <-ctx.Done():
				t.Fatalf("round %d: %v", round, seen)
			}
		}
	}
}

var _ io.Writer = driver.NewEnvelopeOut()
