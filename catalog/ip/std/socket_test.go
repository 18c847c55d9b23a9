package std_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	driver "github.com/asyncapi-impl/asyncapi-impl/catalog/ip/std"
)

// TestHeader: the handler has the payload without the header, and the header.
func TestHeader(t *testing.T) {
	mayOpen(t)
	c := consumer(t, ownAddress(), quick())
	sub := subscriber(t, c)
	send(t, publisher(t, producer(t, c.URL(), quick())), "payload")
	var h driver.IPHeader
	got := receive(t, sub, 1, func(e *driver.EnvelopeIn) error { h = e.IP(); return nil })
	if got != "payload" {
		t.Errorf("got %q", got)
	}
	if "ip://"+h.Dst.String() != c.URL() || h.Src.String() != "127.0.0.1" || h.Version != 4 || h.Protocol != 253 || h.TTL == 0 {
		t.Errorf("the header is %+v", h)
	}
}

// TestOwnHeader: the socket can be made to take the header from the payload,
// here with options, a TTL and a TOS of its own.
func TestOwnHeader(t *testing.T) {
	mayOpen(t)
	c := consumer(t, ownAddress(), quick())
	sub := subscriber(t, c)
	dst := netip.MustParseAddr(strings.TrimPrefix(c.URL(), "ip://")).As4()
	header := []byte{0x46, 0x10, 0, 0, 0x12, 0x34, 0, 0, 77, 253, 0, 0, 127, 0, 0, 9, dst[0], dst[1], dst[2], dst[3], 1, 1, 1, 0}
	pub := publisher(t, producer(t, c.URL(), quick(func(o *driver.Options) { o.Native = includeHeader })))
	send(t, pub, string(header)+"payload")
	var h driver.IPHeader
	var peer netip.Addr
	got := receive(t, sub, 1, func(e *driver.EnvelopeIn) error { h, peer = e.IP(), e.Peer(); return nil })
	if got != "payload" {
		t.Errorf("got %q", got)
	}
	if h.TTL != 77 || h.TOS != 0x10 || h.ID != 0x1234 || !bytes.Equal(h.Options, []byte{1, 1, 1, 0}) || peer.String() != "127.0.0.9" {
		t.Errorf("the header is %+v, the peer %s", h, peer)
	}
}

func TestIPv6(t *testing.T) {
	mayOpen(t)
	for _, url := range []string{"::1", "ip://[::1]", "ip6://::1"} {
		o := quick(func(o *driver.Options) { o.Protocol = 254 })
		c, err := driver.NewConsumer(url, nil, o)
		if err != nil {
			t.Errorf("%s: %v", url, err)
			continue
		}
		sub := subscriber(t, c)
		send(t, publisher(t, producer(t, c.URL(), o)), "six", "")
		var h driver.IPHeader
		got := receive(t, sub, 2, func(e *driver.EnvelopeIn) error { h = e.IP(); return nil })
		if got != "six " {
			t.Errorf("%s: got %q", url, got)
		}
		if h.Version != 6 || h.Protocol != 254 || h.TTL == 0 || h.Src.String() != "::1" || h.Dst.String() != "::1" {
			t.Errorf("the header is %+v", h)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestPeers: the datagrams of others are passed over.
func TestPeers(t *testing.T) {
	mayOpen(t)
	address := ownAddress()
	c := consumer(t, address, quick(func(o *driver.Options) { o.Peers = []netip.Addr{netip.MustParseAddr("127.0.0.1")} }))
	sub := subscriber(t, c)
	stranger := consumer(t, ownAddress(), quick())
	to := netip.MustParseAddr(strings.TrimPrefix(address, "ip://"))
	if err := subscriber(t, stranger).SendTo(within(t, time.Second), to, envelope("from a stranger")); err != nil {
		t.Fatal(err)
	}
	send(t, publisher(t, producer(t, address, quick())), "from the peer")
	if got := receive(t, sub, 1, nil); got != "from the peer" {
		t.Errorf("got %q", got)
	}
	if c.Dropped() != 0 {
		t.Errorf("%d counted as dropped", c.Dropped())
	}
}

func TestNeverCut(t *testing.T) {
	mayOpen(t)
	var log logged
	c := consumer(t, ownAddress(), quick(log.options, func(o *driver.Options) { o.MaxMessageBytes = 100 }))
	sub := subscriber(t, c)
	pub := publisher(t, producer(t, c.URL(), quick(func(o *driver.Options) { o.MaxMessageBytes = 1 << 20 })))
	for _, size := range []int{1000, 101, 100, 0} {
		send(t, pub, strings.Repeat("x", size))
	}
	if got := receive(t, sub, 2, nil); got != strings.Repeat("x", 100)+" " {
		t.Errorf("got %q", got)
	}
	if c.Dropped() != 2 || !strings.Contains(log.text(), "larger than Options.MaxMessageBytes") {
		t.Errorf("%d were counted; the Logger was told: %s", c.Dropped(), log.text())
	}
	for _, size := range []int{65516, 1<<20 + 1} {
		if err := pub.Send(within(t, time.Second), envelope(strings.Repeat("x", size))); !errors.Is(err, driver.ErrTooLarge) {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
}

// TestNobodyTakesIt: that is told, and the Publisher works on.
func TestNobodyTakesIt(t *testing.T) {
	mayOpen(t)
	url := ownAddress()
	pub := publisher(t, producer(t, url, quick()))
	var err error
	for deadline := time.Now().Add(20 * time.Second); err == nil && time.Now().Before(deadline); {
		err = pub.Send(within(t, time.Second), envelope("into the void"))
	}
	if !errors.Is(err, driver.ErrRefused) {
		t.Fatalf("got %v", err)
	}
	sub := subscriber(t, consumer(t, url, quick()))
	for range 3 { // an answer to an earlier one may still come
		if err := pub.Send(within(t, time.Second), envelope("again")); err != nil && !errors.Is(err, driver.ErrRefused) {
			t.Fatal(err)
		}
	}
	if got := receive(t, sub, 1, nil); got != "again" {
		t.Errorf("got %q", got)
	}
}

// TestPing: ICMP, which ping sends.
func TestPing(t *testing.T) {
	ping := command(t, "ping")
	mayOpen(t)
	icmp := quick(func(o *driver.Options) { o.Protocol = 1 })
	c := consumer(t, ownAddress(), icmp)
	sub := subscriber(t, c)
	cmd := exec.Command(ping, "-c", "1", "-t", "33", "-p", "abcd", strings.TrimPrefix(c.URL(), "ip://"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var h driver.IPHeader
	got := receive(t, sub, 1, func(e *driver.EnvelopeIn) error { h = e.IP(); return nil })
	if len(got) != 64 || got[0] != 8 || !strings.HasSuffix(got, "\xab\xcd") || h.TTL != 33 || h.Protocol != 1 {
		t.Errorf("got %x with %+v", got, h)
	}
}

// TestEcho: an echo request of ours, which the system answers.
func TestEcho(t *testing.T) {
	mayOpen(t)
	icmp := quick(func(o *driver.Options) { o.Protocol = 1 })
	c := consumer(t, ownAddress(), icmp)
	sub := subscriber(t, c)
	request := append([]byte{8, 0, 0, 0, 0x12, 0x34, 0, 1}, "anybody there?"...)
	binary.BigEndian.PutUint16(request[2:], checksum(request))
	to := netip.MustParseAddr(strings.TrimPrefix(ownAddress(), "ip://"))
	if err := sub.SendTo(within(t, time.Second), to, envelope(string(request))); err != nil {
		t.Fatal(err)
	}
	var peer netip.Addr
	got := receive(t, sub, 1, func(e *driver.EnvelopeIn) error { peer = e.Peer(); return nil })
	if len(got) != len(request) || got[0] != 0 || got[4:] != string(request[4:]) || peer != to {
		t.Errorf("got %x from %s", got, peer)
	}
}

func checksum(data []byte) uint16 {
	var sum uint32
	for i := 0; i+1 < len(data); i += 2 {
		sum += uint32(data[i])<<8 | uint32(data[i+1])
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// TestPythonAnswers: another language reads what was sent, and replies.
func TestPythonAnswers(t *testing.T) {
	python := command(t, "python3")
	mayOpen(t)
	address := strings.TrimPrefix(ownAddress(), "ip://")
	cmd := exec.Command(python, "-c", receiveRaw, address)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	if _, err := io.ReadFull(out, make([]byte, 6)); err != nil {
		t.Fatal(err)
	}
	sub := subscriber(t, consumer(t, ownAddress(), quick()))
	if err := sub.SendTo(within(t, time.Second), netip.MustParseAddr(address), envelope("hello")); err != nil {
		t.Fatal(err)
	}
	if got := receive(t, sub, 1, nil); got != "re hello" {
		t.Errorf("got %q", got)
	}
}

func TestServerURL(t *testing.T) {
	for _, bad := range []string{"", "ip://", "tcp://localhost", "localhost:80", "127.0.0.1:80", "[::1]:80", "localhost/path"} {
		if _, err := driver.NewProducer(bad, nil, nil); err == nil || !strings.Contains(err.Error(), "expected host") {
			t.Errorf("%q: %v", bad, err)
		}
	}
	for _, good := range []string{"localhost", "::1", "ip://[fe80::1%eth0]", "ip4://example.com", "192.0.2.1"} {
		if _, err := driver.NewProducer(good, nil, nil); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for what, o := range map[string]*driver.Options{
		"a password": {Security: driver.UserPassword{}}, "X509": {Security: driver.X509{}}, "TLS": {TLS: &tls.Config{}},
	} {
		if _, err := driver.NewProducer("localhost", nil, o); !errors.Is(err, driver.ErrUnsupported) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := driver.NewProducer("ip://user:password@localhost", nil, nil); !errors.Is(err, driver.ErrUnsupported) {
		t.Errorf("credentials: %v", err)
	}
	if _, err := driver.NewProducer("localhost", nil, &driver.Options{Protocol: 256}); err == nil {
		t.Error("the protocol 256 was taken")
	}
}

func TestExample(t *testing.T) {
	mayOpen(t)
	stdout := os.Stdout
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	os.Stdout = w
	Example()
	os.Stdout = stdout
	_ = w.Close()
	if out, err := io.ReadAll(r); string(out) != "Hello, IP!\n" {
		t.Errorf("the example printed %q, %v", out, err)
	}
}

// The driver beside the bare net.IPConn.
func BenchmarkSend(b *testing.B) {
	mayOpen(b)
	payload := make([]byte, 1024)
	sink := consumer(b, ownAddress(), nil)
	b.Run("driver", func(b *testing.B) {
		pub := publisher(b, producer(b, sink.URL(), nil))
		e := envelope(string(payload))
		b.ReportAllocs()
		for b.Loop() {
			// Nobody reads: what has no room is refused.
			if err := pub.Send(context.Background(), e); err != nil && !errors.Is(err, driver.ErrRefused) {
				b.Fatal(err)
			}
		}
	})
	b.Run("net", func(b *testing.B) {
		conn, err := net.Dial("ip4:253", strings.TrimPrefix(sink.URL(), "ip://"))
		if err != nil {
			b.Fatal(err)
		}
		defer conn.Close()
		b.ReportAllocs()
		for b.Loop() {
			if _, err := conn.Write(payload); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkReceive(b *testing.B) {
	mayOpen(b)
	payload := make([]byte, 1024)
	b.Run("driver", func(b *testing.B) {
		c := consumer(b, ownAddress(), nil)
		sub := subscriber(b, c)
		defer pour(b, c.URL(), payload)()
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		b.ReportAllocs()
		n := 0
		_ = sub.Receive(ctx, func(context.Context, *driver.EnvelopeIn) error {
			if n++; n == b.N {
				cancel()
			}
			return nil
		})
	})
	b.Run("net", func(b *testing.B) {
		address := strings.TrimPrefix(ownAddress(), "ip://")
		conn, err := net.ListenIP("ip4:253", &net.IPAddr{IP: net.ParseIP(address)})
		if err != nil {
			b.Fatal(err)
		}
		defer conn.Close()
		defer pour(b, address, payload)()
		buffer := make([]byte, 65536)
		b.ReportAllocs()
		for b.Loop() {
			n, _, err := conn.ReadFromIP(buffer)
			if err != nil {
				b.Fatal(err)
			}
			_ = append([]byte{}, buffer[:n]...)
		}
	})
}

// pour sends all the time.
func pour(b *testing.B, url string, payload []byte) (stop func()) {
	conn, err := net.Dial("ip4:253", strings.TrimPrefix(url, "ip://"))
	if err != nil {
		b.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			if _, err := conn.Write(payload); errors.Is(err, net.ErrClosed) {
				return
			}
		}
	}()
	return func() {
		conn.Close()
		<-done
	}
}
