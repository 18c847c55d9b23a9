package paho_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/mochi-mqtt/server/v2/packets"

	driver "github.com/asyncapi-impl/asyncapi-impl/catalog/mqtt/paho"
	"github.com/asyncapi-impl/asyncapi-impl/internal/brokers"
	"github.com/asyncapi-impl/asyncapi-impl/internal/mqtttest"
)

func TestExample(t *testing.T) {
	defer func(url string) { exampleURL = url }(exampleURL)
	exampleURL = mqtttest.URL(t)
	done := make(chan struct{})
	go func() { defer close(done); Example() }()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatal("the example does not end")
	}
}

// MQTT wants acknowledgements in the order of the messages.
func TestAcknowledgedInOrder(t *testing.T) {
	s := mqtttest.Embedded(t)
	const n = 5
	sub := subscriber(t, consumer(t, s.URL, nil, &driver.Options{Concurrency: n}), "a", nil)
	pub := publisher(t, producer(t, s.URL, nil, nil), "a", nil)
	for i := range n {
		send(t, pub, envelope(fmt.Sprint(i)))
	}
	ctx, cancel := context.WithCancel(within(t, 20*time.Second))
	release := make([]chan struct{}, n)
	for i := range release {
		release[i] = make(chan struct{})
	}
	var running sync.WaitGroup
	running.Add(n)
	done := make(chan error)
	go func() {
		done <- sub.Receive(ctx, func(_ context.Context, e *driver.EnvelopeIn) error {
			running.Done()
			<-release[e.Payload()[0]-'0']
			return nil
		})
	}()
	running.Wait()
	acknowledged := func() int { return len(s.Read(packets.Puback)) }
	for i := n - 1; i > 0; i-- {
		close(release[i])
	}
	if got := acknowledged(); got != 0 {
		t.Errorf("%d messages are acknowledged before the first is settled", got)
	}
	close(release[0])
	eventually(t, "acknowledgements", func() bool { return acknowledged() == n })
	for i, p := range s.Read(packets.Puback) {
		if p.PacketID != s.Read(packets.Puback)[0].PacketID+uint16(i) {
			t.Errorf("acknowledgement %d is that of message %d", i, p.PacketID)
		}
	}
	cancel()
	<-done
}

// What the server sends again while it is still in hand is handled once, and
// acknowledged to the new connection.
func TestInHandOverACut(t *testing.T) {
	url := mqtttest.URL(t)
	proxy, through := proxied(t, url)
	topic := newTopic()
	kept := &driver.ServerBindings{ClientID: newTopic(), CleanSession: ptr(false)}
	c := consumer(t, through, kept, &driver.Options{MaxBackoff: 50 * time.Millisecond, Concurrency: 2})
	sub := subscriber(t, c, topic, nil)
	pub := publisher(t, producer(t, url, nil, nil), topic, nil)
	send(t, pub, envelope("0"), envelope("1"), envelope("2"))
	ctx, cancel := context.WithCancel(within(t, 20*time.Second))
	defer cancel()
	// The first is in hand until one has come that was sent after the cut: by
	// then the server has sent again what it was not told about.
	later := make(chan struct{})
	var mu sync.Mutex
	var got []string
	err := sub.Receive(ctx, func(ctx context.Context, e *driver.EnvelopeIn) error {
		mu.Lock()
		got = append(got, string(e.Payload()))
		mu.Unlock()
		switch string(e.Payload()) {
		case "0":
			proxy.Reset()
			send(t, pub, envelope("later"))
			select {
			case <-later:
			case <-ctx.Done():
			}
			cancel()
		case "later":
			close(later)
		}
		return nil
	})
	slices.Sort(got)
	if strings.Join(got, " ") != "0 1 2 later" {
		t.Errorf("got %v: %v", got, err)
	}
	c.Close()
	again := subscriber(t, consumer(t, url, kept, nil), topic, nil)
	send(t, pub, envelope("3"))
	if got := payloads(receive(t, again, 1)); got != "3" {
		t.Errorf("%s came again although it was settled", got)
	}
}

func TestWildcards(t *testing.T) {
	url, root := mqtttest.URL(t), newTopic()
	p, c := producer(t, url, nil, nil), consumer(t, url, nil, nil)
	one, all := subscriber(t, c, root+"/+/x", nil), subscriber(t, c, root+"/#", nil)
	pub := publisher(t, p, root+"/a/x", nil)
	other := envelope("2")
	other.SetTopic(root + "/b/y")
	last := envelope("3")
	last.SetTopic(root + "/c/x")
	send(t, pub, envelope("1"), other, last)
	if got := receive(t, one, 2); payloads(got) != "1 3" || got[1].Topic() != root+"/c/x" {
		t.Errorf("+ gets %s", payloads(got))
	}
	if got := payloads(receive(t, all, 3)); got != "1 2 3" {
		t.Errorf("# gets %s", got)
	}
	for _, address := range []string{"", "a#", "a/#/b", "a+/b", "$share/g", "$share//a", "$share/g/", "a\x00"} {
		if _, err := c.Subscriber(within(t, 20*time.Second), address, nil); err == nil {
			t.Errorf("the filter %q is accepted", address)
		}
	}
	// A shared subscription by its address.
	shared := subscriber(t, c, "$share/g/"+root+"/a/x", nil)
	send(t, pub, envelope("4"))
	if got := payloads(receive(t, shared, 1)); got != "4" {
		t.Errorf("the shared subscription gets %s", got)
	}
}

func TestSubscriptionRefused(t *testing.T) {
	c := consumer(t, mqtttest.Embedded(t).URL, nil, nil)
	_, err := c.Subscriber(within(t, 20*time.Second), mqtttest.RefusedAddress, nil)
	if !errors.Is(err, driver.ErrRefused) {
		t.Errorf("got %v", err)
	}
	subscriber(t, c, "a", nil) // the connection is still of use
}

func TestClientIDs(t *testing.T) {
	s := mqtttest.Embedded(t)
	c := consumer(t, s.URL, &driver.ServerBindings{ClientID: "me"}, nil)
	first := subscriber(t, c, "a", nil)
	subscriber(t, c, "b", nil)
	first.Close()
	subscriber(t, c, "c", nil)
	subscriber(t, c, "d", nil)
	var ids []string
	for _, p := range s.Read(packets.Connect) {
		ids = append(ids, p.Connect.ClientIdentifier)
	}
	if got := strings.Join(ids, " "); got != "me me-2 me me-3" {
		t.Errorf("client ids %s", got)
	}
	kept := consumer(t, s.URL, &driver.ServerBindings{ClientID: "kept", CleanSession: ptr(false)}, nil)
	only := subscriber(t, kept, "a", nil)
	if _, err := kept.Subscriber(within(t, 20*time.Second), "b", nil); !errors.Is(err, driver.ErrUnsupported) {
		t.Errorf("a second Subscriber on a kept session: %v", err)
	}
	only.Close()
	subscriber(t, kept, "b", nil)
}

func TestQoS0DroppedAloud(t *testing.T) {
	url := mqtttest.URL(t)
	var log lockedBuffer
	topic, zero := newTopic(), &driver.OperationBindings{QoS: ptr(0)}
	sub := subscriber(t, consumer(t, url, nil, &driver.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))}), topic, zero)
	p := producer(t, url, nil, nil)
	pub := publisher(t, p, topic, zero)
	for i := 0; !strings.Contains(log.String(), "QoS 0 are dropped"); i += 500 {
		if i > 30_000 {
			t.Fatal("nobody is told")
		}
		batch := make([]*driver.EnvelopeOut, 500)
		for j := range batch {
			batch[j] = envelope("x")
		}
		send(t, pub, batch...)
		// One that is acknowledged paces the sender.
		send(t, publisher(t, p, topic+"/pace", nil), envelope("x"))
	}
	receive(t, sub, 10_000)
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestWebSocket(t *testing.T) {
	var url string
	if brokers.Real() {
		url = "ws://" + brokers.Mosquitto(t).WebSocketAddr
	} else {
		url = webSocketServer(t, mqtttest.Embedded(t)) + "/mqtt?x=y"
	}
	topic := newTopic()
	sub := subscriber(t, consumer(t, url, nil, &driver.Options{Security: driver.HTTP{AuthScheme: "bearer", Credentials: "token"}}), topic, nil)
	pub := publisher(t, producer(t, url, nil, &driver.Options{Security: driver.HTTPAPIKey{In: "header", Name: "Authorization", Key: "bearer token"}}), topic, nil)
	sizes := []int{1, 100, 125, 126, 1000, 65535, 65536, 1 << 20}
	if brokers.Real() {
		sizes = sizes[:5] // Mosquitto takes seconds for more
	}
	for _, size := range sizes {
		send(t, pub, envelope(strings.Repeat("x", size)))
		if got := receive(t, sub, 1)[0]; len(got.Payload()) != size {
			t.Errorf("%d bytes came as %d", size, len(got.Payload()))
		}
	}
	if !brokers.Real() {
		if _, err := driver.NewProducer(url, nil, nil); err == nil {
			t.Errorf("without a token: %v", err)
		}
	}
}

// webSocketServer passes WebSockets with a token on to a broker.
func webSocketServer(t *testing.T, s *mqtttest.Server) string {
	upgrader := websocket.Upgrader{Subprotocols: []string{"mqtt"}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "bearer token" || r.URL.RequestURI() != "/mqtt?x=y" {
			http.Error(w, "no", http.StatusUnauthorized)
			return
		}
		c, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer c.Close()
		c.WriteControl(websocket.PingMessage, []byte("are you there?"), time.Now().Add(time.Second))
		pong := make(chan string, 1)
		c.SetPongHandler(func(data string) error { pong <- data; return nil })
		s.EstablishConnection("plain", &webSocketConn{Conn: c.NetConn(), c: c})
		if data := <-pong; data != "are you there?" {
			t.Errorf("the pong says %q", data)
		}
	}))
	t.Cleanup(server.Close)
	return "ws" + strings.TrimPrefix(server.URL, "http")
}

// webSocketConn is the net.Conn that the broker wants.
type webSocketConn struct {
	net.Conn
	c *websocket.Conn
	r io.Reader
}

func (w *webSocketConn) Read(p []byte) (int, error) {
	for {
		if w.r == nil {
			var err error
			if _, w.r, err = w.c.NextReader(); err != nil {
				return 0, err
			}
		}
		n, err := w.r.Read(p)
		if err == io.EOF {
			w.r, err = nil, nil
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}

// Write cuts what it is given in two, as servers may.
func (w *webSocketConn) Write(p []byte) (int, error) {
	for _, part := range [][]byte{p[:len(p)/2], p[len(p)/2:]} {
		if err := w.c.WriteMessage(websocket.BinaryMessage, part); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}
