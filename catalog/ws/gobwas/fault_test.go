package gobwas_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asyncapi-impl/asyncapi-impl/catalog/conformance"
	driver "github.com/asyncapi-impl/asyncapi-impl/catalog/ws/gobwas"
)

// counter passes a connection on and counts what the client sends.
type counter struct {
	url   string
	bytes atomic.Int64
}

func counting(t testing.TB, url string) *counter {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	c := &counter{url: "ws://" + l.Addr().String()}
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", strings.TrimPrefix(url, "ws://"))
			if err != nil {
				client.Close()
				return
			}
			go func() {
				defer server.Close()
				io.Copy(server, io.TeeReader(client, writer(func(p []byte) { c.bytes.Add(int64(len(p))) })))
			}()
			go func() {
				defer client.Close()
				io.Copy(client, server)
			}()
		}
	}()
	return c
}

type writer func([]byte)

func (w writer) Write(p []byte) (int, error) {
	w(p)
	return len(p), nil
}

// raw is a connection after the handshake on which a test says anything.
func raw(t testing.TB, url string) net.Conn {
	t.Helper()
	host, path, _ := strings.Cut(strings.TrimPrefix(url, "ws://"), "/")
	conn, err := net.Dial("tcp", host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	key := make([]byte, 16)
	rand.Read(key)
	fmt.Fprintf(conn, "GET /%s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n\r\n",
		path, host, base64.StdEncoding.EncodeToString(key))
	response, err := http.ReadResponse(bufio.NewReaderSize(conn, 16), nil) // the small buffer holds nothing back
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusSwitchingProtocols {
		t.Fatal(response.Status)
	}
	return conn
}

// frame is a client's frame with the mask 0.
func frame(first byte, payload string) string {
	return string([]byte{first, 0x80 | byte(len(payload)), 0, 0, 0, 0}) + payload
}

// TestGarbage: what no peer may send ends its connection and nothing else; what
// it may send in pieces comes whole.
func TestGarbage(t *testing.T) {
	c := consumer(t, anywhere, quick())
	sub := subscriber(t, c, "a", nil)
	pub := publisher(t, producer(t, c.URL(), quick()), "a", nil)
	for name, bytes := range map[string]string{
		"a frame that is not masked":      "\x82\x01x",
		"a frame of 2^64-1 bytes":         "\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00x",
		"a continuation of nothing":       frame(0x80, "x"),
		"a message within a message":      frame(0x02, "x") + frame(0x82, "y"),
		"an unknown opcode":               frame(0x83, "x"),
		"reserved bits":                   frame(0xf2, "x"),
		"a ping in pieces":                frame(0x09, "x"),
		"a close of one byte":             frame(0x88, "x"),
		"a close with a code of nobody's": frame(0x88, "\x03\xed"),
		"no WebSocket at all":             "GET / HTTP/1.1\r\n\r\n",
	} {
		conn := raw(t, c.URL()+"/a")
		io.WriteString(conn, bytes)
		if _, err := io.Copy(io.Discard, conn); err != nil && !strings.Contains(err.Error(), "reset") {
			t.Errorf("%s: %v, want the end of the connection", name, err)
		}
	}
	for _, end := range []string{"\x82", "\x82\xff\x40\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00x", "\x82\x85\x00\x00", frame(0x02, "half of")} {
		conn := raw(t, c.URL()+"/a")
		io.WriteString(conn, end)
		conn.Close()
	}
	conn := raw(t, c.URL()+"/a")
	io.WriteString(conn, frame(0x01, "whole ")+frame(0x89, "ping")+frame(0x00, "")+frame(0x80, "message"))
	got := receive(t, sub, 1)
	expect(t, got, "whole message")
	if got[0].OpCode() != driver.OpText {
		t.Errorf("opcode %d", got[0].OpCode())
	}
	pong := make([]byte, 6)
	if _, err := io.ReadFull(conn, pong); err != nil || string(pong) != "\x8a\x04ping" {
		t.Errorf("answer to a ping: %q, %v", pong, err)
	}
	conn.Close()
	send(t, pub, text("next"))
	expect(t, receive(t, sub, 1), "next")
	eventually(t, "one peer", func() bool { return len(sub.Publisher().Peers()) == 1 })
}

// TestClosedByPeer: the code that a peer closes with is answered and told.
func TestClosedByPeer(t *testing.T) {
	causes := make(chan error, 1)
	c := consumer(t, anywhere, quick(func(o *driver.Options) {
		o.OnDisconnect = func(_ *driver.Peer, cause error) { causes <- cause }
	}))
	sub := subscriber(t, c, "a", nil)
	f := foreign(t, c.URL()+"/a")
	if err := f.send("last words"); err != nil {
		t.Fatal(err)
	}
	if err := f.close(4444, "bye"); err != nil {
		t.Fatal(err)
	}
	if _, _, code, err := f.receive(); code != 4444 {
		t.Errorf("answered with %d, %v", code, err)
	}
	closedWith(t, <-causes, 4444, "bye")
	expect(t, receive(t, sub, 1), "last words")
}

// TestClosing: each way to close says its code to the peer.
func TestClosing(t *testing.T) {
	for name, want := range map[string]int{"Close": 1001, "CloseWith": 4000, "Peer.Close": 3000, "Consumer.Close": 1001} {
		c := consumer(t, anywhere, quick())
		sub := subscriber(t, c, "a", nil)
		f := foreign(t, c.URL()+"/a")
		if err := f.send("x"); err != nil {
			t.Fatal(err)
		}
		e := receive(t, sub, 1)[0]
		closing := map[string]func() error{
			"Close": sub.Close, "CloseWith": func() error { return sub.CloseWith(4000, "why") },
			"Peer.Close": func() error { return e.Peer().Close(3000, "why") }, "Consumer.Close": c.Close,
		}[name]
		done := make(chan error, 1)
		go func() { done <- closing() }()
		if _, _, code, err := f.receive(); code != want {
			t.Errorf("%s: the peer got %d, %v, want %d", name, code, err, want)
		}
		if err := <-done; err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, code := range []int{0, 999, 1005, 1006, 1015, 2000, 5000} {
			if err := e.Peer().Close(code, ""); !errors.Is(err, driver.ErrUnsupported) {
				t.Errorf("Close with %d: %v", code, err)
			}
		}
		if err := sub.CloseWith(1000, strings.Repeat("x", 124)); err == nil {
			t.Error("a reason of 124 bytes was taken")
		}
	}
	causes := make(chan error, 2)
	c := consumer(t, anywhere, quick(func(o *driver.Options) {
		o.OnDisconnect = func(_ *driver.Peer, cause error) { causes <- cause }
	}))
	subscriber(t, c, "a", nil)
	p := producer(t, c.URL(), quick())
	if err := publisher(t, p, "a", nil).Close(); err != nil {
		t.Error(err)
	}
	closedWith(t, <-causes, 1000, "")
	if err := publisher(t, p, "a", nil).CloseWith(4001, "done"); err != nil {
		t.Error(err)
	}
	closedWith(t, <-causes, 4001, "done")
}

// TestFinalCode: a code of Options.FinalCodes ends a dialling side, after the
// messages that came before it; any other does not.
func TestFinalCode(t *testing.T) {
	c := consumer(t, anywhere, quick())
	server := subscriber(t, c, "a", nil)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Receive(ctx, func(ctx context.Context, e *driver.EnvelopeIn) error {
			var code int
			fmt.Sscan(string(e.Payload()), &code)
			return errors.Join(e.Reply(ctx, text("before")), e.Peer().Close(code, "enough"))
		})
	}()
	defer func() { stop(); <-done }()
	gone := make(chan error, 2)
	client := subscriber(t, consumer(t, c.URL(), quick(dialling, func(o *driver.Options) {
		o.OnDisconnect = func(_ *driver.Peer, cause error) { gone <- cause }
	})), "a", nil)
	send(t, client.Publisher(), text("4001"))
	expect(t, receive(t, client, 1), "before")
	closedWith(t, <-gone, 4001, "enough")
	send(t, client.Publisher(), text("1008"))
	closedWith(t, <-gone, 1008, "enough")
	expect(t, receive(t, client, 1), "before")
	err := client.Receive(within(t, 20*time.Second), func(context.Context, *driver.EnvelopeIn) error { return nil })
	closedWith(t, err, 1008, "enough")
	closedWith(t, client.Publisher().Send(t.Context(), text("more")), 1008, "enough")
}

// TestSlowConsumer: while nobody receives, the senders wait, and neither the
// pings nor a Send that gave up cost the connection or a message.
func TestSlowConsumer(t *testing.T) {
	alive := func(o *driver.Options) { o.PingInterval, o.Timeout = 200*time.Millisecond, 600*time.Millisecond }
	var log buffer
	defer func() {
		if t.Failed() {
			t.Log(log.String())
		}
	}()
	c := consumer(t, anywhere, quick(alive, func(o *driver.Options) { o.Queue, o.Logger = 4, log.logger() }))
	sub := subscriber(t, c, "a", nil)
	p := producer(t, c.URL(), quick(alive, func(o *driver.Options) { o.Logger = log.logger() }))
	pub := publisher(t, p, "a", nil)
	padding := strings.Repeat("x", 200_000)
	var sent []string
	for i, stuck := 0, 0; stuck < 3; i++ {
		// The context without a deadline gives up after Timeout.
		payload := []byte(fmt.Sprintf("%03d %s", i, padding))
		e := driver.NewEnvelopeOut()
		e.SetPayload(payload)
		err := pub.Send(context.Background(), e)
		clear(payload) // it is the caller's again
		switch {
		case err == nil:
			sent = append(sent, fmt.Sprintf("%03d", i))
		case errors.Is(err, context.DeadlineExceeded):
			stuck++
		default:
			t.Fatal(err)
		}
	}
	if len(sent) < 5 {
		t.Fatalf("%d messages were written", len(sent))
	}
	last := make(chan error, 1)
	go func() { last <- pub.Send(within(t, 20*time.Second), envelope("the last")) }()
	var got []string
	for len(got) == 0 || got[len(got)-1] != "the last" {
		payload := string(receive(t, sub, 1)[0].Payload())
		got = append(got, strings.TrimSuffix(payload, " "+padding))
	}
	if err := <-last; err != nil {
		t.Error(err)
	}
	if !slices.IsSorted(got) {
		t.Errorf("not in order: %q", got)
	}
	for _, payload := range got {
		if len(payload) > 3 && payload != "the last" {
			t.Errorf("a message came as %.20q", payload)
		}
	}
	for _, want := range sent {
		if !slices.Contains(got, want) {
			t.Errorf("%s did not come: %q", want, got)
		}
	}
	if strings.Contains(log.String(), "lost") || len(sub.Publisher().Peers()) != 1 {
		t.Errorf("the connection was lost:\n%s", log.String())
	}
}

// TestDeadPeer: a listening side gives up a peer of which it hears nothing.
func TestDeadPeer(t *testing.T) {
	causes := make(chan error, 1)
	c := consumer(t, anywhere, quick(func(o *driver.Options) {
		o.PingInterval, o.Timeout = 100*time.Millisecond, 200*time.Millisecond
		o.OnDisconnect = func(_ *driver.Peer, cause error) { causes <- cause }
	}))
	subscriber(t, c, "a", nil)
	conn := raw(t, c.URL()+"/a") // nobody answers its pings
	began := time.Now()
	select {
	case err := <-causes:
		if !strings.Contains(err.Error(), "no sign of life") {
			t.Error(err)
		}
		if took := time.Since(began); took < 250*time.Millisecond {
			t.Errorf("given up after %v", took)
		}
	case <-time.After(10 * time.Second):
		t.Error("a peer that says nothing is kept")
	}
	conn.Close()
}

// TestSignOfLife: data alone is one, also of a peer that answers no ping.
func TestSignOfLife(t *testing.T) {
	c := consumer(t, anywhere, quick(func(o *driver.Options) { o.PingInterval, o.Timeout = 100*time.Millisecond, 200*time.Millisecond }))
	sub := subscriber(t, c, "a", nil)
	conn := raw(t, c.URL()+"/a")
	go func() {
		for range 20 {
			time.Sleep(50 * time.Millisecond)
			io.WriteString(conn, frame(0x82, "x"))
		}
	}()
	receive(t, sub, 20)
	if len(sub.Publisher().Peers()) != 1 {
		t.Error("a peer that sends was given up")
	}
}

// TestRefusals: what the handshake is answered with is the error of Publisher,
// and what may pass does not end a dialling side.
func TestRefusals(t *testing.T) {
	var status atomic.Int64
	c := consumer(t, "", quick())
	sub := subscriber(t, c, "a", nil)
	var dialled atomic.Int64
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		dialled.Add(1)
		if s := int(status.Load()); s != 0 {
			http.Redirect(w, r, "/elsewhere", s)
			return
		}
		c.Handler().ServeHTTP(w, r)
	})
	p := producer(t, server, quick())
	for code, want := range map[int]error{
		401: driver.ErrUnauthorized, 403: driver.ErrUnauthorized, 404: driver.ErrNotFound, 410: driver.ErrNotFound,
		400: driver.ErrRefused, 302: driver.ErrRefused, 503: driver.ErrRefused, 200: driver.ErrRefused,
	} {
		status.Store(int64(code))
		_, err := p.Publisher(t.Context(), "a", nil)
		if !errors.Is(err, want) || !strings.Contains(err.Error(), fmt.Sprint(code)) {
			t.Errorf("status %d: %v, want %v", code, err, want)
		}
	}
	status.Store(0)
	pub := publisher(t, p, "a", nil)
	eventually(t, "a peer", func() bool { return len(sub.Publisher().Peers()) == 1 })
	for _, passing := range []int64{503, 429, 404, 500} {
		status.Store(passing)
		before := dialled.Load()
		if err := sub.Publisher().Peers()[0].Close(1012, "restart"); err != nil {
			t.Fatal(err)
		}
		eventually(t, "two attempts", func() bool { return dialled.Load() > before+1 })
		status.Store(0)
		eventually(t, "a peer again", func() bool { return len(sub.Publisher().Peers()) == 1 })
	}
	send(t, pub, text("still there"))
	expect(t, receive(t, sub, 1), "still there")
	status.Store(401)
	if err := sub.Publisher().Peers()[0].Close(1012, "restart"); err != nil {
		t.Fatal(err)
	}
	if err := pub.Send(within(t, 20*time.Second), text("never")); !errors.Is(err, driver.ErrUnauthorized) {
		t.Errorf("Send after the credentials were refused: %v", err)
	}
	before := dialled.Load()
	if err := pub.Send(t.Context(), text("never")); !errors.Is(err, driver.ErrUnauthorized) || dialled.Load() != before {
		t.Errorf("another Send: %v", err)
	}
}

// TestNotFoundForLong: an address that stays unknown ends Receive.
func TestNotFoundForLong(t *testing.T) {
	c := consumer(t, anywhere, quick())
	server := subscriber(t, c, "a", nil)
	client := subscriber(t, consumer(t, c.URL(), quick(dialling, func(o *driver.Options) { o.Timeout = 300 * time.Millisecond })), "a", nil)
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	err := client.Receive(within(t, 20*time.Second), func(context.Context, *driver.EnvelopeIn) error { return nil })
	if !errors.Is(err, driver.ErrNotFound) {
		t.Errorf("Receive: %v", err)
	}
}

// TestUnread: a message on a Publisher's connection is told of, once.
func TestUnread(t *testing.T) {
	var log buffer
	c := consumer(t, anywhere, quick())
	sub := subscriber(t, c, "a", nil)
	pub := publisher(t, producer(t, c.URL(), quick(func(o *driver.Options) { o.Logger = log.logger() })), "a", nil)
	send(t, sub.Publisher(), text("one"), text("two"))
	eventually(t, "a warning", func() bool { return strings.Contains(log.String(), "nobody receives") })
	send(t, pub, text("fine"))
	expect(t, receive(t, sub, 1), "fine")
	if n := strings.Count(log.String(), "nobody receives"); n != 1 {
		t.Errorf("%d warnings", n)
	}
}

// TestDropped: what Close takes from the handlers is told of.
func TestDropped(t *testing.T) {
	var log buffer
	c := consumer(t, anywhere, quick(func(o *driver.Options) { o.Queue, o.Logger = 2, log.logger() }))
	sub := subscriber(t, c, "a", nil)
	pub := publisher(t, producer(t, c.URL(), quick(func(o *driver.Options) { o.Timeout = 300 * time.Millisecond })), "a", nil)
	for _, payload := range numbered(0, 10) {
		send(t, pub, text(payload))
	}
	if err := pub.Close(); err != nil { // returns when the peer has read all, or after Timeout
		t.Log(err)
	}
	if err := sub.Close(); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log.String(), "messages=") {
		t.Errorf("the log does not tell of messages without a handler:\n%s", log.String())
	}
}

// TestConnectionsAtOnce: many peers, each with its own order.
func TestConnectionsAtOnce(t *testing.T) {
	const peers, each = 50, 20
	c := consumer(t, anywhere, quick())
	sub := subscriber(t, c, "{name}", nil)
	p := producer(t, c.URL(), quick())
	errs := make(chan error, peers)
	for i := range peers {
		go func() {
			pub, err := p.Publisher(context.Background(), fmt.Sprint("peer-", i), nil)
			for n := range each {
				if err == nil {
					err = pub.Send(context.Background(), text(fmt.Sprint(n)))
				}
			}
			errs <- err
		}()
	}
	next := map[string]int{}
	for _, e := range receive(t, sub, peers*each) {
		name := e.Peer().Request().PathValue("name")
		if string(e.Payload()) != fmt.Sprint(next[name]) {
			t.Fatalf("%s sent %s in the place of %d", name, e.Payload(), next[name])
		}
		next[name]++
	}
	for range peers {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if len(next) != peers || len(c.Native()) != peers || len(p.Native()) != peers {
		t.Errorf("%d names, %d and %d connections", len(next), len(c.Native()), len(p.Native()))
	}
}

// TestReset: a proxy breaks the connection of a Consumer that dials; what was
// to be received goes on.
func TestReset(t *testing.T) {
	p := producer(t, anywhere, quick(listening))
	pub := publisher(t, p, "a", nil)
	proxy, err := conformance.NewProxy(strings.TrimPrefix(p.URL(), "ws://"), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proxy.Close)
	sub := subscriber(t, consumer(t, "ws://"+proxy.Addr(), quick(dialling)), "a", nil)
	for i, harm := range []func(){proxy.Reset, proxy.Cut, proxy.Reset} {
		send(t, pub, text(fmt.Sprint(i)))
		expect(t, receive(t, sub, 1), fmt.Sprint(i))
		harm()
		eventually(t, "no peer that is broken", func() bool {
			return proxy.Accepted() == i+2 && len(pub.Peers()) == 1
		})
	}
}

// TestSilentServer: a server that accepts and says nothing is an error within
// Timeout, and so is one that says something else.
func TestSilentServer(t *testing.T) {
	for name, says := range map[string]string{"silent": "", "garbage": "220 mail ready\r\n", "half": "HTTP/1.1 101 Switching"} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		go func() {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
			conn.Read(make([]byte, 1))
			io.WriteString(conn, says)
			io.Copy(io.Discard, conn)
		}()
		p := producer(t, "ws://"+l.Addr().String(), quick(func(o *driver.Options) { o.Timeout = 300 * time.Millisecond }))
		began := time.Now()
		if _, err := p.Publisher(context.Background(), "a", nil); err == nil || time.Since(began) > 10*time.Second {
			t.Errorf("%s: %v after %v", name, err, time.Since(began))
		}
	}
}

// TestEarly: a client's first message comes in one packet with its handshake.
func TestEarly(t *testing.T) {
	c := consumer(t, anywhere, quick())
	sub := subscriber(t, c, "a", nil)
	conn, err := net.Dial("tcp", strings.TrimPrefix(c.URL(), "ws://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, "GET /a HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Version: 13\r\n"+
		"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"+frame(0x81, "early"))
	expect(t, receive(t, sub, 1), "early")
}

// TestCloseOnConnect: OnConnect may close a connection, before anything is read.
func TestCloseOnConnect(t *testing.T) {
	c := consumer(t, anywhere, quick(func(o *driver.Options) {
		o.OnConnect = func(_ context.Context, p *driver.Peer) error { return p.Close(4003, "full") }
	}))
	subscriber(t, c, "a", nil)
	f := foreign(t, c.URL()+"/a")
	began := time.Now()
	if _, _, code, err := f.receive(); code != 4003 {
		t.Errorf("code %d, %v, want 4003", code, err)
	}
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("after %v", took)
	}
}

// TestCloseWaitsForSend: what a Send has begun is written before Close.
func TestCloseWaitsForSend(t *testing.T) {
	c := consumer(t, anywhere, quick(func(o *driver.Options) { o.Queue = 1 }))
	sub := subscriber(t, c, "a", nil)
	pub := publisher(t, producer(t, c.URL(), quick(func(o *driver.Options) { o.Timeout = 20 * time.Second })), "a", nil)
	var all []*driver.EnvelopeOut
	for range 20 {
		all = append(all, envelope(strings.Repeat("x", 1<<20)))
	}
	sent, closed := make(chan error, 1), make(chan error, 1)
	go func() { sent <- pub.Send(context.Background(), all...) }()
	eventually(t, "the first message", func() bool { return len(pub.Peers()) == 1 && len(receive(t, sub, 1)) == 1 })
	go func() { closed <- pub.Close() }()
	eventually(t, "Close has begun", func() bool { return errors.Is(pub.Send(context.Background(), text("late")), driver.ErrClosed) })
	receive(t, sub, len(all)-1)
	if err := errors.Join(<-sent, <-closed); err != nil {
		t.Error(err)
	}
}
