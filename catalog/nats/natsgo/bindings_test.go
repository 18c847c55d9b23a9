package natsgo_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	driver "github.com/asyncapi-impl/asyncapi-impl/catalog/nats/natsgo"
	"github.com/asyncapi-impl/asyncapi-impl/internal/natstest"
)

func decode[T any](t testing.TB, document string) *T {
	t.Helper()
	v := new(T)
	if err := json.Unmarshal([]byte(document), v); err != nil {
		t.Fatalf("%s: %v", document, err)
	}
	return v
}

func TestQueueOnTheWire(t *testing.T) {
	wire := natstest.Script(t, func(c *natstest.Conn) { c.Serve() })
	c := consumer(t, wire.URL, nil)
	subscriber(t, c, "orders.*", decode[driver.ChannelBindings](t, `{
		"bindingVersion": "0.1.0", "operation": {"queue": "billing", "bindingVersion": "0.1.0", "x-owner": "me"}}`))
	subscriber(t, c, "orders.*", nil)
	sent := wire.Sent()
	if !strings.Contains(sent, "SUB orders.* billing 1\r\n") || !strings.Contains(sent, "SUB orders.*  2\r\n") {
		t.Errorf("sent %q", sent)
	}
}

func TestQueueSaysNothingToAPublisher(t *testing.T) {
	wire := natstest.Script(t, func(c *natstest.Conn) { c.Serve() })
	pub, err := producer(t, wire.URL, nil).Publisher(t.Context(), "orders", inQueue("billing"))
	if err != nil {
		t.Fatal(err)
	}
	e := envelope("x")
	e.SetBindings(*decode[driver.MessageBindings](t, `{"bindingVersion": "latest"}`))
	send(t, pub, e)
	if sent := wire.Sent(); !strings.Contains(sent, "PUB orders 1\r\nx\r\n") || strings.Contains(sent, "billing") {
		t.Errorf("sent %q", sent)
	}
}

func TestBindingsThatAreWrong(t *testing.T) {
	url := natstest.URL(t)
	c, p := consumer(t, url, nil), producer(t, url, nil)
	for _, queue := range []string{"with space", "line\nbreak", strings.Repeat("ü", 256)} {
		if _, err := c.Subscriber(t.Context(), newSubject(), inQueue(queue)); err == nil {
			t.Errorf("the queue %.20q was taken by Subscriber", queue)
		}
		if _, err := p.Publisher(t.Context(), newSubject(), inQueue(queue)); err == nil {
			t.Errorf("the queue %.20q was taken by Publisher", queue)
		}
	}
	subscriber(t, c, newSubject(), inQueue(strings.Repeat("ü", 255)))
}

// No field is passed over in silence.
func TestBindingsThatAsyncAPIDoesNotHave(t *testing.T) {
	for _, document := range []string{`{"queue": "x"}`, `{"stream": "x"}`, `{"Operation": {}}`, `{"operations": {}}`} {
		for _, level := range []any{new(driver.ServerBindings), new(driver.ChannelBindings), new(driver.MessageBindings)} {
			if err := json.Unmarshal([]byte(document), level); !errors.Is(err, driver.ErrUnsupported) {
				t.Errorf("%T took %s: %v", level, document, err)
			}
		}
	}
	for document, want := range map[string]string{
		`{"queu": "x"}`: `the field "queu"`, `{"queue": 1}`: "cannot unmarshal", `[]`: "cannot unmarshal",
	} {
		err := json.Unmarshal([]byte(document), new(driver.OperationBindings))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", document, err)
		}
	}
}

func TestServerURL(t *testing.T) {
	url := natstest.URL(t)
	host := strings.TrimPrefix(url, "nats://")
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	for _, good := range []string{host, "NATS://" + host, url + "/", "nats://127.0.0.1:1," + host, fmt.Sprintf("nats://%s,%s", silent.Addr(), host)} {
		producer(t, good, &driver.Options{Timeout: 4 * time.Second})
	}
	for _, bad := range []string{
		"", "http://" + host, "nats://", "nats://host:port", "nats://a b", "nats://" + host + "/path", "nats://" + host + "?x", "nats://u:%zz@" + host, host + ",",
	} {
		_, err := driver.NewProducer(bad, nil, &driver.Options{Timeout: time.Second})
		if err == nil || !strings.Contains(err.Error(), "expected host:port") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
