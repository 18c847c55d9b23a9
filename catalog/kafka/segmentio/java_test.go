package segmentio_test

import (
	"fmt"
	"testing"

	driver "github.com/asyncapi-impl/asyncapi-impl/catalog/kafka/segmentio"
	"github.com/asyncapi-impl/asyncapi-impl/internal/brokers"
	"github.com/asyncapi-impl/asyncapi-impl/internal/kafkatest"
)

// Kafka's own client and the driver read what the other one sends, and send a
// key to the same partition.
func TestJavaClient(t *testing.T) {
	if !brokers.Real() {
		t.Skip("Kafka's own client comes with a real server")
	}
	url, topic := broker(t), newTopic()
	pub := create(t, producer(t, url, nil), topic, 7)
	sub := subscriber(t, consumer(t, url, nil), topic, nil)
	var records []kafkatest.Record
	var envelopes []*driver.EnvelopeOut
	const n = 30
	for i := range n {
		key, value := fmt.Appendf(nil, "ключ %d", i), []byte{byte(i), 0, 0xff, '\n'}
		records = append(records, kafkatest.Record{Key: key, Value: value, Headers: [][2]string{{"number", fmt.Sprint(i)}}})
		e := driver.NewEnvelopeOut()
		e.SetKey(key)
		e.SetPayload(value)
		e.SetHeaders(driver.Headers{"number": i})
		envelopes = append(envelopes, e)
	}
	records[1].Value = nil
	envelopes[1].SetPayload(nil)

	kafkatest.JavaSend(t, url, topic, records...)
	theirs := map[string]string{}
	for _, e := range receive(t, sub, n) {
		theirs[string(e.Key())] = fmt.Sprintf("%d %q %t %s", e.Partition(), e.Payload(), e.Payload() == nil, e.Header("number"))
	}
	send(t, pub, envelopes...)
	ours := map[string]string{}
	for _, r := range kafkatest.JavaReceive(t, url, topic, 2*n) {
		text := fmt.Sprintf("%d %q %t %s", r.Partition, r.Value, r.Value == nil, r.Headers[0][1])
		if len(r.Headers) != 1 || r.Headers[0][0] != "number" {
			t.Errorf("headers %q", r.Headers)
		}
		ours[string(r.Key)] = text // the later one of two
		if theirs[string(r.Key)] != text {
			t.Errorf("key %q: Java reads %s, the driver %s", r.Key, text, theirs[string(r.Key)])
		}
	}
	if len(ours) != n || len(theirs) != n {
		t.Errorf("%d and %d records of %d", len(ours), len(theirs), n)
	}
}
