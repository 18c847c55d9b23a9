package franz_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	driver "github.com/asyncapi-impl/asyncapi-impl/catalog/kafka/franz"
	"github.com/asyncapi-impl/asyncapi-impl/internal/brokers"
)

func TestSendAsksForAllReplicas(t *testing.T) {
	cluster, url := embedded(t)
	var acks []int16
	var mu sync.Mutex
	cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Observe: true, Count: -1, When: func(r kmsg.Request) bool {
		mu.Lock()
		defer mu.Unlock()
		acks = append(acks, r.(*kmsg.ProduceRequest).Acks)
		return true
	}})
	pub := publisher(t, producer(t, url, nil), newTopic(), nil)
	send(t, pub, envelope("", "a"))
	mu.Lock()
	defer mu.Unlock()
	if len(acks) == 0 || slices.ContainsFunc(acks, func(n int16) bool { return n != -1 }) {
		t.Errorf("acks %v on the wire, not all (-1)", acks)
	}
}

// The library's Writer makes a lone record wait a second for others.
func TestSendOfOneDoesNotWaitForMore(t *testing.T) {
	pub := publisher(t, producer(t, broker(t), nil), newTopic(), nil)
	send(t, pub, envelope("", "the first one opens the connection"))
	const n = 20
	start := time.Now()
	for range n {
		send(t, pub, envelope("", "x"))
	}
	if each := time.Since(start) / n; each > 200*time.Millisecond {
		t.Errorf("a lone Send takes %v", each)
	}
}

func TestSendErrorsNameTheEnvelope(t *testing.T) {
	pub := publisher(t, producer(t, broker(t), nil), newTopic(), nil)
	header := envelope("", "d")
	header.SetHeaders(driver.Headers{"x": struct{}{}})
	partition := envelope("", "e")
	partition.SetPartition(1000)
	err := pub.Send(within(t, 20*time.Second),
		envelope("k", "a"), envelope("k", strings.Repeat("b", 3<<20)), envelope("k", "c"), header, partition, nil)
	var errs driver.SendErrors
	if !errors.As(err, &errs) || len(errs) != 6 {
		t.Fatalf("%T is no SendErrors of 6: %v", err, err)
	}
	for i, want := range []error{nil, driver.ErrTooLarge, nil, driver.ErrUnsupported, driver.ErrNotFound} {
		if !errors.Is(errs[i], want) {
			t.Errorf("envelope %d: %v, not %v", i, errs[i], want)
		}
	}
	if errs[5] == nil {
		t.Error("a nil envelope was accepted")
	}
	if !errors.Is(err, driver.ErrTooLarge) || !errors.Is(err, kerr.MessageTooLarge) {
		t.Errorf("errors.Is does not reach the causes: %v", err)
	}
}

// The topic takes less than a batch: the records must be sent one by one.
func TestBatchTooLargeForTheTopic(t *testing.T) {
	limit := int64(2000)
	pub := publisher(t, producer(t, broker(t), nil), newTopic(), &driver.ChannelBindings{
		TopicConfiguration: &driver.TopicConfiguration{MaxMessageBytes: &limit},
	})
	var all []*driver.EnvelopeOut
	for range 5 {
		all = append(all, envelope("k", strings.Repeat("x", 900)))
	}
	send(t, pub, all...)
}

func TestSendTriesAgain(t *testing.T) {
	cluster, url := embedded(t)
	topic := newTopic()
	pub := publisher(t, producer(t, url, nil), topic, nil)
	fault := cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: topic, Err: kerr.NotLeaderForPartition, Count: 3})
	sub := subscriber(t, consumer(t, url, nil), topic, nil)
	send(t, pub, envelope("", "x"))
	if err := fault.Wait(within(t, time.Second), 3); err != nil {
		t.Error("Send did not go on after the fault:", err)
	}
	if got := payloads(receive(t, sub, 1)); got != "x" {
		t.Errorf("got %q", got)
	}
}

func TestSendGivesTheCauseOfADelay(t *testing.T) {
	cluster, url := embedded(t)
	topic := newTopic()
	pub := publisher(t, producer(t, url, nil), topic, nil)
	cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: topic, Err: kerr.NotEnoughReplicas, Count: -1})
	err := pub.Send(within(t, time.Second), envelope("", "x"))
	if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, kerr.NotEnoughReplicas) {
		t.Errorf("%v does not tell of the deadline and of its cause", err)
	}
}

func TestSendNotAllowed(t *testing.T) {
	cluster, url := embedded(t)
	topic := newTopic()
	pub := publisher(t, producer(t, url, nil), topic, nil)
	cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: topic, Err: kerr.TopicAuthorizationFailed, Count: -1})
	start := time.Now()
	err := pub.Send(within(t, 20*time.Second), envelope("", "x"))
	if !errors.Is(err, driver.ErrUnauthorized) || time.Since(start) > 10*time.Second {
		t.Errorf("after %v: %v", time.Since(start), err)
	}
}

func TestEnvelopesWithoutKeyStayTogether(t *testing.T) {
	url, topic := broker(t), newTopic()
	three := 3
	pub := publisher(t, producer(t, url, nil), topic, &driver.ChannelBindings{Partitions: &three})
	sub := subscriber(t, consumer(t, url, nil), topic, nil)
	used := map[int]bool{}
	for range 3 {
		send(t, pub, envelope("", "1"), envelope("", "2"), envelope("", "3"))
		got := receive(t, sub, 3)
		if payloads(got) != "1 2 3" || got[0].Partition() != got[2].Partition() {
			t.Errorf("%s, partitions %d to %d", payloads(got), got[0].Partition(), got[2].Partition())
		}
		used[got[0].Partition()] = true
	}
	if len(used) != 3 {
		t.Errorf("three calls used the partitions %v, not all three", used)
	}
}

func TestEnvelopeChoosesTopicPartitionAndTimestamp(t *testing.T) {
	url, other := broker(t), newTopic()
	pub := publisher(t, producer(t, url, nil), newTopic(), nil)
	three := 3
	publisher(t, producer(t, url, nil), other, &driver.ChannelBindings{Partitions: &three})
	sub := subscriber(t, consumer(t, url, nil), other, nil)
	e := envelope("k", "x")
	e.SetTopic(other)
	when := time.UnixMilli(1_700_000_000_123)
	e.SetTimestamp(when)
	for partition := range 3 {
		e.SetPartition(partition)
		send(t, pub, e)
		got := receive(t, sub, 1)[0]
		if got.Topic() != other || got.Partition() != partition || !got.Timestamp().Equal(when) || string(got.Key()) != "k" {
			t.Errorf("got %+v", got.Native())
		}
	}
	if !brokers.Real() {
		return // kfake takes any name
	}
	e.SetTopic("no/such topic")
	if err := pub.Send(within(t, 20*time.Second), e); !errors.Is(err, driver.ErrRefused) {
		t.Errorf("a topic name that Kafka does not allow: %v", err)
	}
}

func TestTombstone(t *testing.T) {
	url, topic := broker(t), newTopic()
	pub := publisher(t, producer(t, url, nil), topic, nil)
	sub := subscriber(t, consumer(t, url, nil), topic, nil)
	tombstone, empty, fresh := envelope("k", ""), envelope("k", ""), driver.NewEnvelopeOut()
	tombstone.SetPayload(nil)
	fresh.SetKey([]byte("k"))
	reset := envelope("k", "x")
	reset.ResetPayload()
	send(t, pub, tombstone, empty, fresh, reset)
	for i, e := range receive(t, sub, 4) {
		if isNil := e.Payload() == nil; isNil != (i == 0) || len(e.Payload()) != 0 {
			t.Errorf("record %d: payload %#v", i, e.Payload())
		}
	}
}

func TestCompression(t *testing.T) {
	url, topic := broker(t), newTopic()
	sub := subscriber(t, consumer(t, url, nil), topic, nil)
	payload := strings.Repeat("compressible ", 1000)
	for _, codec := range []string{"none", "gzip", "snappy", "lz4", "zstd"} {
		pub := publisher(t, producer(t, url, &driver.Options{Compression: codec}), topic, nil)
		send(t, pub, envelope(codec, payload))
		if got := receive(t, sub, 1)[0]; string(got.Payload()) != payload {
			t.Errorf("%s: got %d bytes", codec, len(got.Payload()))
		}
	}
	if _, err := driver.NewProducer(url, nil, &driver.Options{Compression: "rar"}); !errors.Is(err, driver.ErrUnsupported) {
		t.Errorf("an unknown codec: %v", err)
	}
}

func TestSeveralSeeds(t *testing.T) {
	url := broker(t)
	send(t, publisher(t, producer(t, "kafka://127.0.0.1:1,"+url, nil), newTopic(), nil), envelope("", "x"))
}

func TestServerURL(t *testing.T) {
	for _, url := range []string{"", "amqp://localhost", "kafka://", "localhost:x", "localhost:0", "kafka://host/topic", "kafka://a:b:c", "a,,b", "http://localhost:9092"} {
		_, err := driver.NewProducer(url, nil, nil)
		if err == nil || !strings.Contains(err.Error(), "expected host:port or kafka://") {
			t.Errorf("%q: %v", url, err)
		}
	}
}

func TestSecurityThatKafkaCannotCarry(t *testing.T) {
	url := broker(t)
	for _, s := range []driver.Security{
		driver.APIKey{In: "user", Key: "k"}, driver.HTTPAPIKey{In: "header", Name: "n", Key: "k"}, driver.HTTP{AuthScheme: "basic"},
		driver.GSSAPI{}, driver.SymmetricEncryption{}, driver.AsymmetricEncryption{},
	} {
		if _, err := driver.NewProducer(url, nil, &driver.Options{Security: s}); !errors.Is(err, driver.ErrUnsupported) {
			t.Errorf("%s: producer: %v", s.Scheme(), err)
		}
		if _, err := driver.NewConsumer(url, nil, &driver.Options{Security: s}); !errors.Is(err, driver.ErrUnsupported) {
			t.Errorf("%s: consumer: %v", s.Scheme(), err)
		}
	}
	for name, o := range map[string]*driver.Options{
		"X509 without a certificate": {Security: driver.X509{}},
		"a token function of nil":    {Security: driver.OAuth2{}},
	} {
		if _, err := driver.NewProducer(url, nil, o); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	if _, err := driver.NewProducer("kafka://u:p@"+url, nil, &driver.Options{Security: driver.Plain{User: "u"}}); err == nil || !strings.Contains(err.Error(), "twice") {
		t.Errorf("credentials given twice: %v", err)
	}
}
