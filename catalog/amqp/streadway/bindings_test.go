package streadway_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	amqp "github.com/streadway/amqp"

	driver "github.com/asyncapi-impl/asyncapi-impl/catalog/amqp/streadway"
)

// decode takes bindings as an AsyncAPI document has them.
func decode(t testing.TB, document string) *driver.ChannelBindings {
	t.Helper()
	var b driver.ChannelBindings
	decoder := json.NewDecoder(strings.NewReader(document))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&b); err != nil {
		t.Fatalf("%s: %v", document, err)
	}
	return &b
}

// TestOperationAndMessageBindings takes messages with the library alone.
func TestOperationAndMessageBindings(t *testing.T) {
	s := managed(t)
	p, raw := producer(t, s.URL, nil), bare(t, s.URL)
	other := newName()
	if _, err := raw.QueueDeclare(other, true, false, false, false, nil); err != nil {
		t.Fatal(err)
	}
	for operation, check := range map[string]func(d amqp.Delivery) bool{
		`{}`: func(d amqp.Delivery) bool {
			return d.DeliveryMode == amqp.Persistent && d.Expiration == "" && d.Timestamp.IsZero() && d.MessageId != "" && d.Headers == nil
		},
		`{"expiration":100000}`: func(d amqp.Delivery) bool { return d.Expiration == "100000" },
		`{"userId":"guest"}`:    func(d amqp.Delivery) bool { return d.UserId == "guest" },
		`{"cc":["` + other + `"]}`: func(d amqp.Delivery) bool {
			copied, ok, err := raw.Get(other, true)
			return reflect.DeepEqual(d.Headers["CC"], []any{other}) && ok && err == nil && string(copied.Body) == string(d.Body)
		},
		`{"bcc":["` + other + `"]}`: func(d amqp.Delivery) bool {
			copied, ok, err := raw.Get(other, true)
			return d.Headers["BCC"] == nil && ok && err == nil && string(copied.Body) == string(d.Body)
		},
		`{"priority":7}`:     func(d amqp.Delivery) bool { return d.Priority == 7 },
		`{"deliveryMode":1}`: func(d amqp.Delivery) bool { return d.DeliveryMode == amqp.Transient },
		`{"deliveryMode":2}`: func(d amqp.Delivery) bool { return d.DeliveryMode == amqp.Persistent },
		`{"timestamp":true}`: func(d amqp.Delivery) bool { return time.Since(d.Timestamp).Abs() < time.Minute },
		`{"replyTo":"there"}`: func(d amqp.Delivery) bool {
			return d.ReplyTo == "there"
		},
		`{"bindingVersion":"0.3.0"}`: func(amqp.Delivery) bool { return true },
	} {
		queue := newName()
		pub := publisher(t, p, queue, decode(t, `{"operation":`+operation+`}`))
		send(t, pub, envelope(queue))
		d, ok, err := raw.Get(queue, true)
		if err != nil || !ok || !check(d) {
			t.Errorf("%s gives %+v, %v", operation, d, err)
		}
	}
	queue := newName()
	e := envelope("x")
	var m driver.MessageBindings
	if err := json.Unmarshal([]byte(`{"contentEncoding":"gzip","messageType":"user.signup","bindingVersion":"0.3.0"}`), &m); err != nil {
		t.Fatal(err)
	}
	e.SetBindings(m)
	e.SetContentType("application/json")
	e.SetMessageID("m-1")
	e.SetCorrelationID("c-1")
	e.SetReplyTo("r-1")
	send(t, publisher(t, p, queue, nil), e)
	got := receive(t, subscriber(t, consumer(t, s.URL, nil), queue, nil), 1)[0]
	if got.ContentEncoding() != "gzip" || got.MessageType() != "user.signup" || got.ContentType() != "application/json" ||
		got.MessageID() != "m-1" || got.CorrelationID() != "c-1" || got.ReplyTo() != "r-1" ||
		got.Exchange() != "" || got.RoutingKey() != queue || got.Redelivered() || !got.Timestamp().IsZero() {
		t.Errorf("received %+v", got.Native())
	}
}

func TestMandatory(t *testing.T) {
	s := managed(t)
	p := producer(t, s.URL, nil)
	for document, refused := range map[string]bool{
		`{}`:                                true,
		`{"operation":{"mandatory":false}}`: false,
		`{"exchange":{"name":"nobody","type":"topic"}}`:                                    false,
		`{"exchange":{"name":"nobody","type":"topic"},"operation":{"mandatory":true}}`:     true,
		`{"is":"routingKey","exchange":{"type":"default"}}`:                                false,
		`{"is":"routingKey","exchange":{"type":"default"},"operation":{"mandatory":true}}`: true,
	} {
		e := envelope("x")
		e.SetRoutingKey("no queue of this name")
		err := publisher(t, p, newName(), decode(t, document)).Send(within(t, 10*time.Second), e)
		var native *amqp.Error
		if refused && (!errors.Is(err, driver.ErrRefused) || !errors.As(err, &native) || native.Code != amqp.NoRoute) || !refused && err != nil {
			t.Errorf("%s: Send gives %v", document, err)
		}
	}
}

// TestQueueBindings asks the server what was declared, by either side.
func TestQueueBindings(t *testing.T) {
	s := managed(t)
	p, c := producer(t, s.URL, nil), consumer(t, s.URL, nil)
	for document, want := range map[string][3]bool{ // durable, autoDelete, exclusive
		`{}`:           {true, false, false},
		`{"queue":{}}`: {true, false, false},
		`{"is":"queue","queue":{"durable":false}}`:     {false, false, false},
		`{"is":"queue","queue":{"autoDelete":true}}`:   {true, true, false},
		`{"is":"queue","queue":{"exclusive":true}}`:    {false, false, true}, // to the server it is not durable then
		`{"is":"queue","queue":{"name":"named-NAME"}}`: {true, false, false},
	} {
		for _, side := range []string{"publisher", "subscriber"} {
			queue := newName()
			b := decode(t, document)
			if b.Queue != nil && b.Queue.Name != "" {
				b.Queue.Name = queue
				queue = "unused"
			}
			if side == "publisher" && want[2] {
				publisher(t, p, queue, b)
				if _, err := s.Manage(context.Background(), http.MethodGet, queuePath(queue), ""); err == nil {
					t.Errorf("%s: the publisher has declared the queue that only the subscriber's connection could read", document)
				}
				continue
			}
			if side == "publisher" {
				publisher(t, p, queue, b)
			} else {
				subscriber(t, c, queue, b)
			}
			if queue == "unused" {
				queue = b.Queue.Name
			}
			have := ask(t, s, queuePath(queue), nil)
			if got := [3]bool{have["durable"] == true, have["auto_delete"] == true, have["exclusive"] == true}; got != want {
				t.Errorf("%s by the %s: durable, autoDelete, exclusive are %v", document, side, got)
			}
		}
	}
}

func TestExchangeBindings(t *testing.T) {
	s := managed(t)
	p, c := producer(t, s.URL, nil), consumer(t, s.URL, nil)
	for _, kind := range []string{"topic", "direct", "fanout", "headers", ""} {
		for _, durable := range []bool{true, false} {
			for _, autoDelete := range []bool{false, true} {
				b := &driver.ChannelBindings{Exchange: &driver.Exchange{Name: newName(), Type: kind, Durable: &durable, AutoDelete: autoDelete}}
				publisher(t, p, "key", b)
				have := ask(t, s, "exchanges/%2f/"+b.Exchange.Name, nil)
				want := kind
				if kind == "" {
					want = "topic"
				}
				if have["type"] != want || have["durable"] != durable || have["auto_delete"] != autoDelete {
					t.Errorf("%+v is %v", b.Exchange, have)
				}
			}
		}
	}
	// Each Subscriber has all messages that match.
	b := decode(t, `{"is":"routingKey","exchange":{"name":"`+newName()+`","type":"topic"}}`)
	all, some := subscriber(t, c, "order.*", b), subscriber(t, c, "order.new", b)
	send(t, publisher(t, p, "order.new", b), envelope("1"))
	send(t, publisher(t, p, "order.old", b), envelope("2"))
	send(t, publisher(t, p, "order.new", b), envelope("3"))
	if got := payloads(receive(t, all, 3)); got != "1 2 3" {
		t.Errorf("order.* gets %s", got)
	}
	if got := receive(t, some, 2); payloads(got) != "1 3" || got[0].RoutingKey() != "order.new" || got[0].Exchange() != b.Exchange.Name {
		t.Errorf("order.new gets %s", payloads(got))
	}
	// An exchange that exists is taken as it is where the type is left open.
	direct := decode(t, `{"exchange":{"name":"amq.direct"}}`)
	sub := subscriber(t, c, "here", direct)
	send(t, publisher(t, p, "here", direct), envelope("4"))
	if got := payloads(receive(t, sub, 1)); got != "4" {
		t.Errorf("amq.direct gives %s", got)
	}
	// With a name the queue is shared, and keeps what comes while nobody is there.
	named := *b
	named.Queue = &driver.Queue{Name: newName()}
	first := subscriber(t, c, "order.*", &named)
	send(t, publisher(t, p, "order.new", b), envelope("5"), envelope("6"))
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if got := payloads(receive(t, subscriber(t, c, "order.*", &named), 2)); got != "5 6" {
		t.Errorf("the named queue gives %s", got)
	}
}

func TestVirtualHost(t *testing.T) {
	s := managed(t)
	vhost := newName()
	for _, path := range []string{"vhosts/" + vhost, "permissions/" + vhost + "/guest"} {
		if _, err := s.Manage(context.Background(), http.MethodPut, path, `{"configure":".*","write":".*","read":".*"}`); err != nil {
			t.Fatal(err)
		}
	}
	queue := newName()
	b := decode(t, `{"is":"queue","queue":{"vhost":"`+vhost+`"}}`)
	p, c := producer(t, s.URL, nil), consumer(t, s.URL, nil)
	send(t, publisher(t, p, queue, b), envelope("there"))
	ask(t, s, "queues/"+vhost+"/"+queue, nil)
	if got := payloads(receive(t, subscriber(t, c, queue, b), 1)); got != "there" {
		t.Errorf("received %s", got)
	}
	// The same by the URL's path.
	there := producer(t, strings.TrimSuffix(s.URL, "/")+"/"+vhost, nil)
	send(t, publisher(t, there, queue, nil), envelope("by URL"))
	if got := payloads(receive(t, subscriber(t, c, queue, b), 1)); got != "by URL" {
		t.Errorf("received %s", got)
	}
	exchange := decode(t, `{"exchange":{"name":"e","type":"fanout","vhost":"`+vhost+`"}}`)
	publisher(t, p, "key", exchange)
	ask(t, s, "exchanges/"+vhost+"/e", nil)
	if _, err := p.Publisher(within(t, 10*time.Second), queue, decode(t, `{"queue":{"vhost":"nowhere"}}`)); !errors.Is(err, driver.ErrNotFound) {
		t.Errorf("a vhost that is missing: %v", err)
	}
	if _, err := driver.NewProducer(strings.TrimSuffix(s.URL, "/")+"/nowhere", nil, nil); !errors.Is(err, driver.ErrNotFound) {
		t.Errorf("a vhost that is missing, in the URL: %v", err)
	}
}

func TestAckBinding(t *testing.T) {
	s := managed(t)
	p, c := producer(t, s.URL, nil), consumer(t, s.URL, &driver.Options{Prefetch: 2})
	raw := bare(t, s.URL)
	// The server holds back what is over the prefetch only where it waits for
	// acknowledgements.
	for document, ready := range map[string]int{`{}`: 1, `{"operation":{"ack":true}}`: 1, `{"operation":{"ack":false}}`: 0} {
		queue := newName()
		b := decode(t, document)
		send(t, publisher(t, p, queue, nil), envelope("1"), envelope("2"), envelope("3"))
		sub := subscriber(t, c, queue, b)
		ctx, cancel := context.WithCancel(context.Background())
		err := sub.Receive(ctx, func(context.Context, *driver.EnvelopeIn) error {
			q, err := raw.QueueDeclarePassive(queue, true, false, false, false, nil)
			if err != nil || q.Messages != ready || q.Consumers != 1 {
				t.Errorf("%s: the queue is %+v, %v", document, q, err)
			}
			cancel()
			return nil
		})
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		// Also without acknowledgement the next Receive has the rest.
		if got := payloads(receive(t, sub, 2)); got != "2 3" {
			t.Errorf("%s: then came %s", document, got)
		}
	}
}

func TestOtherSettingsAreRefused(t *testing.T) {
	s := managed(t)
	p, c := producer(t, s.URL, nil), consumer(t, s.URL, nil)
	queue, exchange := newName(), newName()
	publisher(t, p, queue, nil)
	publisher(t, p, "key", &driver.ChannelBindings{Exchange: &driver.Exchange{Name: exchange, Type: "topic"}})
	for _, document := range []string{
		`{"queue":{"name":"` + queue + `","durable":false}}`,
		`{"queue":{"name":"` + queue + `","autoDelete":true}}`,
		`{"exchange":{"name":"` + exchange + `","type":"direct"}}`,
		`{"exchange":{"name":"` + exchange + `","type":"topic","durable":false}}`,
		`{"exchange":{"name":"` + exchange + `","type":"topic","autoDelete":true}}`,
	} {
		if _, err := p.Publisher(within(t, 10*time.Second), "key", decode(t, document)); !errors.Is(err, driver.ErrRefused) {
			t.Errorf("%s: Publisher gives %v", document, err)
		}
		if _, err := c.Subscriber(within(t, 10*time.Second), "key", decode(t, document)); !errors.Is(err, driver.ErrRefused) {
			t.Errorf("%s: Subscriber gives %v", document, err)
		}
	}
	// Another connection's.
	mine := decode(t, `{"queue":{"exclusive":true}}`)
	subscriber(t, c, queue+"-mine", mine)
	if _, err := consumer(t, s.URL, nil).Subscriber(within(t, 10*time.Second), queue+"-mine", mine); !errors.Is(err, driver.ErrRefused) {
		t.Errorf("another connection's queue: %v", err)
	}
}

func TestNoDeclare(t *testing.T) {
	s := managed(t)
	options := &driver.Options{NoDeclare: true}
	p, c := producer(t, s.URL, options), consumer(t, s.URL, options)
	for _, document := range []string{`{}`, `{"exchange":{"name":"missing-exchange","type":"topic"}}`, `{"exchange":{"name":"missing-exchange"}}`} {
		if _, err := p.Publisher(within(t, 10*time.Second), newName(), decode(t, document)); !errors.Is(err, driver.ErrNotFound) {
			t.Errorf("%s: Publisher gives %v", document, err)
		}
		if _, err := c.Subscriber(within(t, 10*time.Second), newName(), decode(t, document)); !errors.Is(err, driver.ErrNotFound) {
			t.Errorf("%s: Subscriber gives %v", document, err)
		}
	}
	// What is there is taken with whatever settings.
	fanout := decode(t, `{"exchange":{"name":"amq.fanout","type":"topic","durable":false}}`)
	sub := subscriber(t, c, "", fanout)
	send(t, publisher(t, p, "", fanout), envelope("1"))
	if got := payloads(receive(t, sub, 1)); got != "1" {
		t.Errorf("received %s", got)
	}
}

func TestContradictions(t *testing.T) {
	s := managed(t)
	p := producer(t, s.URL, nil)
	long := strings.Repeat("x", 256)
	for document, want := range map[string]string{
		`{"is":"topic"}`:                             "is must be queue or routingKey",
		`{"is":"queue","exchange":{"name":"e"}}`:     "no exchange",
		`{"is":"routingKey"}`:                        "must be an exchange",
		`{"queue":{},"exchange":{"name":"e"}}`:       "both an exchange and a queue",
		`{"exchange":{"name":"e","type":"default"}}`: "no name",
		`{"exchange":{"type":"topic"}}`:              "needs a name",
		`{"exchange":{"name":"e","type":"x-hash"}}`:  "exchange.type must be",
		`{"is":"routingKey","exchange":{"name":"e","vhost":"a"},"queue":{"vhost":"b"}}`: "vhost",
		`{"queue":{"name":"` + long + `"}}`:                                             "longer than",
		`{"exchange":{"name":"` + long + `"}}`:                                          "longer than",
		`{"operation":{"expiration":-1}}`:                                               "expiration",
		`{"operation":{"priority":256}}`:                                                "priority",
		`{"operation":{"deliveryMode":3}}`:                                              "deliveryMode",
		`{"operation":{"userId":"` + long + `"}}`:                                       "userId",
	} {
		if _, err := p.Publisher(within(t, 10*time.Second), "a", decode(t, document)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.80s: %v, want %q", document, err, want)
		}
	}
	if _, err := p.Publisher(within(t, 10*time.Second), "", nil); err == nil {
		t.Error("an empty address opens")
	}
}
