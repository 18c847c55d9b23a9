package paho_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	driver "github.com/asyncapi-impl/asyncapi-impl/catalog/mqtt/paho"
	"github.com/asyncapi-impl/asyncapi-impl/internal/mqtttest"
)

func TestServerURL(t *testing.T) {
	for _, url := range []string{
		"", "amqp://localhost", "mqtt://", "mqtt://host:port", "mqtt://host:99999", "host:", "mqtt://host/path", "mqtt://host?x=y",
		"mqtt://us er:p%zz@host", "http://host",
	} {
		p, err := driver.NewProducer(url, nil, &driver.Options{Timeout: time.Second})
		if err == nil {
			p.Close()
		}
		if err == nil || !strings.Contains(err.Error(), "expected host:port or mqtt://") || strings.Contains(err.Error(), "p%zz") {
			t.Errorf("%q: %v", url, err)
		}
	}
	url := mqtttest.URL(t)
	_, host, _ := strings.Cut(url, "://")
	for _, url := range []string{host, "mqtt://" + host, "tcp://" + host, "MQTT://user:p%40ss@" + host} {
		producer(t, url, nil, nil)
	}
}

func TestSecurityRefused(t *testing.T) {
	url := mqtttest.URL(t)
	for _, s := range []driver.Security{
		driver.ScramSHA256{}, driver.ScramSHA512{}, driver.GSSAPI{}, driver.HTTP{AuthScheme: "bearer", Credentials: "x"},
		driver.HTTPAPIKey{In: "header", Name: "X", Key: "y"}, driver.SymmetricEncryption{}, driver.AsymmetricEncryption{},
	} {
		if _, err := driver.NewProducer(url, nil, &driver.Options{Security: s}); !errors.Is(err, driver.ErrUnsupported) || !strings.Contains(err.Error(), s.Scheme()) {
			t.Errorf("%s: %v", s.Scheme(), err)
		}
	}
	for _, s := range []driver.Security{driver.X509{}, driver.OAuth2{}, driver.OpenIDConnect{}, driver.APIKey{In: "header"}} {
		if _, err := driver.NewConsumer(url, nil, &driver.Options{Security: s}); err == nil {
			t.Errorf("%+v is accepted", s)
		}
	}
	if _, err := driver.NewProducer("mqtt://a:b@"+strings.TrimPrefix(url, "mqtt://"), nil, &driver.Options{Security: driver.Plain{}}); err == nil {
		t.Error("two logins are accepted")
	}
}

func TestTokenIsThePassword(t *testing.T) {
	s := mqtttest.Embedded(t)
	calls := 0
	token := func(context.Context) (string, error) { calls++; return "token", nil }
	proxy, through := proxied(t, s.URL)
	p := producer(t, through, nil, &driver.Options{Security: driver.OAuth2{Token: token}})
	proxy.Reset()
	send(t, publisher(t, p, "a", nil), envelope("x"))
	if c := s.Read(1); len(c) != 2 || calls != 2 || string(c[1].Connect.Password) != "token" || string(c[1].Connect.Username) != c[1].Connect.ClientIdentifier {
		t.Errorf("%d calls, CONNECT %+v", calls, c)
	}
	failing := func(context.Context) (string, error) { return "", io.ErrUnexpectedEOF }
	if _, err := driver.NewProducer(s.URL, nil, &driver.Options{Security: driver.OpenIDConnect{Token: failing}}); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("the token's error is %v", err)
	}
}

func TestSendErrorsNameTheEnvelope(t *testing.T) {
	pub := publisher(t, producer(t, mqtttest.URL(t), nil, nil), newTopic(), nil)
	header, kind, topic := envelope("b"), envelope("c"), envelope("d")
	header.SetHeaders(driver.Headers{"x": "y"})
	kind.SetContentType("text/plain")
	topic.SetTopic("a/+")
	err := pub.Send(within(t, 20*time.Second), envelope("a"), header, kind, topic, nil, envelope("e"))
	var errs driver.SendErrors
	if !errors.As(err, &errs) || len(errs) != 6 {
		t.Fatalf("%T is no SendErrors of 6: %v", err, err)
	}
	for i, want := range []error{nil, driver.ErrUnsupported, driver.ErrUnsupported, errs[3], errs[4], nil} {
		if !errors.Is(errs[i], want) || (errs[i] == nil) != (i == 0 || i == 5) {
			t.Errorf("envelope %d: %v, not %v", i, errs[i], want)
		}
	}
	if _, err := producer(t, mqtttest.URL(t), nil, nil).Publisher(context.Background(), "a/#", nil); err == nil {
		t.Error("a Publisher takes a wildcard")
	}
}

// With QoS 2 and a session that is kept a message whose answer is lost is sent
// again and comes once.
func TestExactlyOnceOverACut(t *testing.T) {
	url := mqtttest.URL(t)
	topic, two := newTopic(), &driver.OperationBindings{QoS: ptr(2)}
	sub := subscriber(t, consumer(t, url, nil, nil), topic, two)
	proxy, through := proxied(t, url)
	pub := publisher(t, producer(t, through, &driver.ServerBindings{ClientID: newTopic(), CleanSession: ptr(false)},
		&driver.Options{MaxBackoff: 100 * time.Millisecond}), topic, two)
	send(t, pub, envelope("0"))
	for _, payload := range []string{"1", "2", "3"} {
		var sent sync.WaitGroup
		sent.Add(1)
		go func() { defer sent.Done(); send(t, pub, envelope(payload)) }()
		proxy.Cut()
		sent.Wait()
	}
	send(t, pub, envelope("4"))
	if got := payloads(receive(t, sub, 5)); got != "0 1 2 3 4" {
		t.Errorf("got %s", got)
	}
}

// fakeServer answers each connection with the packets that it is given, one
// for each that comes.
func fakeServer(t *testing.T, answers func(connection int) []string) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	t.Cleanup(func() { l.Close(); running.Wait() })
	running.Add(1)
	go func() {
		defer running.Done()
		for n := 0; ; n++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			running.Add(1)
			go func() {
				defer running.Done()
				defer c.Close()
				buffer := make([]byte, 1<<16)
				for _, a := range answers(n) {
					if _, err := c.Read(buffer); err != nil {
						return
					}
					io.WriteString(c, a)
				}
				io.Copy(io.Discard, c)
			}()
		}
	}()
	return l.Addr().String()
}

func TestGarbage(t *testing.T) {
	for name, answer := range map[string]string{
		"HTTP": "HTTP/1.1 400 Bad Request\r\n\r\n", "short": "\x20\x00", "another packet": "\x30\x00",
		"MQTT 5": "\x20\x03\x00\x84\x00", "unknown type": "\x00\x00", "huge": "\x20\xff\xff\xff\xff\xff\xff",
	} {
		url := fakeServer(t, func(int) []string { return []string{answer} })
		began := time.Now()
		if _, err := driver.NewProducer(url, nil, &driver.Options{Timeout: 500 * time.Millisecond}); err == nil || time.Since(began) > 10*time.Second {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The library's token of a message says nil when the connection was lost.
func TestNotConfirmedByAReconnect(t *testing.T) {
	var connections atomic.Int32
	url := fakeServer(t, func(n int) []string {
		connections.Add(1)
		if n < 2 {
			return []string{"\x20\x02\x00\x00", "\x00\x00"} // CONNACK, and garbage for a PUBACK
		}
		return []string{"\x20\x02\x00\x00", "\x40\x02\x00\x01"} // CONNACK, PUBACK
	})
	for _, clean := range []bool{true, false} {
		connections.Store(0)
		p := producer(t, url, &driver.ServerBindings{ClientID: "me", CleanSession: &clean, KeepAlive: ptr(0)}, &driver.Options{Timeout: time.Second, MaxBackoff: 50 * time.Millisecond})
		send(t, publisher(t, p, "a", nil), envelope("x"))
		if n := connections.Load(); clean && n != 3 {
			t.Errorf("confirmed by connection %d", n)
		}
	}
}

// A message that makes the server hang up must not do so for ever.
func TestPoison(t *testing.T) {
	for _, clean := range []bool{true, false} {
		var poisoned, again atomic.Int32
		url := pickyServer(t, func(packet []byte) bool {
			if bytes.Contains(packet, []byte("poison")) {
				poisoned.Add(1)
				return false
			}
			again.Add(1)
			return true
		})
		p := producer(t, url, &driver.ServerBindings{ClientID: "me", CleanSession: &clean, KeepAlive: ptr(0)}, &driver.Options{MaxBackoff: 50 * time.Millisecond, Timeout: time.Second})
		pub := publisher(t, p, "a", nil)
		ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
		defer cancel()
		if err := pub.Send(ctx, envelope("poison")); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Send: %v", err)
		}
		if n := poisoned.Load(); n < 2 || n > 30 {
			t.Errorf("sent %d times", n)
		}
		send(t, pub, envelope("good"))
	}
}

// pickyServer accepts clients and their messages, and hangs up on others.
func pickyServer(t *testing.T, likes func([]byte) bool) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	t.Cleanup(func() { l.Close(); running.Wait() })
	running.Add(1)
	go func() {
		defer running.Done()
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			running.Add(1)
			go func() {
				defer running.Done()
				defer c.Close()
				for {
					p, err := packets.ReadPacket(c)
					if err != nil {
						return
					}
					switch p := p.(type) {
					case *packets.ConnectPacket:
						io.WriteString(c, "\x20\x02\x00\x00")
					case *packets.PublishPacket:
						if !likes(p.Payload) {
							return
						}
						ack := packets.NewControlPacket(packets.Puback).(*packets.PubackPacket)
						ack.MessageID = p.MessageID
						ack.Write(c)
					case *packets.DisconnectPacket:
						return
					}
				}
			}()
		}
	}()
	return l.Addr().String()
}
