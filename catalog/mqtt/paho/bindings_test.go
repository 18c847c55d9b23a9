package paho_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	driver "github.com/asyncapi-impl/asyncapi-impl/catalog/mqtt/paho"
	"github.com/asyncapi-impl/asyncapi-impl/internal/mqtttest"
)

func TestBindingsFromJSON(t *testing.T) {
	for _, c := range []struct{ text, want any }{
		{`{"clientId": "guest", "cleanSession": true, "keepAlive": 60, "sessionExpiryInterval": {"type": "integer", "minimum": 30, "maximum": 1200, "default": 600},
			"maximumPacketSize": 1024, "lastWill": {"topic": "/last-wills", "qos": 2, "message": "Guest gone offline.", "retain": false}, "bindingVersion": "0.2.0"}`,
			&driver.ServerBindings{ClientID: "guest", CleanSession: ptr(true), KeepAlive: ptr(60), SessionExpiryInterval: ptr(driver.Integer(600)),
				MaximumPacketSize: ptr(driver.Integer(1024)), LastWill: &driver.LastWill{Topic: "/last-wills", QoS: 2, Message: "Guest gone offline."}, BindingVersion: "0.2.0"}},
		{`{"qos": 2, "retain": true, "messageExpiryInterval": 60, "x-group": "g"}`,
			&driver.OperationBindings{QoS: ptr(2), Retain: true, MessageExpiryInterval: ptr(driver.Integer(60)), Group: "g"}},
		{`{"messageExpiryInterval": {"enum": [7]}}`, &driver.OperationBindings{MessageExpiryInterval: ptr(driver.Integer(7))}},
		{`{"payloadFormatIndicator": 1, "contentType": "application/json", "correlationData": {"type": "string", "format": "uuid"}, "responseTopic": "application/responses"}`,
			&driver.MessageBindings{PayloadFormatIndicator: ptr(1), ContentType: "application/json", ResponseTopic: "application/responses"}},
		{`{"correlationData": {"const": "abc"}, "responseTopic": {"type": "string", "default": "a/b"}}`,
			&driver.MessageBindings{CorrelationData: "abc", ResponseTopic: "a/b"}},
		{`{"operation": {"qos": 0}}`, &driver.ChannelBindings{Operation: &driver.OperationBindings{QoS: ptr(0)}}},
	} {
		got := reflect.New(reflect.TypeOf(c.want).Elem()).Interface()
		if err := json.Unmarshal([]byte(c.text.(string)), got); err != nil {
			t.Errorf("%s: %v", c.text, err)
		} else if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s\ngives %+v\nnot   %+v", c.text, got, c.want)
		}
	}
	for _, text := range []string{
		`{"messageExpiryInterval": 1.5}`, `{"messageExpiryInterval": "1"}`, `{"messageExpiryInterval": {"$ref": "#/x"}}`, `{"messageExpiryInterval": {"type": "integer"}}`,
	} {
		if err := json.Unmarshal([]byte(text), &driver.OperationBindings{}); err == nil {
			t.Errorf("%s is accepted", text)
		}
	}
}

func TestServerBindingsOnTheWire(t *testing.T) {
	s := mqtttest.Embedded(t)
	bindings := &driver.ServerBindings{
		ClientID: "me", CleanSession: ptr(false), KeepAlive: ptr(77),
		LastWill: &driver.LastWill{Topic: "wills", QoS: 2, Message: "gone", Retain: true},
	}
	producer(t, s.URL, bindings, &driver.Options{Security: driver.APIKey{In: "password", Key: "key"}}).Close()
	consumer(t, s.URL, bindings, &driver.Options{Security: driver.APIKey{In: "password", Key: "key"}}).Close()
	producer(t, s.URL, nil, &driver.Options{Security: driver.APIKey{In: "user", Key: "key"}}).Close()
	connects := s.Read(packets.Connect)
	if len(connects) != 3 {
		t.Fatalf("%d CONNECT packets", len(connects))
	}
	for _, p := range connects[:2] {
		c := p.Connect
		if c.ClientIdentifier != "me" || c.Clean || c.Keepalive != 77 || string(c.Username) != "me" || string(c.Password) != "key" || p.ProtocolVersion != 4 {
			t.Errorf("CONNECT %+v", c)
		}
		if !c.WillFlag || c.WillTopic != "wills" || c.WillQos != 2 || string(c.WillPayload) != "gone" || !c.WillRetain {
			t.Errorf("will %+v", c)
		}
	}
	if c := connects[2].Connect; len(c.ClientIdentifier) != 22 || !c.Clean || c.Keepalive != 15 || c.WillFlag || string(c.Username) != "key" || c.PasswordFlag {
		t.Errorf("the default CONNECT %+v", c)
	}
	if n := len(s.Read(packets.Disconnect)); n != 3 {
		t.Errorf("%d DISCONNECT packets", n)
	}
}

func TestQoSOnTheWire(t *testing.T) {
	s := mqtttest.Embedded(t)
	p, c := producer(t, s.URL, nil, nil), consumer(t, s.URL, nil, nil)
	for i, o := range []*driver.OperationBindings{nil, {QoS: ptr(0)}, {QoS: ptr(1)}, {QoS: ptr(2), Group: "g"}} {
		want := []int{1, 0, 1, 2}[i]
		topic := newTopic()
		sub := subscriber(t, c, topic, o)
		if o != nil {
			o.Group = ""
		}
		send(t, publisher(t, p, topic, o), envelope("x"))
		if got := receive(t, sub, 1)[0]; got.QoS() != want || got.Retained() || got.Topic() != topic {
			t.Errorf("a message of QoS %d came with QoS %d", want, got.QoS())
		}
		sent, subscribed := s.Read(packets.Publish), s.Read(packets.Subscribe)
		filter := subscribed[len(subscribed)-1].Filters[0]
		if q := int(sent[len(sent)-1].FixedHeader.Qos); q != want || int(filter.Qos) != want {
			t.Errorf("QoS %d on the wire is %d to send and %d to subscribe", want, q, filter.Qos)
		}
		if group := strings.HasPrefix(filter.Filter, "$share/g/"); group != (i == 3) {
			t.Errorf("subscribed to %q", filter.Filter)
		}
	}
}

func TestRetainedMessage(t *testing.T) {
	url := mqtttest.URL(t)
	topic := newTopic()
	pub := publisher(t, producer(t, url, nil, nil), topic, &driver.OperationBindings{Retain: true})
	send(t, pub, envelope("kept"))
	sub := subscriber(t, consumer(t, url, nil, nil), topic, nil)
	if got := receive(t, sub, 1)[0]; string(got.Payload()) != "kept" || !got.Retained() {
		t.Errorf("got %q, retained %v", got.Payload(), got.Retained())
	}
	send(t, pub, envelope("")) // deletes it
}

func TestLastWill(t *testing.T) {
	url := mqtttest.URL(t)
	topic := newTopic()
	sub := subscriber(t, consumer(t, url, nil, nil), topic, nil)
	proxy, through := proxied(t, url)
	will := &driver.ServerBindings{LastWill: &driver.LastWill{Topic: topic, QoS: 1, Message: "gone"}}
	p := producer(t, through, will, nil)
	proxy.Refuse()
	proxy.Reset()
	if got := receive(t, sub, 1)[0]; string(got.Payload()) != "gone" {
		t.Errorf("the will is %q", got.Payload())
	}
	proxy.Heal()
	p.Close()
}

func TestBindingsRefused(t *testing.T) {
	url := mqtttest.URL(t)
	for _, c := range []struct {
		bindings    driver.ServerBindings
		want        string
		unsupported bool
	}{
		{driver.ServerBindings{CleanSession: ptr(false)}, "clientId", false},
		{driver.ServerBindings{ClientID: "a\x00b"}, "clientId", true},
		{driver.ServerBindings{KeepAlive: ptr(70000)}, "keepAlive", false},
		{driver.ServerBindings{KeepAlive: ptr(-1)}, "keepAlive", false},
		{driver.ServerBindings{SessionExpiryInterval: ptr(driver.Integer(1))}, "sessionExpiryInterval", true},
		{driver.ServerBindings{MaximumPacketSize: ptr(driver.Integer(1))}, "maximumPacketSize", true},
		{driver.ServerBindings{LastWill: &driver.LastWill{}}, "lastWill", false},
		{driver.ServerBindings{LastWill: &driver.LastWill{Topic: "a/#"}}, "lastWill", false},
		{driver.ServerBindings{LastWill: &driver.LastWill{Topic: "a", QoS: 3}}, "lastWill", false},
	} {
		_, err := driver.NewProducer(url, &c.bindings, nil)
		if err == nil || !strings.Contains(err.Error(), c.want) || errors.Is(err, driver.ErrUnsupported) != c.unsupported {
			t.Errorf("%+v: %v", c.bindings, err)
		}
	}
	p, c := producer(t, url, nil, nil), consumer(t, url, nil, nil)
	ctx := within(t, 20*time.Second)
	for _, o := range []driver.OperationBindings{{QoS: ptr(3)}, {QoS: ptr(-1)}, {MessageExpiryInterval: ptr(driver.Integer(1))}, {Group: "g"}} {
		if _, err := p.Publisher(ctx, "a", &driver.ChannelBindings{Operation: &o}); err == nil {
			t.Errorf("a Publisher takes %+v", o)
		}
	}
	for _, o := range []driver.OperationBindings{{QoS: ptr(3)}, {Retain: true}, {MessageExpiryInterval: ptr(driver.Integer(1))}, {Group: "a/b"}} {
		if _, err := c.Subscriber(ctx, "a", &driver.ChannelBindings{Operation: &o}); err == nil {
			t.Errorf("a Subscriber takes %+v", o)
		}
	}
	for _, b := range []driver.MessageBindings{
		{PayloadFormatIndicator: ptr(1)}, {CorrelationData: "x"}, {ContentType: "x"}, {ResponseTopic: "x"},
	} {
		e := envelope("x")
		e.SetBindings(b)
		if err := publisher(t, p, "a", nil).Send(ctx, e); !errors.Is(err, driver.ErrUnsupported) {
			t.Errorf("%+v: %v", b, err)
		}
	}
}
