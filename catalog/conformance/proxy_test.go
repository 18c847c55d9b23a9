package conformance

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"
)

// pair gives both ends of a connection through a proxy.
func pair(t *testing.T) (p *Proxy, client, server net.Conn, again func() (net.Conn, net.Conn)) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p, err = NewProxy(listener.Addr().String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close(); listener.Close() })
	again = func() (net.Conn, net.Conn) {
		t.Helper()
		client, err := net.Dial("tcp", p.Addr())
		if err != nil {
			t.Fatal(err)
		}
		server, err := listener.Accept()
		if err != nil {
			t.Fatal(err)
		}
		deadline := time.Now().Add(5 * time.Second)
		client.SetDeadline(deadline)
		server.SetDeadline(deadline)
		t.Cleanup(func() { client.Close(); server.Close() })
		return client, server
	}
	client, server = again()
	passes(t, client, server)
	return p, client, server, again
}

func passes(t *testing.T, from, to net.Conn) {
	t.Helper()
	if _, err := from.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 5)
	if _, err := io.ReadFull(to, got); err != nil || string(got) != "hello" {
		t.Fatalf("expected hello, got %q and %v", got, err)
	}
}

func TestProxyPasses(t *testing.T) {
	p, client, server, _ := pair(t)
	passes(t, server, client)
	large := pattern(3 << 20)
	go client.Write(large)
	got := make([]byte, len(large))
	if _, err := io.ReadFull(server, got); err != nil || !bytes.Equal(got, large) {
		t.Errorf("3 MiB did not pass whole: %v", err)
	}
	if p.Open() != 1 || p.Accepted() != 1 {
		t.Errorf("expected one connection, got %d open of %d", p.Open(), p.Accepted())
	}
}

func TestProxyEndsAsTheEndsDo(t *testing.T) {
	p, client, server, _ := pair(t)
	client.(*net.TCPConn).CloseWrite()
	if n, err := server.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("expected EOF after a half close, got %d and %v", n, err)
	}
	passes(t, server, client)
	server.Close()
	client.Close()
	for i := 0; p.Open() > 0; i++ {
		if i > 1000 {
			t.Fatalf("%d connections are open after both ends were closed", p.Open())
		}
		time.Sleep(time.Millisecond)
	}
}

func TestProxyCut(t *testing.T) {
	p, client, server, again := pair(t)
	p.Cut()
	for _, end := range []net.Conn{client, server} {
		if _, err := end.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("expected EOF, got %v", err)
		}
	}
	client, server = again()
	passes(t, client, server)
}

func TestProxyReset(t *testing.T) {
	p, client, server, again := pair(t)
	p.Reset()
	for _, end := range []net.Conn{client, server} {
		if _, err := end.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("expected a reset, got %v", err)
		}
	}
	client, server = again()
	passes(t, client, server)
}

func TestProxyRefuse(t *testing.T) {
	p, client, server, again := pair(t)
	p.Refuse()
	passes(t, client, server)
	refused, err := net.Dial("tcp", p.Addr())
	if err == nil {
		refused.SetDeadline(time.Now().Add(5 * time.Second))
		_, err = refused.Read(make([]byte, 1))
		refused.Close()
	}
	if err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("expected an error from a new connection, got %v", err)
	}
	p.Heal()
	client, server = again()
	passes(t, client, server)
}

func silent(t *testing.T, c net.Conn) {
	t.Helper()
	c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if n, err := c.Read(make([]byte, 10)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("expected silence, got %d bytes and %v", n, err)
	}
	c.SetReadDeadline(time.Now().Add(5 * time.Second))
}

func TestProxyBlackHole(t *testing.T) {
	p, client, server, _ := pair(t)
	for _, c := range []struct {
		way      Direction
		from, to net.Conn
	}{{ToServer, client, server}, {ToClient, server, client}} {
		p.BlackHole(c.way)
		c.from.Write([]byte("held"))
		silent(t, c.to)
		passes(t, c.to, c.from)
		p.Heal()
		got := make([]byte, 4)
		if _, err := io.ReadFull(c.to, got); err != nil || string(got) != "held" {
			t.Errorf("expected what was held, got %q and %v", got, err)
		}
	}
}

func TestProxyAbandon(t *testing.T) {
	p, client, server, again := pair(t)
	p.Abandon()
	client.Write([]byte("lost"))
	server.Write([]byte("lost"))
	silent(t, client)
	silent(t, server)
	fresh, other := again()
	passes(t, fresh, other)
	client.Close()
	for i := 0; p.Open() > 1; i++ {
		if i > 1000 {
			t.Fatal("an abandoned connection counts as open after its client has left")
		}
		time.Sleep(time.Millisecond)
	}
}

func TestProxySlow(t *testing.T) {
	p, client, server, _ := pair(t)
	p.Latency(50 * time.Millisecond)
	began := time.Now()
	passes(t, client, server)
	if took := time.Since(began); took < 50*time.Millisecond {
		t.Errorf("expected a delay of 50ms, it took %v", took)
	}
	p.Heal()
	p.Drip()
	passes(t, client, server)
	p.Heal()
	passes(t, client, server)
}

func TestProxyTLS(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	ca, err := newAuthority("proxy")
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := ca.issue("127.0.0.1", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	p, err := NewProxy(listener.Addr().String(), &tls.Config{Certificates: []tls.Certificate{certificate}})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	client, err := tls.Dial("tcp", p.Addr(), &tls.Config{RootCAs: ca.pool})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	server, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	passes(t, client, server)
	passes(t, server, client)
}

func TestSplitURL(t *testing.T) {
	for _, c := range []struct{ url, before, host, after string }{
		{"localhost:9092", "", "localhost:9092", ""},
		{"kafka://a:1,b:2", "kafka://", "a:1", ""},
		{"amqp://user:pa%40ss@host:5672/vhost?heartbeat=1", "amqp://user:pa%40ss@", "host:5672", "/vhost?heartbeat=1"},
		{"amqp://host", "amqp://", "host:5672", ""},
		{"redis://[::1]:6380/3", "redis://", "[::1]:6380", "/3"},
	} {
		before, host, after, err := splitURL(c.url)
		if err != nil || before != c.before || host != c.host || after != c.after {
			t.Errorf("splitURL(%q) = %q, %q, %q, %v", c.url, before, host, after, err)
		}
	}
	if _, _, _, err := splitURL("unknown://host"); err == nil {
		t.Error("expected an error for a URL whose port is not known")
	}
}
