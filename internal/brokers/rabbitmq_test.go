package brokers_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/asyncapi-impl/asyncapi-impl/internal/brokers"
)

func TestRabbitMQKeepsItsMessagesOverACrash(t *testing.T) {
	t.Parallel()
	realOnly(t) // or a RabbitMQ on this machine would make every run slow
	s := brokers.StartRabbitMQ(t)
	manage(t, s, http.MethodPut, "queues/%2f/crash", `{"durable":true}`)
	manage(t, s, http.MethodPost, "exchanges/%2f/amq.default/publish",
		`{"routing_key":"crash","payload":"before","payload_encoding":"string","properties":{"delivery_mode":2}}`)
	crash(t, s)
	answer := manage(t, s, http.MethodPost, "queues/%2f/crash/get",
		`{"count":1,"ackmode":"ack_requeue_false","encoding":"auto"}`)
	var messages []struct{ Payload string }
	if err := json.Unmarshal(answer, &messages); err != nil {
		t.Fatal(err)
	}
	if len(messages) != 1 || messages[0].Payload != "before" {
		t.Fatalf("after the restart: %s; want the message published before", answer)
	}
}

// manage asks the management plugin.
func manage(t *testing.T, s *brokers.Server, method, path, body string) []byte {
	t.Helper()
	answer, err := s.Manage(t.Context(), method, path, body)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

func TestRabbitMQListeners(t *testing.T) {
	t.Parallel()
	realOnly(t)
	s := brokers.RabbitMQ(t)
	const amqp091, amqp10 = "AMQP\x00\x00\x09\x01", "AMQP\x03\x01\x00\x00"
	for _, c := range []struct {
		name, mechanism, response string
		mutual, refused           bool
	}{
		{"password", "PLAIN", "\x00" + s.User + "\x00" + s.Password, false, false},
		{"wrong password", "PLAIN", "\x00" + s.User + "\x00wrong", false, true},
		{"client certificate", "EXTERNAL", "", true, false},
		{"no client certificate", "EXTERNAL", "", false, true},
	} {
		config := s.Certs.TLS()
		if c.mutual {
			config = s.Certs.MutualTLS()
		}
		link := dial(t, s.SecureAddr, config)
		link.say(amqp091)
		link.await("\xce") // the end of Connection.Start
		link.say(startOK(c.mechanism, c.response))
		answer := make([]byte, 11)
		_, err := io.ReadFull(link.r, answer)
		// Connection.Tune is class 10, method 30.
		tuned := err == nil && bytes.HasSuffix(answer, []byte("\x00\x0a\x00\x1e"))
		if tuned == c.refused {
			t.Errorf("%s: the broker says %q (%v); refused is to be %t", c.name, answer, err, c.refused)
		}
	}
	c := dial(t, s.Addr, nil)
	c.say(amqp10)
	c.expect(amqp10)
	c = dial(t, s.SecureMQTTAddr, s.Certs.TLS())
	c.say(mqttLogin(s.User, s.Password))
	c.expect(mqttConnected)
	c = dial(t, s.MQTTAddr, nil)
	c.say(mqttLogin("guest", "guest"))
	c.expect(mqttConnected)
	c = dial(t, s.MQTTAddr, nil)
	c.say(mqttConnect)
	c.expect("\x20\x02\x00")
	if b, err := c.r.ReadByte(); err != nil || b == 0 {
		t.Errorf("MQTT without a password: code %d, %v; want a refusal", b, err)
	}
	c = dial(t, s.SecureSTOMPAddr, s.Certs.TLS())
	c.say(fmt.Sprintf("CONNECT\naccept-version:1.2\nhost:/\nlogin:%s\npasscode:%s\n\n\x00",
		s.User, strings.ReplaceAll(s.Password, ":", "\\c")))
	c.expect("CONNECTED\n")
	c = dial(t, s.SecureSTOMPAddr, s.Certs.TLS())
	c.say(fmt.Sprintf("CONNECT\naccept-version:1.2\nhost:/\nlogin:%s\npasscode:%s\n\n\x00",
		brokers.Limited, strings.ReplaceAll(s.Password, ":", "\\c")))
	c.await("\x00\n")
	c.say("SEND\ndestination:/queue/forbidden\n\nmessage\x00")
	c.expect("ERROR\n")
	c = dial(t, s.STOMPAddr, nil)
	c.say("CONNECT\naccept-version:1.2\nhost:/\nlogin:guest\npasscode:guest\n\n\x00")
	c.expect("CONNECTED\n")
	if err := answers(t.Context(), s.SecureAddr, strange(s), amqp091); err == nil {
		t.Error("the broker takes a client certificate of another CA")
	}
	if err := answers(t.Context(), s.SecureAddr, nil, amqp091); err == nil {
		t.Error("the broker takes a client without TLS on the secure port")
	}
}

// startOK is the method frame that logs in.
func startOK(mechanism, response string) string {
	short := func(s string) string { return string([]byte{byte(len(s))}) + s }
	long := func(s string) string { return string([]byte{0, 0, 0, byte(len(s))}) + s }
	body := "\x00\x0a\x00\x0b" + "\x00\x00\x00\x00" + short(mechanism) + long(response) + short("en_US")
	return "\x01\x00\x00" + long(body) + "\xce"
}

func TestRabbitMQElsewhere(t *testing.T) {
	t.Setenv("ASYNCAPI_IMPL_BROKERS", "")
	for url, addr := range map[string]string{
		"amqp://me:it%3As@broker.example":          "broker.example:5672",
		"amqps://me:it%3As@broker.example/vhost":   "broker.example:5671",
		"amqp://me:it%3As@broker.example:1234/%2f": "broker.example:1234",
	} {
		t.Setenv("AMQP_URL", url)
		s := brokers.RabbitMQ(t)
		if s.URL != url || s.Addr != addr || s.User != "me" || s.Password != "it:s" {
			t.Errorf("AMQP_URL=%s gives %s at %s, user %q, password %q", url, s.URL, s.Addr, s.User, s.Password)
		}
		if s.Kill() == nil || s.Stop() == nil || s.Restart(t.Context()) == nil || s.Pause() == nil || s.Resume() == nil {
			t.Error("a test can end a server that it did not start")
		}
	}
}
