package paho_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/paho"

	driver "github.com/asyncapi-impl/asyncapi-impl/catalog/mqtt5/paho"
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
	for _, url := range []string{host, "mqtt://" + host, "mqtt5://" + host + "/", "tcp://" + host, "MQTT://user:p%40ss@" + host} {
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
	p := producer(t, s.URL, nil, &driver.Options{Security: driver.OAuth2{Token: token}})
	p.Native().TerminateConnectionForTest()
	send(t, publisher(t, p, "a", nil), envelope("x"))
	if c := s.Read(1); len(c) != 2 || calls != 2 || string(c[1].Connect.Password) != "token" || c[1].Connect.UsernameFlag {
		t.Errorf("%d calls, CONNECT %+v", calls, c)
	}
	failing := func(context.Context) (string, error) { return "", io.ErrUnexpectedEOF }
	if _, err := driver.NewProducer(s.URL, nil, &driver.Options{Security: driver.OpenIDConnect{Token: failing}}); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("the token's error is %v", err)
	}
}

// The library takes the refusal of a QoS 2 message for success.
func TestRefusedByTheServer(t *testing.T) {
	p := producer(t, mqtttest.URL(t), nil, nil)
	for _, qos := range []int{1, 2} {
		pub := publisher(t, p, mqtttest.RefusedAddress, &driver.OperationBindings{QoS: &qos})
		err := pub.Send(within(t, 20*time.Second), envelope("x"))
		var reason *driver.ReasonError
		if !errors.Is(err, driver.ErrUnauthorized) || !errors.As(err, &reason) || reason.Code != 0x87 {
			t.Errorf("QoS %d: %v", qos, err)
		}
	}
	send(t, publisher(t, p, newTopic(), nil), envelope("nobody listens, and all is well"))
}

func TestServerLimits(t *testing.T) {
	var connections atomic.Int32
	url := fakeServer(t, func(int) []string {
		connections.Add(1)
		// CONNACK: at most packets of 1000 bytes and QoS 1, nothing retained. PUBACK.
		return []string{"\x20\x0c\x00\x00\x09\x27\x00\x00\x03\xe8\x24\x01\x25\x00", "\x40\x02\x00\x01"}
	})
	p := producer(t, url, &driver.ServerBindings{KeepAlive: ptr(0)}, &driver.Options{Timeout: time.Second})
	ctx := within(t, 20*time.Second)
	pub := publisher(t, p, "abc", nil)
	// Header 3, topic 5, identifier 2, properties 1.
	if err := pub.Send(ctx, envelope(strings.Repeat("x", 1000-11+1))); !errors.Is(err, driver.ErrTooLarge) {
		t.Errorf("one byte too large: %v", err)
	}
	send(t, pub, envelope(strings.Repeat("x", 1000-11)))
	if err := publisher(t, p, "a", &driver.OperationBindings{QoS: ptr(2)}).Send(ctx, envelope("x")); !errors.Is(err, driver.ErrRefused) {
		t.Errorf("QoS 2: %v", err)
	}
	if err := publisher(t, p, "a", &driver.OperationBindings{Retain: true}).Send(ctx, envelope("x")); !errors.Is(err, driver.ErrRefused) {
		t.Errorf("retain: %v", err)
	}
	if n := connections.Load(); n != 1 {
		t.Errorf("%d connections", n)
	}
}

func TestSendErrorsNameTheEnvelope(t *testing.T) {
	pub := publisher(t, producer(t, mqtttest.URL(t), nil, nil), newTopic(), nil)
	header, topic, refused := envelope("b"), envelope("c"), envelope("d")
	header.SetHeaders(driver.Headers{"x": struct{}{}})
	topic.SetTopic("a/+")
	refused.SetTopic(mqtttest.RefusedAddress)
	err := pub.Send(within(t, 20*time.Second), envelope("a"), header, topic, refused, nil)
	var errs driver.SendErrors
	if !errors.As(err, &errs) || len(errs) != 5 {
		t.Fatalf("%T is no SendErrors of 5: %v", err, err)
	}
	for i, want := range []error{nil, driver.ErrUnsupported, errs[2], driver.ErrUnauthorized, errs[4]} {
		if !errors.Is(errs[i], want) || (errs[i] == nil) != (i == 0) {
			t.Errorf("envelope %d: %v, not %v", i, errs[i], want)
		}
	}
	if _, err := producer(t, mqtttest.URL(t), nil, nil).Publisher(context.Background(), "a/#", nil); err == nil {
		t.Error("a Publisher takes a wildcard")
	}
}

// What servers hang up on must not be sent.
func TestTextRefused(t *testing.T) {
	pub := publisher(t, producer(t, mqtttest.URL(t), nil, nil), newTopic(), nil)
	for name, e := range map[string]func(*driver.EnvelopeOut){
		"header value":  func(e *driver.EnvelopeOut) { e.SetHeaders(driver.Headers{"k": "a\nb"}) },
		"header key":    func(e *driver.EnvelopeOut) { e.SetHeaders(driver.Headers{"k\x00": "a"}) },
		"binary header": func(e *driver.EnvelopeOut) { e.SetHeaders(driver.Headers{"k": []byte{0xff}}) },
		"long header":   func(e *driver.EnvelopeOut) { e.SetHeaders(driver.Headers{"k": strings.Repeat("x", 65536)}) },
		"content type":  func(e *driver.EnvelopeOut) { e.SetContentType("a\x7f") },
		"topic":         func(e *driver.EnvelopeOut) { e.SetTopic("a\ufffe") },
		"response":      func(e *driver.EnvelopeOut) { e.SetResponseTopic("\xc3(") },
	} {
		out := envelope("x")
		e(out)
		if err := pub.Send(within(t, 20*time.Second), out); !errors.Is(err, driver.ErrUnsupported) {
			t.Errorf("%s: %v", name, err)
		}
	}
	send(t, pub, envelope("the connection still works"))
}

// With QoS 2 a message whose answer is lost is sent again and comes once.
func TestExactlyOnceOverACut(t *testing.T) {
	url := mqtttest.URL(t)
	topic, two := newTopic(), &driver.OperationBindings{QoS: ptr(2)}
	sub := subscriber(t, consumer(t, url, nil, nil), topic, two)
	proxy, through := proxied(t, url)
	pub := publisher(t, producer(t, through, nil, &driver.Options{MaxBackoff: 100 * time.Millisecond}), topic, two)
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

// Two clients with one id would throw each other out for ever. Mosquitto 2.0.11
// hangs up without saying why, so this is for the embedded broker to show.
func TestTakenOver(t *testing.T) {
	url, topic := mqtttest.Embedded(t).URL, newTopic()
	bindings := &driver.ServerBindings{ClientID: newTopic()}
	sub := subscriber(t, consumer(t, url, bindings, nil), topic, nil)
	running, ended := make(chan struct{}), make(chan error)
	go func() {
		ended <- sub.Receive(within(t, 20*time.Second), func(context.Context, *driver.EnvelopeIn) error { close(running); return nil })
	}()
	send(t, publisher(t, producer(t, url, nil, nil), topic, nil), envelope("Receive runs when this has come"))
	<-running
	p := producer(t, url, bindings, nil)
	err := <-ended
	var reason *driver.ReasonError
	if !errors.Is(err, driver.ErrRefused) || !errors.As(err, &reason) || reason.Code != 0x8E {
		t.Errorf("Receive: %v", err)
	}
	send(t, publisher(t, p, topic, nil), envelope("the other one goes on"))
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

const accepted = "\x20\x03\x00\x00\x00" // CONNACK

func TestGarbage(t *testing.T) {
	for name, answer := range map[string]string{
		"HTTP": "HTTP/1.1 400 Bad Request\r\n\r\n", "short": "\x20\x00", "another packet": "\x30\x00",
		"MQTT 3.1.1": "\x20\x02\x00\x01", "unknown type": "\x00\x00", "huge": "\x20\xff\xff\xff\xff\xff\xff",
	} {
		url := fakeServer(t, func(int) []string { return []string{answer} })
		began := time.Now()
		if _, err := driver.NewProducer(url, nil, &driver.Options{Timeout: 500 * time.Millisecond}); err == nil || time.Since(began) > 10*time.Second {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Later on it is an outage like others.
	url := fakeServer(t, func(n int) []string {
		if n == 0 {
			return []string{accepted, "\x00\x00"}
		}
		return []string{accepted, "\x40\x02\x00\x01\x40\x02\x00\x02"} // PUBACK of whatever it was
	})
	p := producer(t, url, &driver.ServerBindings{KeepAlive: ptr(0)}, &driver.Options{Timeout: time.Second})
	send(t, publisher(t, p, "a", nil), envelope("x"))
}

// A packet that makes the server hang up must not do so for ever.
func TestPoison(t *testing.T) {
	var connections atomic.Int32
	url := fakeServer(t, func(int) []string {
		connections.Add(1)
		return []string{accepted, "\xe0\x01\x90"} // DISCONNECT, topic name invalid
	})
	clean := make(chan bool, 1000)
	p := producer(t, url, &driver.ServerBindings{KeepAlive: ptr(0)}, &driver.Options{
		MaxBackoff: 50 * time.Millisecond, Timeout: time.Second,
		Native: func(_ *paho.ClientConfig, c *paho.Connect) { clean <- c.CleanStart },
	})
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	err := publisher(t, p, "a", nil).Send(ctx, envelope("poison"))
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "0x90") {
		t.Errorf("Send: %v", err)
	}
	if n := connections.Load(); n < 2 || n > 30 {
		t.Errorf("%d connections", n)
	}
	for len(clean) > 0 {
		if !<-clean {
			t.Error("the next connection takes up a session that holds the packet")
		}
	}
}
