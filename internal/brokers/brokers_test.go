package brokers_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/asyncapi-impl/asyncapi-impl/internal/brokers"
)

func TestMain(m *testing.M) { os.Exit(brokers.Main(m)) }

func TestRedisKeepsItsDataOverACrash(t *testing.T) {
	t.Parallel()
	s := brokers.StartRedis(t)
	c := dial(t, s.Addr, nil)
	c.say("SET key before\r\n")
	c.expect("+OK\r\n")
	crash(t, s)
	c = dial(t, s.Addr, nil)
	c.say("GET key\r\n")
	c.expect("$6\r\nbefore\r\n")
}

func TestRedisListeners(t *testing.T) {
	t.Parallel()
	s := brokers.Redis(t)
	c := dial(t, s.SecureAddr, s.Certs.TLS())
	c.say("PING\r\n")
	c.expect("-NOAUTH")
	c = dial(t, s.SecureAddr, s.Certs.TLS())
	c.say(fmt.Sprintf("AUTH %s %s\r\n", s.User, s.Password))
	c.expect("+OK\r\n")
	c = dial(t, s.SecureAddr, s.Certs.TLS())
	c.say(fmt.Sprintf("AUTH %s\r\n", s.Password))
	c.expect("+OK\r\n")
	c = dial(t, s.SecureAddr, s.Certs.TLS())
	c.say(fmt.Sprintf("AUTH %s wrong\r\n", s.User))
	c.expect("-WRONGPASS")
	c = dial(t, s.SecureAddr, s.Certs.TLS())
	c.say(fmt.Sprintf("AUTH %s %s\r\nPING\r\nSET key value\r\n", brokers.Limited, s.Password))
	c.expect("+OK\r\n+PONG\r\n-NOPERM")
	c = dial(t, s.MutualTLSAddr, s.Certs.MutualTLS())
	c.say("PING\r\n")
	c.expect("+PONG\r\n")
	checkTLS(t, s, "PING\r\n")
}

func TestNATSKeepsItsStreamOverACrash(t *testing.T) {
	t.Parallel()
	s := brokers.StartNATS(t)
	request := func(c *conn, subject, payload string) {
		c.say(fmt.Sprintf("PUB %s inbox %d\r\n%s\r\n", subject, len(payload), payload))
	}
	connect := func() *conn {
		c := dial(t, s.Addr, nil)
		c.expect("INFO ")
		c.say("CONNECT {\"verbose\":false}\r\nSUB inbox 1\r\n")
		return c
	}
	c := connect()
	request(c, "$JS.API.STREAM.CREATE.crash", `{"name":"crash","subjects":["crash"],"storage":"file"}`)
	c.await(`"created"`)
	request(c, "crash", "before")
	c.await(`"seq":1`)
	crash(t, s)
	request(connect(), "$JS.API.STREAM.MSG.GET.crash", `{"seq":1}`)
	c = connect()
	request(c, "$JS.API.STREAM.MSG.GET.crash", `{"seq":1}`)
	c.await(`"data":"YmVmb3Jl"`)
}

func TestNATSListeners(t *testing.T) {
	t.Parallel()
	s := brokers.NATS(t)
	// The server speaks first in the clear, and TLS begins after that.
	upgrade := func(addr string, config *tls.Config, connect string) *conn {
		c := dial(t, addr, nil)
		c.await("INFO ")
		c.await("\r\n")
		if config != nil {
			config = config.Clone()
			config.ServerName = "127.0.0.1"
			c.use(tls.Client(c.Conn, config))
		}
		if _, err := io.WriteString(c, "CONNECT "+connect+"\r\nPING\r\n"); err != nil {
			c.failed = err
		}
		return c
	}
	const quiet = `{"verbose":false}`
	loginAs := func(user, password string) string {
		return fmt.Sprintf(`{"verbose":false,"user":%q,"pass":%q}`, user, password)
	}
	login := func(password string) string { return loginAs(s.User, password) }
	upgrade(s.Addr, nil, quiet).expect("PONG\r\n")
	upgrade(s.SecureAddr, s.Certs.TLS(), login(s.Password)).expect("PONG\r\n")
	upgrade(s.MutualTLSAddr, s.Certs.MutualTLS(), quiet).expect("PONG\r\n")
	upgrade(s.SecureAddr, s.Certs.TLS(), login("wrong")).expect("-ERR 'Authorization Violation'")
	upgrade(s.SecureAddr, s.Certs.TLS(), quiet).expect("-ERR 'Authorization Violation'")
	upgrade(s.SecureAddr, nil, login(s.Password)).refuse("PONG")
	upgrade(s.SecureAddr, &tls.Config{RootCAs: s.Certs.OtherCA}, login(s.Password)).refuse("PONG")
	c := upgrade(s.SecureAddr, s.Certs.TLS(), loginAs(brokers.Limited, s.Password))
	c.expect("PONG\r\n")
	c.say("PUB subject 0\r\n\r\n")
	c.expect("-ERR 'Permissions Violation for Publish")
	upgrade(s.MutualTLSAddr, s.Certs.TLS(), quiet).refuse("PONG")
	upgrade(s.MutualTLSAddr, strange(s), quiet).refuse("PONG")
}

const (
	mqttConnect   = "\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00"
	mqttConnected = "\x20\x02\x00\x00"
)

// mqttLogin is a CONNECT with a user and a password.
func mqttLogin(user, password string) string {
	return mqttConnectAs("\x04\xc2\x00\x3c", user, password)
}

func mqtt5Login(user, password string) string {
	return mqttConnectAs("\x05\xc2\x00\x3c\x00", user, password)
}

func mqttConnectAs(header, user, password string) string {
	field := func(s string) string { return string([]byte{0, byte(len(s))}) + s }
	body := field("MQTT") + header + field("") + field(user) + field(password)
	return "\x10" + string([]byte{byte(len(body))}) + body
}

func TestMosquittoKeepsItsStateOverACrash(t *testing.T) {
	t.Parallel()
	s := brokers.StartMosquitto(t)
	const message = "\x00\x05crash\x00\x01before"
	c := dial(t, s.Addr, nil)
	c.say(mqttConnect)
	c.expect(mqttConnected)
	c.say("\x33\x0f" + message) // PUBLISH, QoS 1, retained
	c.expect("\x40\x02\x00\x01")
	crash(t, s)
	c = dial(t, s.Addr, nil)
	c.say(mqttConnect)
	c.expect(mqttConnected)
	c.say("\x82\x0a\x00\x02\x00\x05crash\x00")
	c.expect("\x90\x03\x00\x02\x00\x31\x0d\x00\x05crashbefore")
}

func TestMosquittoListeners(t *testing.T) {
	t.Parallel()
	s := brokers.Mosquitto(t)
	c := dial(t, s.SecureAddr, s.Certs.TLS())
	c.say(mqttLogin(s.User, s.Password))
	c.expect(mqttConnected)
	c = dial(t, s.SecureAddr, s.Certs.TLS())
	c.say(mqtt5Login(brokers.Limited, s.Password))
	header := make([]byte, 2)
	if _, err := io.ReadFull(c.r, header); err != nil || header[0] != 0x20 {
		t.Fatalf("CONNECT gives %q, %v", header, err)
	}
	connected := make([]byte, header[1])
	if _, err := io.ReadFull(c.r, connected); err != nil || connected[1] != 0 {
		t.Fatalf("CONNECT gives %q, %v", connected, err)
	}
	c.say("\x32\x0a\x00\x05topic\x00\x01\x00") // PUBLISH, QoS 1
	c.expect("\x40\x03\x00\x01\x87")           // not authorized
	for _, hello := range []string{mqttConnect, mqttLogin(s.User, "wrong")} {
		c = dial(t, s.SecureAddr, s.Certs.TLS())
		c.say(hello)
		c.expect("\x20\x02\x00\x05") // not authorized
	}
	c = dial(t, s.MutualTLSAddr, s.Certs.MutualTLS())
	c.say(mqttConnect)
	c.expect(mqttConnected)
	checkTLS(t, s, mqttConnect)
}

func TestPauseAndResume(t *testing.T) {
	t.Parallel()
	s := brokers.StartRedis(t)
	c := dial(t, s.Addr, nil)
	if err := s.Pause(); err != nil {
		t.Fatal(err)
	}
	c.say("PING\r\n")
	if err := c.SetReadDeadline(time.Now().Add(300 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if b, err := c.r.Peek(1); err == nil {
		t.Fatalf("the broker answers %q while it is paused", b)
	}
	if err := s.Resume(); err != nil {
		t.Fatal(err)
	}
	if err := c.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	c.expect("+PONG\r\n")
	if err := s.Pause(); err != nil {
		t.Fatal(err)
	}
	if err := s.Stop(); err != nil {
		t.Fatalf("Stop of a paused broker: %v", err)
	}
}

func realOnly(t *testing.T) {
	t.Helper()
	if !brokers.Real() {
		t.Skip("only with ASYNCAPI_IMPL_BROKERS=real")
	}
}

// checkTLS tries all that a TLS listener has to refuse.
func checkTLS(t *testing.T, s *brokers.Server, hello string) {
	t.Helper()
	for _, c := range []struct {
		name, addr string
		config     *tls.Config
	}{
		{"no TLS", s.SecureAddr, nil},
		{"wrong CA", s.SecureAddr, &tls.Config{RootCAs: s.Certs.OtherCA}},
		{"no client certificate", s.MutualTLSAddr, s.Certs.TLS()},
		{"wrong client certificate", s.MutualTLSAddr, strange(s)},
	} {
		if err := answers(t.Context(), c.addr, c.config, hello); err == nil {
			t.Errorf("%s: the broker answers; want a refusal", c.name)
		}
	}
}

// answers is nil when the broker answers hello.
func answers(ctx context.Context, addr string, config *tls.Config, hello string) error {
	c, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	if err := c.SetDeadline(time.Now().Add(3 * time.Second)); err != nil {
		return err
	}
	if config != nil {
		config = config.Clone()
		config.ServerName = "127.0.0.1"
		c = tls.Client(c, config)
	}
	if _, err := io.WriteString(c, hello); err != nil {
		return err
	}
	answer := make([]byte, 1)
	_, err = io.ReadFull(c, answer)
	if err == nil && config == nil && (answer[0] == 0x15 || answer[0] == '-') {
		return fmt.Errorf("refused with %q", answer)
	}
	return err
}

// strange shows a client certificate of another CA.
func strange(s *brokers.Server) *tls.Config {
	config := s.Certs.TLS()
	// Certificates would not be sent where the server names its CA.
	config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		return &s.Certs.OtherClient, nil
	}
	return config
}

// A conn speaks a protocol by hand.
type conn struct {
	t *testing.T
	net.Conn
	r      *bufio.Reader
	failed error
}

func dial(t *testing.T, addr string, config *tls.Config) *conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	d := new(net.Dialer).DialContext
	if config != nil {
		d = (&tls.Dialer{Config: config}).DialContext
	}
	c, err := d(ctx, "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	result := &conn{t: t}
	result.use(c)
	return result
}

func (c *conn) use(stream net.Conn) { c.Conn, c.r = stream, bufio.NewReader(stream) }

func (c *conn) say(s string) {
	c.t.Helper()
	if _, err := io.WriteString(c, s); err != nil {
		c.t.Fatal(err)
	}
}

// expect reads what has to come next.
func (c *conn) expect(want string) {
	c.t.Helper()
	got := make([]byte, len(want))
	n, err := io.ReadFull(c.r, got)
	if string(got) != want {
		c.t.Fatalf("the broker says %q (%v), want %q", got[:n], err, want)
	}
}

// await reads up to want.
func (c *conn) await(want string) {
	c.t.Helper()
	var got strings.Builder
	for !strings.HasSuffix(got.String(), want) {
		b, err := c.r.ReadByte()
		if err != nil {
			c.t.Fatalf("the broker says %q (%v), want %q", got.String(), err, want)
		}
		got.WriteByte(b)
	}
}

// refuse reads to the end and wants no welcome.
func (c *conn) refuse(welcome string) {
	c.t.Helper()
	got, err := io.ReadAll(c.r)
	if c.failed == nil && strings.Contains(string(got), welcome) {
		c.t.Errorf("the broker says %q (%v); want a refusal", got, err)
	}
}

func checkRefused(t *testing.T, err error, refused bool) {
	t.Helper()
	switch {
	case refused && err == nil:
		t.Error("the broker accepts it; want a refusal")
	case !refused && err != nil:
		t.Error(err)
	}
}

func listens(t *testing.T, addr string) bool {
	t.Helper()
	c, err := new(net.Dialer).DialContext(t.Context(), "tcp", addr)
	if err == nil {
		err = c.Close()
	}
	return err == nil
}

// crash kills the broker, sees that it is gone, and restarts it.
func crash(t *testing.T, s *brokers.Server) {
	t.Helper()
	if err := s.Kill(); err != nil {
		t.Fatal(err)
	}
	if listens(t, s.SecureAddr) {
		t.Fatal("the broker listens after Kill")
	}
	start := time.Now()
	if err := s.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Logf("%s is back after %v", s.Name, time.Since(start).Round(time.Millisecond))
}
