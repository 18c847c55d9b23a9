// Package mqtttest gives the tests of the MQTT drivers a broker, in this
// process or real, and clients that none of them is made of.
package mqtttest

import (
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/asyncapi-impl/asyncapi-impl/catalog/conformance"
	"github.com/asyncapi-impl/asyncapi-impl/internal/brokers"
)

// RefusedAddress is one that nobody may send to.
const RefusedAddress = brokers.RefusedTopic

// Server is a broker in this process.
type Server struct {
	*mqtt.Server
	URL       string
	SecureURL string // TLS, and User with Password
	MutualURL string // TLS with a client certificate
	Certs     *brokers.Certs
	// Revoked makes it refuse User.
	Revoked atomic.Bool

	sequence atomic.Int64

	mu   sync.Mutex
	read []packets.Packet
}

// Embedded starts a broker in this process.
func Embedded(t testing.TB, configure ...func(*mqtt.Options)) *Server {
	t.Helper()
	if os.Getenv("ASYNCAPI_IMPL_MOCHI") == "" {
		t.Skip("mochi-mqtt v2.7.9 stops dead now and then: Inflight.NextImmediate takes its read lock twice. " +
			"Set ASYNCAPI_IMPL_MOCHI=1 to run against it all the same, ASYNCAPI_IMPL_BROKERS=real to run against Mosquitto")
	}
	options := &mqtt.Options{
		Capabilities: mqtt.NewDefaultServerCapabilities(), InlineClient: true,
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
	options.Capabilities.ReceiveMaximum = 10_000 // what is held back it mixes up
	for _, c := range configure {
		c(options)
	}
	certs, err := brokers.NewCerts(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := tls.LoadX509KeyPair(certs.ServerFile, certs.ServerKeyFile)
	if err != nil {
		t.Fatal(err)
	}
	secure := &tls.Config{Certificates: []tls.Certificate{certificate}}
	mutual := secure.Clone()
	mutual.ClientAuth, mutual.ClientCAs = tls.RequireAndVerifyClientCert, certs.CA

	s := &Server{Server: mqtt.New(options), Certs: certs}
	s.sequence.Store((time.Now().Unix()>>16 + 1) << 16)
	if err := s.AddHook(&hook{server: s, release: map[*mqtt.Client]func(){}}, nil); err != nil {
		t.Fatal(err)
	}
	s.URL = "mqtt://" + s.listen(t, "plain", nil)
	s.SecureURL = "mqtts://" + s.listen(t, "password", secure)
	s.MutualURL = "mqtts://" + s.listen(t, "mutual", mutual)
	if err := s.Serve(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.shutDown)
	return s
}

// shutDown does not wait for ever: Close takes a lock for reading twice, and
// hangs if a client that has just gone wants it for writing in between.
func (s *Server) shutDown() {
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Close()
	}()
	select {
	case <-done:
	case <-time.After(2 * time.Second):
	}
}

func (s *Server) listen(t testing.TB, id string, config *tls.Config) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if config != nil {
		l = tls.NewListener(l, config)
	}
	if err := s.AddListener(listeners.NewNet(id, l)); err != nil {
		t.Fatal(err)
	}
	return address
}

// Read gives the packets of a type that have come from clients, in order.
func (s *Server) Read(kind byte) []packets.Packet {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []packets.Packet
	for _, p := range s.read {
		if p.FixedHeader.Type == kind {
			found = append(found, p)
		}
	}
	return found
}

// hook decides who may do what, and remembers what came.
type hook struct {
	mqtt.HookBase
	server *Server

	// publishing is held for reading while a message goes out, and for writing
	// while a client takes over its old session.
	publishing sync.RWMutex
	mu         sync.Mutex
	release    map[*mqtt.Client]func()
}

// hold keeps what gives publishing back until the client is done with it.
func (h *hook) hold(cl *mqtt.Client, release func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.release[cl] = release
}

func (h *hook) done(cl *mqtt.Client) {
	h.mu.Lock()
	release := h.release[cl]
	delete(h.release, cl)
	h.mu.Unlock()
	if release != nil {
		release()
	}
}

func (h *hook) ID() string { return "mqtttest" }

func (h *hook) Provides(b byte) bool {
	switch b {
	case mqtt.OnConnectAuthenticate, mqtt.OnACLCheck, mqtt.OnPacketRead, mqtt.OnPublish, mqtt.OnPublished,
		mqtt.OnSessionEstablish, mqtt.OnSessionEstablished, mqtt.OnDisconnect:
		return true
	}
	return false
}

func (h *hook) OnConnectAuthenticate(cl *mqtt.Client, p packets.Packet) bool {
	if cl.Net.Listener != "password" {
		return true
	}
	return !h.server.Revoked.Load() &&
		string(p.Connect.Username) == brokers.User && string(p.Connect.Password) == brokers.Password
}

func (h *hook) OnACLCheck(_ *mqtt.Client, topic string, _ bool) bool {
	return !strings.HasPrefix(topic, "refused/")
}

// OnSessionEstablish keeps the packet identifiers of the two directions apart:
// the broker has one set for both, and confuses them.
func (h *hook) OnSessionEstablish(cl *mqtt.Client, _ packets.Packet) {
	for range 2_000 {
		if _, err := cl.NextPacketID(); err != nil {
			return
		}
	}
	if _, found := h.server.Clients.Get(cl.ID); !found {
		return
	}
	// The broker copies the old session to the new client. What it confirms
	// from then on still goes to the old one, until the new one is in its
	// table, and is lost; and after that it overtakes what is sent again.
	h.publishing.Lock()
	var once sync.Once
	release := func() { once.Do(h.publishing.Unlock) }
	time.AfterFunc(time.Second, release) // a client that is gone by now is established never
	h.hold(cl, release)
}

func (h *hook) OnSessionEstablished(cl *mqtt.Client, _ packets.Packet) { h.done(cl) }

func (h *hook) OnPublished(cl *mqtt.Client, _ packets.Packet) { h.done(cl) }

// OnDisconnect comes also to a client that was gone before its acknowledgement
// was written, whose message is not published.
func (h *hook) OnDisconnect(cl *mqtt.Client, _ error, _ bool) { h.done(cl) }

func (h *hook) OnPacketRead(_ *mqtt.Client, p packets.Packet) (packets.Packet, error) {
	h.remember(p)
	return p, nil
}

// OnPublish puts a number in the place of the time. What the broker sends again
// it sorts by the low 16 bits of that, and in a second there are many messages.
func (h *hook) OnPublish(cl *mqtt.Client, p packets.Packet) (packets.Packet, error) {
	h.publishing.RLock()
	h.hold(cl, h.publishing.RUnlock)
	p.Created = h.server.sequence.Add(1)
	return p, nil
}

func (h *hook) remember(p packets.Packet) {
	if len(p.Payload) > 1<<10 || p.FixedHeader.Type == packets.Pingreq {
		return
	}
	h.server.mu.Lock()
	defer h.server.mu.Unlock()
	h.server.read = append(h.server.read, p)
}

// URL is that of the real broker where the run is about real ones, else of an
// embedded one.
func URL(t testing.TB) string {
	t.Helper()
	if brokers.Real() {
		return brokers.Mosquitto(t).URL
	}
	return Embedded(t).URL
}

// Broker is what the conformance suite runs against, with a client that shares
// no code with the drivers: mosquitto_pub and mosquitto_sub, or the embedded
// broker's own. The embedded broker can't be killed: it would forget all it
// has confirmed.
func Broker(t testing.TB, version int) (*conformance.Broker, *conformance.Foreign) {
	t.Helper()
	if brokers.Real() {
		s := brokers.StartMosquitto(t)
		b := &conformance.Broker{
			Name: "mosquitto", URL: s.URL,
			SecureURL: "mqtts://" + s.SecureAddr, User: s.User, Password: s.Password, CA: s.Certs.CA,
			MutualURL: "mqtts://" + s.MutualTLSAddr, ClientCert: &s.Certs.Client,
			RefusedAddress: RefusedAddress,
			// Mosquitto writes what it confirms to disk when it ends, and not
			// before: SIGKILL would lose messages whatever a driver did. Asked
			// to end it breaks every connection as well.
			Kill:    s.Stop,
			Restart: func() error { return s.Restart(context.Background()) },
			Revoke:  func() error { return s.SetPassword("another") },
			Restore: func() error { return s.SetPassword(s.Password) },
		}
		return sayingNo(b, version), commands(version)
	}
	s := Embedded(t)
	b := &conformance.Broker{
		Name: "mochi", URL: s.URL,
		SecureURL: s.SecureURL, User: brokers.User, Password: brokers.Password, CA: s.Certs.CA,
		MutualURL: s.MutualURL, ClientCert: &s.Certs.Client,
		RefusedAddress: RefusedAddress,
		Revoke:         func() error { s.Revoked.Store(true); return nil },
		Restore:        func() error { s.Revoked.Store(false); return nil },
	}
	return sayingNo(b, version), s.inline(version)
}

// sayingNo takes the refused address away where the server can't refuse it.
// MQTT 3.1.1 has no word for that: Mosquitto says yes and drops the message,
// the embedded broker hangs up.
func sayingNo(b *conformance.Broker, version int) *conformance.Broker {
	if version < 5 {
		b.RefusedAddress = ""
	}
	return b
}
