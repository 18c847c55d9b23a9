package std_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	driver "github.com/asyncapi-impl/asyncapi-impl/catalog/tcp/std"
)

// causes keeps why connections ended.
func causes(into chan error) func(*driver.Options) {
	return func(o *driver.Options) { o.OnDisconnect = func(_ *driver.Peer, cause error) { into <- cause } }
}

func wait[T any](t testing.TB, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(20 * time.Second):
		t.Fatal("nothing came in time")
		panic("unreachable")
	}
}

// TestEnds: an orderly end, one within a message, a reset and too large a
// message are told apart; what came whole is handled in each case.
func TestEnds(t *testing.T) {
	whole := string(frame([]byte("whole")))
	for name, c := range map[string]struct {
		data  string
		end   func(*net.TCPConn)
		cause error
	}{
		"half close":       {whole, func(c *net.TCPConn) { _ = c.CloseWrite() }, io.EOF},
		"close":            {whole, func(c *net.TCPConn) { _ = c.Close() }, io.EOF},
		"partial length":   {whole + "\x00\x00", func(c *net.TCPConn) { _ = c.CloseWrite() }, io.ErrUnexpectedEOF},
		"partial message":  {whole + "\x00\x00\x00\x05he", func(c *net.TCPConn) { _ = c.CloseWrite() }, io.ErrUnexpectedEOF},
		"too large":        {whole + "\xff\xff\xff\xff", func(*net.TCPConn) {}, driver.ErrTooLarge},
		"too large, by 1":  {whole + "\x00\x00\x04\x01", func(*net.TCPConn) {}, driver.ErrTooLarge},
		"reset in message": {whole + "\x00\x00\x00\x05he", reset, syscall.ECONNRESET},
	} {
		t.Run(name, func(t *testing.T) {
			ended := make(chan error, 1)
			c0 := consumer(t, anywhere, quick(causes(ended), func(o *driver.Options) { o.MaxMessageBytes = 1024 }))
			sub := subscriber(t, c0)
			conn := dial(t, c0.URL())
			write(t, conn, c.data)
			if got := receive(t, sub, 1, nil); got != "whole" {
				t.Errorf("got %q", got)
			}
			c.end(conn)
			if err := wait(t, ended); !errors.Is(err, c.cause) {
				t.Errorf("got %v, want %v", err, c.cause)
			}
		})
	}
}

func reset(c *net.TCPConn) {
	_ = c.SetLinger(0)
	_ = c.Close()
}

// TestReplyAfterHalfClose: who has asked and ended its side gets the answer,
// and then the end of the connection.
func TestReplyAfterHalfClose(t *testing.T) {
	c := consumer(t, anywhere, quick())
	sub := subscriber(t, c)
	conn := dial(t, c.URL())
	write(t, conn, string(frame([]byte("one")))+string(frame([]byte("two"))))
	_ = conn.CloseWrite()
	receive(t, sub, 2, func(e *driver.EnvelopeIn) error {
		time.Sleep(20 * time.Millisecond)
		return e.Reply(context.Background(), envelope("re "+string(e.Payload())))
	})
	got, err := io.ReadAll(conn)
	want := string(frame([]byte("re one"))) + string(frame([]byte("re two")))
	if err != nil || string(got) != want {
		t.Errorf("got %q, %v", got, err)
	}
}

// TestHalfClose: a peer that has ended its side is dialled anew, unless it is
// known to listen on.
func TestHalfClose(t *testing.T) {
	for _, half := range []bool{false, true} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		accepted := make(chan *net.TCPConn, 10)
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				accepted <- c.(*net.TCPConn)
			}
		}()
		pub := publisher(t, producer(t, l.Addr().String(), quick(func(o *driver.Options) { o.HalfClose = half })))
		conn := wait(t, accepted)
		_ = conn.CloseWrite()
		if !half {
			second := wait(t, accepted)
			_ = conn.Close()
			conn = second
		}
		send(t, pub, "after")
		_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second))
		got := make([]byte, 9)
		if _, err := io.ReadFull(conn, got); err != nil || !bytes.Equal(got, frame([]byte("after"))) {
			t.Errorf("HalfClose %v: got %q, %v", half, got, err)
		}
		_ = conn.Close()
	}
}

// TestHalfClosedPeers: one that has ended its side is none of the peers that a
// Subscriber's Publisher sends to, although its messages are not handled yet.
func TestHalfClosedPeers(t *testing.T) {
	c := consumer(t, anywhere, quick())
	sub := subscriber(t, c)
	conn := dial(t, c.URL())
	write(t, conn, string(frame([]byte("waits"))))
	pub := sub.Publisher()
	for _, n := range []int{1, 0} {
		for deadline := time.Now().Add(20 * time.Second); len(pub.Peers()) != n; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%d peers, not %d", len(pub.Peers()), n)
			}
		}
		_ = conn.CloseWrite()
	}
	if got := receive(t, sub, 1, nil); got != "waits" {
		t.Errorf("got %q", got)
	}
}

// TestSplitAndCoalesced: what TCP does to the borders of writes does not show.
func TestSplitAndCoalesced(t *testing.T) {
	c := consumer(t, anywhere, quick())
	sub := subscriber(t, c)
	conn := dial(t, c.URL())
	_ = conn.SetNoDelay(true)
	stream := string(frame([]byte("a"))) + string(frame(nil)) + string(frame([]byte("bc")))
	go func() {
		for i := range len(stream) {
			_, _ = io.WriteString(conn, stream[i:i+1])
			time.Sleep(time.Millisecond)
		}
		_, _ = io.WriteString(conn, stream+stream)
	}()
	if got := receive(t, sub, 9, nil); got != "a  bc a  bc a  bc" {
		t.Errorf("got %q", got)
	}
}

func TestLines(t *testing.T) {
	ended := make(chan error, 2)
	c := consumer(t, anywhere, quick(lines, causes(ended)))
	sub := subscriber(t, c)
	conn := dial(t, c.URL())
	write(t, conn, "unix\ndos\r\n\nnot ended")
	_ = conn.CloseWrite()
	if got := receive(t, sub, 3, nil); got != "unix dos " {
		t.Errorf("got %q", got)
	}
	if err := wait(t, ended); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a line without an end: %v", err)
	}
	pub := publisher(t, producer(t, c.URL(), quick(lines)))
	for _, bad := range []string{"two\nlines", "return\r"} {
		if err := pub.Send(within(t, time.Second), envelope(bad)); !errors.Is(err, driver.ErrUnsupported) {
			t.Errorf("%q: got %v", bad, err)
		}
	}
	send(t, pub, "fine", "return\rwithin")
	if got := receive(t, sub, 2, nil); got != "fine return\rwithin" {
		t.Errorf("got %q", got)
	}
}

// TestOwnFraming: a SplitFunc of the standard library, with which nothing can
// be sent; one that is too long ends the connection.
func TestOwnFraming(t *testing.T) {
	words := func(o *driver.Options) {
		o.Framing, o.MaxMessageBytes = driver.Framing{Split: bufio.ScanWords}, 10
	}
	ended := make(chan error, 2)
	c := consumer(t, anywhere, quick(words, causes(ended)))
	sub := subscriber(t, c)
	conn := dial(t, c.URL())
	write(t, conn, "two words ")
	if got := receive(t, sub, 2, nil); got != "two words" {
		t.Errorf("got %q", got)
	}
	if err := sub.Publisher().Send(within(t, time.Second), envelope("x")); !errors.Is(err, driver.ErrUnsupported) {
		t.Errorf("got %v", err)
	}
	write(t, conn, "toolongaword ")
	if err := wait(t, ended); !errors.Is(err, driver.ErrTooLarge) {
		t.Errorf("got %v", err)
	}
	if _, err := driver.NewProducer(anywhere, nil, &driver.Options{Framing: driver.Framing{
		Append: func(w, p []byte) ([]byte, error) { return append(w, p...), nil },
	}}); err == nil {
		t.Error("a Framing without Split was taken")
	}
}

// TestRoles: the listening side sends to all, the dialling one receives, and
// each answers on its own connection.
func TestRoles(t *testing.T) {
	p := producer(t, anywhere, quick(listening))
	pub := publisher(t, p)
	var subs []*driver.Subscriber
	for range 3 {
		subs = append(subs, subscriber(t, consumer(t, p.URL(), quick(dialling))))
	}
	deadline := time.Now().Add(20 * time.Second)
	for len(pub.Peers()) < 3 && time.Now().Before(deadline) {
		time.Sleep(time.Millisecond)
	}
	send(t, pub, "to all", "again")
	for _, sub := range subs {
		if got := receive(t, sub, 2, nil); got != "to all again" {
			t.Errorf("got %q", got)
		}
	}
}

func TestSubscriberPublisher(t *testing.T) {
	c := consumer(t, anywhere, quick())
	server := subscriber(t, c)
	client := subscriber(t, consumer(t, c.URL(), quick(dialling)))
	send(t, client.Publisher(), "from the client")
	receive(t, server, 1, nil)
	send(t, server.Publisher(), "from the server")
	if got := receive(t, client, 1, nil); got != "from the server" {
		t.Errorf("got %q", got)
	}
	if _, err := c.Subscriber(within(t, time.Second), "second", nil); !errors.Is(err, driver.ErrRefused) {
		t.Errorf("a second Subscriber: %v", err)
	}
}

// TestCancelledSend: a Send that gave up waiting for a slow peer leaves the
// stream whole.
func TestCancelledSend(t *testing.T) {
	c := consumer(t, anywhere, quick())
	sub := subscriber(t, c)
	pub := publisher(t, producer(t, c.URL(), quick()))
	large := strings.Repeat("x", 4<<20)
	sent := 0
	for ; ; sent++ {
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		err := pub.Send(ctx, envelope(large))
		cancel()
		if errors.Is(err, context.DeadlineExceeded) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	// The last one has come or not: it had begun or not when it was cancelled.
	done := make(chan []int, 1)
	go func() {
		ctx, cancel := context.WithCancel(within(t, 20*time.Second))
		defer cancel()
		var sizes []int
		_ = sub.Receive(ctx, func(_ context.Context, e *driver.EnvelopeIn) error {
			if sizes = append(sizes, len(e.Payload())); string(e.Payload()) == "after" {
				cancel()
			}
			return nil
		})
		done <- sizes
	}()
	send(t, pub, "after")
	got := wait(t, done)
	if n := len(got) - 1; n < sent || n > sent+1 || got[n] != len("after") {
		t.Errorf("%d messages were sent, came: %v", sent, got)
	}
	for _, size := range got[:len(got)-1] {
		if size != len(large) {
			t.Errorf("a message of %d bytes came", size)
		}
	}
}

// TestRestartWithinBatch: of a Send that a break interrupts, what was not
// written goes to the next connection; nothing comes twice.
func TestRestartWithinBatch(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	pub := publisher(t, producer(t, l.Addr().String(), quick(func(o *driver.Options) { o.Timeout = 20 * time.Second })))
	first, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	const n = 2000
	var envelopes []*driver.EnvelopeOut
	for range n {
		envelopes = append(envelopes, envelope(strings.Repeat("x", 10_000)))
	}
	result := make(chan error, 1)
	go func() { result <- pub.Send(context.Background(), envelopes...) }()
	head := make([]byte, 100)
	if _, err := io.ReadFull(first, head); err != nil {
		t.Fatal(err)
	}
	reset(first.(*net.TCPConn))
	second, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	scanner := bufio.NewReader(second)
	count := 0
	for buffer := make([]byte, 10_004); ; count++ {
		_ = second.SetReadDeadline(time.Now().Add(time.Second))
		if _, err := io.ReadFull(scanner, buffer); err != nil {
			break
		}
		if !bytes.Equal(buffer[:5], []byte("\x00\x00\x27\x10x")) {
			t.Fatalf("message %d begins with %x", count, buffer[:5])
		}
	}
	if err := wait(t, result); err != nil {
		t.Error(err)
	}
	if count == 0 || count >= n {
		t.Errorf("%d of %d messages came by the second connection", count, n)
	}
}

func TestUnreadMessagesAreTold(t *testing.T) {
	var log logged
	c := consumer(t, anywhere, quick())
	sub := subscriber(t, c)
	pub := publisher(t, producer(t, c.URL(), quick(log.options)))
	send(t, pub, "question")
	receive(t, sub, 1, func(e *driver.EnvelopeIn) error {
		return errors.Join(e.Reply(context.Background(), envelope("1")), e.Reply(context.Background(), envelope("2")))
	})
	if !log.await("nobody receives here") {
		t.Errorf("the Logger was told: %s", log.text())
	}
}

// TestDropsAreTold: what waits when a Subscriber closes is counted.
func TestDropsAreTold(t *testing.T) {
	var log logged
	c := consumer(t, anywhere, quick(log.options))
	sub := subscriber(t, c)
	send(t, publisher(t, producer(t, c.URL(), quick())), "1", "2", "3")
	receive(t, sub, 1, nil)
	if err := sub.Close(); err != nil {
		t.Error(err)
	}
	if !log.await("messages=2") {
		t.Errorf("the Logger was told: %s", log.text())
	}
}

func TestServerURL(t *testing.T) {
	for _, bad := range []string{"", "localhost", "http://localhost:80", "tcp://localhost:x", "tcp://localhost:1/path", "::1:7", "tcp://h:70000"} {
		if p, err := driver.NewProducer(bad, nil, nil); err == nil {
			p.Close()
			t.Errorf("%q was taken", bad)
		} else if !strings.Contains(err.Error(), "expected host:port") {
			t.Errorf("%q: %v", bad, err)
		}
	}
	for _, good := range []string{"localhost:7000", "tcp://[::1]:7000", "tls://example.com:7000"} {
		p, err := driver.NewProducer(good, nil, nil)
		if err != nil {
			t.Errorf("%q: %v", good, err)
			continue
		}
		p.Close()
	}
	for _, o := range []*driver.Options{{Security: driver.UserPassword{}}, {Security: driver.Plain{}}, {Security: driver.OAuth2{}}} {
		if _, err := driver.NewProducer("localhost:7000", nil, o); !errors.Is(err, driver.ErrUnsupported) {
			t.Errorf("%s: %v", o.Security.Scheme(), err)
		}
	}
	if _, err := driver.NewProducer("tcp://user:password@localhost:7000", nil, nil); !errors.Is(err, driver.ErrUnsupported) {
		t.Errorf("credentials: %v", err)
	}
}

func TestPortTaken(t *testing.T) {
	c := consumer(t, anywhere, quick())
	if _, err := driver.NewConsumer(c.URL(), nil, nil); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("got %v", err)
	}
}

// TestNetcatListens: this one has ended its side from the start, and listens on.
func TestNetcatListens(t *testing.T) {
	host, port := freePort(t)
	cmd := exec.Command(command(t, "nc"), "-l", "-N", host, port)
	var got bytes.Buffer
	cmd.Stdout = &got
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill() }()
	pub := dialled(t, net.JoinHostPort(host, port), quick(lines, func(o *driver.Options) { o.HalfClose = true }))
	send(t, pub, "one", "two")
	if err := pub.Close(); err != nil {
		t.Error(err)
	}
	_ = cmd.Wait()
	if got.String() != "one\ntwo\n" {
		t.Errorf("nc got %q", &got)
	}
}

func TestSocatEchoes(t *testing.T) {
	host, port := freePort(t)
	cmd := exec.Command(command(t, "socat"), "TCP-LISTEN:"+port+",bind="+host+",reuseaddr", "EXEC:cat")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	deadline := time.Now().Add(20 * time.Second)
	c := consumer(t, net.JoinHostPort(host, port), quick(dialling))
	sub, err := c.Subscriber(within(t, 20*time.Second), "echo", nil)
	for ; err != nil && time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		sub, err = c.Subscriber(within(t, 20*time.Second), "echo", nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	send(t, sub.Publisher(), "there", "", "and back")
	if got := receive(t, sub, 3, nil); got != "there  and back" {
		t.Errorf("got %q", got)
	}
}

// TestNetcatAsks: nc -N ends its side and waits for the answer.
func TestNetcatAsks(t *testing.T) {
	c := consumer(t, anywhere, quick(lines))
	sub := subscriber(t, c)
	host, port, _ := net.SplitHostPort(strings.TrimPrefix(c.URL(), "tcp://"))
	cmd := exec.Command(command(t, "nc"), "-N", host, port)
	cmd.Stdin = strings.NewReader("ping\n")
	var got bytes.Buffer
	cmd.Stdout = &got
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	receive(t, sub, 1, func(e *driver.EnvelopeIn) error {
		return e.Reply(context.Background(), envelope("re "+string(e.Payload())))
	})
	if err := cmd.Wait(); err != nil || got.String() != "re ping\n" {
		t.Errorf("nc got %q, %v", &got, err)
	}
}

func freePort(t testing.TB) (host, port string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	host, port, _ = net.SplitHostPort(l.Addr().String())
	return host, port
}

// dialled waits for a listener that is just starting.
func dialled(t testing.TB, url string, o *driver.Options) *driver.Publisher {
	t.Helper()
	p := producer(t, url, o)
	deadline := time.Now().Add(20 * time.Second)
	for {
		pub, err := p.Publisher(within(t, 20*time.Second), "out", nil)
		if err == nil {
			return pub
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}
