package std_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	driver "github.com/asyncapi-impl/asyncapi-impl/catalog/udp/std"
)

// TestNeverCut: what is larger than the limit is told and counted, and does
// not come in part; what is as large comes whole, and so does nothing at all.
func TestNeverCut(t *testing.T) {
	var log logged
	c := consumer(t, anywhere, quick(log.options, func(o *driver.Options) { o.MaxMessageBytes = 100 }))
	sub := subscriber(t, c)
	conn := dial(t, c.URL())
	for _, size := range []int{1000, 101, 100, 0} {
		if _, err := conn.Write(bytes.Repeat([]byte("x"), size)); err != nil {
			t.Fatal(err)
		}
	}
	if got := receive(t, sub, 2, nil); got != strings.Repeat("x", 100)+" " {
		t.Errorf("got %q", got)
	}
	if c.Dropped() != 2 {
		t.Errorf("%d were counted", c.Dropped())
	}
	if !strings.Contains(log.text(), "larger than Options.MaxMessageBytes") {
		t.Errorf("the Logger was told: %s", log.text())
	}
	pub := publisher(t, producer(t, c.URL(), quick(func(o *driver.Options) { o.MaxMessageBytes = 1 << 20 })))
	for _, size := range []int{65508, 1<<20 + 1} {
		if err := pub.Send(within(t, time.Second), envelope(strings.Repeat("x", size))); !errors.Is(err, driver.ErrTooLarge) {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
	send(t, pub, "fits")
	if got := receive(t, sub, 1, nil); got != "fits" {
		t.Errorf("got %q", got)
	}
}

// TestNobodyListens: that is told, and the Publisher works on.
func TestNobodyListens(t *testing.T) {
	c := consumer(t, anywhere, quick())
	url := c.URL()
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	pub := publisher(t, producer(t, url, quick()))
	var err error
	for deadline := time.Now().Add(20 * time.Second); err == nil && time.Now().Before(deadline); {
		err = pub.Send(within(t, time.Second), envelope("into the void"))
	}
	if !errors.Is(err, driver.ErrRefused) || !errors.Is(err, syscall.ECONNREFUSED) {
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

// TestRefusedReply: that a peer is gone ends no Receive.
func TestRefusedReply(t *testing.T) {
	c := consumer(t, anywhere, quick())
	sub := subscriber(t, c)
	gone := dial(t, c.URL())
	if _, err := gone.Write([]byte("ask")); err != nil {
		t.Fatal(err)
	}
	gone.Close()
	receive(t, sub, 1, func(e *driver.EnvelopeIn) error { return e.Reply(context.Background(), envelope("too late")) })
	conn := dial(t, c.URL())
	if _, err := conn.Write([]byte("ask")); err != nil {
		t.Fatal(err)
	}
	var peer netip.AddrPort
	receive(t, sub, 1, func(e *driver.EnvelopeIn) error {
		peer = e.Peer()
		return e.Reply(context.Background(), envelope("answer"))
	})
	got := make([]byte, 100)
	n, err := conn.Read(got)
	if string(got[:n]) != "answer" || err != nil {
		t.Errorf("got %q, %v", got[:n], err)
	}
	if peer.String() != conn.LocalAddr().String() {
		t.Errorf("the peer is %s, not %s", peer, conn.LocalAddr())
	}
}

// TestOverflow: what the system drops is counted, and told.
func TestOverflow(t *testing.T) {
	var log logged
	c := consumer(t, anywhere, quick(log.options, func(o *driver.Options) { o.ReadBuffer = 16 << 10 }))
	sub := subscriber(t, c)
	conn := dial(t, c.URL())
	const n = 200
	for range n {
		if _, err := conn.Write(make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	came := 0
	_ = sub.Receive(ctx, func(context.Context, *driver.EnvelopeIn) error { came++; return nil })
	if came == 0 || came == n {
		t.Fatalf("%d of %d came", came, n)
	}
	// The system tells with the next one.
	if _, err := conn.Write(nil); err != nil {
		t.Fatal(err)
	}
	receive(t, sub, 1, nil)
	if c.Dropped() != uint64(n-came) {
		t.Errorf("%d of %d came, %d were counted as dropped", came, n, c.Dropped())
	}
	if !strings.Contains(log.text(), "buffer was full") {
		t.Errorf("the Logger was told: %s", log.text())
	}
}

// TestMulticast: all who have joined get it, over IPv4 and IPv6. The groups are
// such that nothing leaves this machine.
func TestMulticast(t *testing.T) {
	for group, ifi := range map[string]string{"239.255.77.88": "lo", "[ff01::7788]": withIPv6(t)} {
		if ifi == "" {
			t.Logf("%s is left out: no interface has multicast over IPv6", group)
			continue
		}
		on := quick(func(o *driver.Options) { o.Interface = ifi })
		first := consumer(t, group+":0", on)
		_, port, _ := net.SplitHostPort(first.Native().LocalAddr().String())
		second := consumer(t, group+":"+port, on)
		pub := publisher(t, producer(t, group+":"+port, on))
		subs := []*driver.Subscriber{subscriber(t, first), subscriber(t, second)}
		send(t, pub, "to all")
		for _, sub := range subs {
			if got := receive(t, sub, 1, nil); got != "to all" {
				t.Errorf("%s: got %q", group, got)
			}
		}
	}
	p := producer(t, "127.0.0.1:7000", quick(func(o *driver.Options) { o.Interface = "lo" }))
	if _, err := p.Publisher(within(t, time.Second), "out", nil); !errors.Is(err, driver.ErrUnsupported) {
		t.Errorf("an interface for no group: %v", err)
	}
}

// withIPv6 is an interface that has multicast over IPv6.
func withIPv6(t testing.TB) string {
	t.Helper()
	all, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, ifi := range all {
		addresses, err := ifi.Addrs()
		if err != nil || ifi.Flags&(net.FlagUp|net.FlagMulticast) != net.FlagUp|net.FlagMulticast {
			continue
		}
		for _, a := range addresses {
			if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is6() {
				return ifi.Name
			}
		}
	}
	return ""
}

func TestBroadcast(t *testing.T) {
	c := consumer(t, "127.255.255.255:0", quick())
	sub := subscriber(t, c)
	send(t, publisher(t, producer(t, c.URL(), quick())), "to all")
	if got := receive(t, sub, 1, nil); got != "to all" {
		t.Errorf("got %q", got)
	}
}

func TestIPv6(t *testing.T) {
	c := consumer(t, "udp://[::1]:0", quick())
	sub := subscriber(t, c)
	send(t, publisher(t, producer(t, c.URL(), quick())), "six")
	if got := receive(t, sub, 1, nil); got != "six" {
		t.Errorf("got %q", got)
	}
}

// TestSubscribers: one at a time; the next one gets what waits.
func TestSubscribers(t *testing.T) {
	c := consumer(t, anywhere, quick())
	first := subscriber(t, c)
	if _, err := c.Subscriber(within(t, time.Second), "second", nil); !errors.Is(err, driver.ErrRefused) {
		t.Errorf("a second Subscriber: %v", err)
	}
	send(t, publisher(t, producer(t, c.URL(), quick())), "waits")
	if err := first.Close(); err != nil {
		t.Error(err)
	}
	if got := receive(t, subscriber(t, c), 1, nil); got != "waits" {
		t.Errorf("got %q", got)
	}
}

func TestServerURL(t *testing.T) {
	for _, bad := range []string{"", "localhost", "tcp://localhost:80", "localhost:x", "udp://localhost:1/path", "::1:7"} {
		if _, err := driver.NewProducer(bad, nil, nil); err == nil || !strings.Contains(err.Error(), "expected host:port") {
			t.Errorf("%q: %v", bad, err)
		}
	}
	for what, o := range map[string]*driver.Options{
		"a password": {Security: driver.UserPassword{}}, "X509": {Security: driver.X509{}}, "TLS": {TLS: &tls.Config{}},
	} {
		if _, err := driver.NewProducer("localhost:7000", nil, o); !errors.Is(err, driver.ErrUnsupported) {
			t.Errorf("%s: %v", what, err)
		}
		if _, err := driver.NewConsumer(anywhere, nil, o); !errors.Is(err, driver.ErrUnsupported) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := driver.NewProducer("udp://user:password@localhost:7000", nil, nil); !errors.Is(err, driver.ErrUnsupported) {
		t.Errorf("credentials: %v", err)
	}
	c := consumer(t, anywhere, quick())
	if _, err := driver.NewConsumer(c.URL(), nil, nil); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("a port that is taken: %v", err)
	}
}

// TestSocatListens: another program reads what was sent, and answers.
func TestSocatListens(t *testing.T) {
	conn, err := net.ListenPacket("udp", anywhere)
	if err != nil {
		t.Fatal(err)
	}
	host, port, _ := net.SplitHostPort(conn.LocalAddr().String())
	conn.Close()
	cmd := exec.Command(command(t, "socat"), "UDP4-RECVFROM:"+port+",bind="+host+",fork", "EXEC:cat")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	sub := subscriber(t, consumer(t, anywhere, quick()))
	peer := netip.MustParseAddrPort(net.JoinHostPort(host, port))
	stop, done := make(chan struct{}), make(chan struct{})
	go func() { // until socat listens
		defer close(done)
		for {
			_ = sub.SendTo(context.Background(), peer, envelope("there and back"))
			select {
			case <-stop:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	got := receive(t, sub, 1, nil)
	close(stop)
	<-done
	if got != "there and back" {
		t.Errorf("got %q", got)
	}
}

// TestNetcatListens: what was sent is what nc writes.
func TestNetcatListens(t *testing.T) {
	conn, err := net.ListenPacket("udp", anywhere)
	if err != nil {
		t.Fatal(err)
	}
	host, port, _ := net.SplitHostPort(conn.LocalAddr().String())
	conn.Close()
	cmd := exec.Command(command(t, "nc"), "-u", "-l", "-d", host, port)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	pub := publisher(t, producer(t, net.JoinHostPort(host, port), quick()))
	got := make(chan string, 1)
	go func() {
		buffer := make([]byte, 5)
		_, _ = io.ReadFull(out, buffer)
		got <- string(buffer)
	}()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		_ = pub.Send(context.Background(), envelope("hello"))
		select {
		case text := <-got:
			if text != "hello" {
				t.Errorf("nc got %q", text)
			}
			return
		case <-time.After(20 * time.Millisecond):
		}
	}
	t.Error("nc got nothing")
}
