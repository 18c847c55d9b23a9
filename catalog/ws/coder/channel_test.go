package coder_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	driver "github.com/asyncapi-impl/asyncapi-impl/catalog/ws/coder"
)

func base64Of(payload []byte) string { return base64.StdEncoding.EncodeToString(payload) }

// queryOf are bindings that give one parameter of the query.
func queryOf(name, value string) *driver.ChannelBindings {
	return &driver.ChannelBindings{Query: &driver.Parameters{Properties: map[string]driver.Parameter{name: {Enum: []string{value}}}}}
}

func closedWith(t testing.TB, err error, code int, reason string) {
	t.Helper()
	var closed *driver.CloseError
	if !errors.As(err, &closed) || closed.Code != code || closed.Reason != reason {
		t.Fatalf("got %v, want the close code %d and the reason %q", err, code, reason)
	}
	if errors.Unwrap(closed) == nil {
		t.Error("the library's error is not to be had")
	}
}

// TestListeningProducer: a Producer that listens sends to all who have dialled,
// waits where there is nobody, and those who dialled come back to it.
func TestListeningProducer(t *testing.T) {
	p := producer(t, anywhere, quick(listening))
	url := p.URL()
	pub := publisher(t, p, "feed", nil)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := pub.Send(ctx, text("to nobody")); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("Send to nobody: %v", err)
	}
	var subs []*driver.Subscriber
	for range 5 {
		c := consumer(t, url, quick(dialling))
		subs = append(subs, subscriber(t, c, "feed", nil))
	}
	eventually(t, "five peers", func() bool { return len(pub.Peers()) == 5 })
	again := publisher(t, p, "feed", nil)
	send(t, pub, text("one"), envelope("two"))
	send(t, again, text("three"))
	if err := pub.Close(); err != nil {
		t.Fatal(err)
	}
	send(t, again, text("four"))
	for _, sub := range subs {
		expect(t, receive(t, sub, 4), "one", "two", "three", "four")
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	p = producer(t, url, quick(listening))
	pub = publisher(t, p, "feed", nil)
	eventually(t, "five peers again", func() bool { return len(pub.Peers()) == 5 })
	send(t, pub, text("five"))
	for _, sub := range subs {
		expect(t, receive(t, sub, 1), "five")
	}
}

// TestBothWays: a connection is used both ways, whichever side dialled.
func TestBothWays(t *testing.T) {
	c := consumer(t, anywhere, quick())
	server := subscriber(t, c, "chat", nil)
	answering(t, server)
	alice := subscriber(t, consumer(t, c.URL(), quick(dialling)), "chat", nil)
	bob := subscriber(t, consumer(t, c.URL(), quick(dialling)), "chat", nil)
	send(t, alice.Publisher(), text("hello"))
	got := receive(t, alice, 1)
	expect(t, got, "reply to hello")
	if got[0].OpCode() != driver.OpText || got[0].Peer().Request() != nil {
		t.Error("not the text that was sent, or a request where this side dialled")
	}
	eventually(t, "two peers", func() bool { return len(server.Publisher().Peers()) == 2 })
	send(t, server.Publisher(), envelope("to all"))
	expect(t, receive(t, alice, 1), "to all")
	expect(t, receive(t, bob, 1), "to all")
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	if err := server.Publisher().Send(t.Context(), text("late")); !errors.Is(err, driver.ErrClosed) {
		t.Errorf("Send of a closed Subscriber's Publisher: %v", err)
	}
}

// TestReplyAfterwards: the connection that a message came by has ended.
func TestReplyAfterwards(t *testing.T) {
	c := consumer(t, anywhere, quick())
	sub := subscriber(t, c, "a", nil)
	f := foreign(t, c.URL()+"/a")
	if err := f.send("hello"); err != nil {
		t.Fatal(err)
	}
	e := receive(t, sub, 1)[0]
	if err := f.close(1000, ""); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the peer is gone", func() bool { return len(sub.Publisher().Peers()) == 0 })
	eventually(t, "ErrClosed", func() bool { return errors.Is(e.Reply(t.Context(), text("late")), driver.ErrClosed) })
}

// TestOnConnect: what OnConnect sends comes first on every connection, so a
// feed is subscribed to again after an outage.
func TestOnConnect(t *testing.T) {
	c := consumer(t, anywhere, quick())
	url := c.URL()
	server := subscriber(t, c, "feed", nil)
	var mu sync.Mutex
	var causes []error
	client := consumer(t, url, quick(dialling, func(o *driver.Options) {
		o.OnConnect = func(ctx context.Context, p *driver.Peer) error { return p.Send(ctx, text("subscribe")) }
		o.OnDisconnect = func(_ *driver.Peer, cause error) {
			mu.Lock()
			defer mu.Unlock()
			causes = append(causes, cause)
		}
	}))
	feed := subscriber(t, client, "feed", nil)
	send(t, feed.Publisher(), text("more"))
	expect(t, receive(t, server, 2), "subscribe", "more")
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	c = consumer(t, url, quick())
	server = subscriber(t, c, "feed", nil)
	expect(t, receive(t, server, 1), "subscribe")
	mu.Lock()
	defer mu.Unlock()
	if len(causes) != 1 {
		t.Fatalf("OnDisconnect was called with %v", causes)
	}
	closedWith(t, causes[0], 1001, "going away")

	refusing := consumer(t, url, quick(dialling, func(o *driver.Options) {
		o.OnConnect = func(context.Context, *driver.Peer) error { return errors.New("not this one") }
	}))
	if _, err := refusing.Subscriber(t.Context(), "feed", nil); err == nil || !strings.Contains(err.Error(), "not this one") {
		t.Errorf("OnConnect's error: %v", err)
	}
}

// TestHandler: the Consumer's handler on a server of the user's own, with a
// path before the address and parameters in it.
func TestHandler(t *testing.T) {
	c := consumer(t, "", quick())
	if c.URL() != "" {
		t.Errorf("URL %q of a Consumer that does not listen", c.URL())
	}
	mux := http.NewServeMux()
	mux.Handle("/api/", http.StripPrefix("/api", c.Handler()))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	room := subscriber(t, c, "rooms/{room}/{kind}", nil)
	exact := subscriber(t, c, "/rooms/red/news", nil)
	p := producer(t, "ws"+strings.TrimPrefix(server.URL, "http")+"/api/", quick())
	send(t, publisher(t, p, "rooms/a%20b c/news", nil), text("to the pattern"))
	send(t, publisher(t, p, "rooms/red/news/", nil), text("to the exact one"))
	got := receive(t, room, 1)
	expect(t, got, "to the pattern")
	if r := got[0].Peer().Request(); r.PathValue("room") != "a%20b c" || r.PathValue("kind") != "news" {
		t.Errorf("parameters %q and %q", r.PathValue("room"), r.PathValue("kind"))
	}
	expect(t, receive(t, exact, 1), "to the exact one")
	for address, want := range map[string]error{"rooms/red": driver.ErrNotFound, "rooms": driver.ErrNotFound} {
		if _, err := p.Publisher(t.Context(), address, nil); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", address, err, want)
		}
	}
	for _, address := range []string{"rooms/{room}/news", "rooms?x=1", "rooms#1"} {
		if _, err := p.Publisher(t.Context(), address, nil); err == nil || errors.Is(err, driver.ErrNotFound) {
			t.Errorf("%q: %v, want an error without a handshake", address, err)
		}
	}
	if _, err := c.Subscriber(t.Context(), "rooms/red/news", nil); !errors.Is(err, driver.ErrRefused) {
		t.Errorf("a second Subscriber of an address: %v", err)
	}
	response, err := http.Get(server.URL + "/api/rooms/red/news")
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusUpgradeRequired {
		t.Errorf("a request that is no handshake: %s", response.Status)
	}
}

func TestAddressOfTheServer(t *testing.T) {
	c := consumer(t, anywhere+"/base/", quick())
	sub := subscriber(t, c, "", nil)
	send(t, publisher(t, producer(t, c.URL(), quick()), "/", nil), text("root"))
	expect(t, receive(t, sub, 1), "root")
}

// TestText: both kinds arrive as what they were; a text has to be UTF-8 in both
// directions.
func TestText(t *testing.T) {
	c := consumer(t, anywhere, quick())
	sub := subscriber(t, c, "a", nil)
	pub := publisher(t, producer(t, c.URL(), quick()), "a", nil)
	for _, opCode := range []driver.OpCode{driver.OpText, driver.OpBinary} {
		e := envelope("ü")
		e.SetOpCode(opCode)
		send(t, pub, e)
		if got := receive(t, sub, 1)[0].OpCode(); got != opCode {
			t.Errorf("opcode %d came as %d", opCode, got)
		}
	}
	if err := pub.Send(t.Context(), text("\xff")); !errors.Is(err, driver.ErrUnsupported) {
		t.Errorf("a text that is not UTF-8: %v", err)
	}
	e := envelope("x")
	e.SetOpCode(9)
	if err := pub.Send(t.Context(), e); !errors.Is(err, driver.ErrUnsupported) {
		t.Errorf("an opcode that is none of a message: %v", err)
	}
	if err := pub.Send(t.Context(), nil); err == nil {
		t.Error("a nil envelope was sent")
	}
	send(t, pub, &driver.EnvelopeOut{})
	expect(t, receive(t, sub, 1), "")

	f := foreign(t, c.URL()+"/a")
	if err := f.send("\xff"); err != nil {
		t.Fatal(err)
	}
	if _, _, code, err := f.receive(); code != 1007 {
		t.Errorf("after a text that is not UTF-8: code %d, %v, want 1007", code, err)
	}
	send(t, pub, text("next"))
	expect(t, receive(t, sub, 1), "next")
}

// TestTooLarge: whoever sends more than the limit is told so, by Send or by the
// close code 1009; a small limit of the other side does not end a Publisher.
func TestTooLarge(t *testing.T) {
	var log buffer
	c := consumer(t, anywhere, quick(func(o *driver.Options) { o.MaxMessageBytes = 1000 }))
	sub := subscriber(t, c, "a", nil)
	p := producer(t, c.URL(), quick(func(o *driver.Options) { o.Logger = log.logger() }))
	pub := publisher(t, p, "a", nil)
	send(t, pub, envelope(strings.Repeat("x", 1000)))
	if got := receive(t, sub, 1); len(got[0].Payload()) != 1000 {
		t.Errorf("%d bytes came", len(got[0].Payload()))
	}
	send(t, pub, envelope(strings.Repeat("x", 300_000)))
	eventually(t, "the log tells of 1009", func() bool { return strings.Contains(log.String(), "1009") })
	send(t, pub, text("next"))
	expect(t, receive(t, sub, 1), "next")

	f := foreign(t, c.URL()+"/a")
	if err := f.send(strings.Repeat("x", 1001)); err != nil {
		t.Fatal(err)
	}
	if _, _, code, err := f.receive(); code != 1009 {
		t.Errorf("code %d, %v, want 1009", code, err)
	}
}

// TestCompressedBomb: the limit is that of the message as it is unpacked.
func TestCompressedBomb(t *testing.T) {
	compressed := func(limit int) *driver.Options {
		return quick(func(o *driver.Options) { o.Compression, o.MaxMessageBytes = true, limit })
	}
	c := consumer(t, anywhere, compressed(1<<20))
	sub := subscriber(t, c, "a", nil)
	var log buffer
	o := compressed(64 << 20)
	o.Logger = log.logger()
	pub := publisher(t, producer(t, c.URL(), o), "a", nil)
	send(t, pub, envelope(strings.Repeat("x", 32<<20)))
	eventually(t, "the log tells of 1009", func() bool { return strings.Contains(log.String(), "1009") })
	send(t, pub, text("next"))
	if got := receive(t, sub, 1); string(got[0].Payload()) != "next" {
		t.Errorf("a message of %d bytes came", len(got[0].Payload()))
	}
}

// TestSubprotocols: the listening side's first that is offered; a dialling side
// that offers some gets one.
func TestSubprotocols(t *testing.T) {
	speaking := func(protocols ...string) func(*driver.Options) {
		return func(o *driver.Options) { o.Subprotocols = protocols }
	}
	c := consumer(t, anywhere, quick(speaking("v3", "v2")))
	sub := subscriber(t, c, "a", nil)
	for _, offer := range [][]string{{"v1", "v2", "v3"}, {"v2"}, nil} {
		want := ""
		if len(offer) > 0 {
			want = offer[len(offer)-1]
		}
		p := producer(t, c.URL(), quick(speaking(offer...)))
		pub := publisher(t, p, "a", nil)
		send(t, pub, text("x"))
		if got := receive(t, sub, 1)[0].Peer().Subprotocol(); got != want || pub.Peers()[0].Subprotocol() != want {
			t.Errorf("offered %q: %q and %q, want %q", offer, got, pub.Peers()[0].Subprotocol(), want)
		}
	}
	p := producer(t, c.URL(), quick(speaking("v1")))
	if _, err := p.Publisher(t.Context(), "a", nil); !errors.Is(err, driver.ErrRefused) {
		t.Errorf("no common subprotocol: %v", err)
	}
}

// TestCompression looks at the handshake and at what the connection carries.
func TestCompression(t *testing.T) {
	for _, both := range []bool{false, true} {
		c := consumer(t, anywhere, quick(func(o *driver.Options) { o.Compression = both }))
		sub := subscriber(t, c, "a", nil)
		proxy := counting(t, c.URL())
		p := producer(t, proxy.url, quick(func(o *driver.Options) { o.Compression = true }))
		pub := publisher(t, p, "a", nil)
		payload := strings.Repeat("compressible ", 50_000)
		send(t, pub, text(payload))
		expect(t, receive(t, sub, 1), payload)
		if small := proxy.bytes.Load() < 100_000; small != both {
			t.Errorf("compression %v: %d bytes for a payload of %d", both, proxy.bytes.Load(), len(payload))
		}
	}
}

// TestOrigin: pages of other hosts are not let in unless Options.Origins says so.
func TestOrigin(t *testing.T) {
	c := consumer(t, anywhere, quick(func(o *driver.Options) { o.Origins = []string{"*.example.com", "https://exact.org"} }))
	subscriber(t, c, "a", nil)
	host := strings.TrimPrefix(c.URL(), "ws://")
	for origin, allowed := range map[string]bool{
		"": true, "http://" + host: true, "https://www.example.com": true, "https://exact.org": true,
		"http://exact.org": false, "https://example.org": false, "null": false, "https://www.example.com.evil.org": false,
	} {
		p := producer(t, c.URL(), quick(func(o *driver.Options) {
			if origin != "" {
				o.Header = http.Header{"Origin": {origin}}
			}
		}))
		if _, err := p.Publisher(t.Context(), "a", nil); allowed != (err == nil) || !allowed && !errors.Is(err, driver.ErrUnauthorized) {
			t.Errorf("origin %q: %v", origin, err)
		}
	}
}

// TestOptions: contradictions are errors.
func TestOptions(t *testing.T) {
	for name, change := range map[string]func(*driver.Options){
		"role":      func(o *driver.Options) { o.Role = "both" },
		"header":    func(o *driver.Options) { o.Role, o.Header = driver.RoleListen, http.Header{"A": {"b"}} },
		"host":      func(o *driver.Options) { o.Header = http.Header{"host": {"b"}} },
		"origins":   func(o *driver.Options) { o.Origins = []string{"*"} },
		"authorize": func(o *driver.Options) { o.Authorize = func(*http.Request) error { return nil } },
	} {
		if p, err := driver.NewProducer(anywhere, nil, quick(change)); err == nil {
			p.Close()
			t.Errorf("%s: no error", name)
		}
	}
	for _, url := range []string{"", "http://localhost", "ws://", "ws://localhost:99999", "ws://localhost/?a=b", "ws://localhost/#a", "kafka://localhost", "ws://a b", ":80:80"} {
		if p, err := driver.NewProducer(url, nil, nil); err == nil {
			p.Close()
			t.Errorf("the server URL %q was taken", url)
		} else if !strings.Contains(err.Error(), "expected host:port or ws://") {
			t.Errorf("%q: %v does not say what is expected", url, err)
		}
	}
	c := consumer(t, anywhere, nil)
	if _, err := driver.NewConsumer(c.URL(), nil, nil); err == nil {
		t.Error("two Consumers listen at one port")
	}
}

// buffer is a log to look into.
type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func (b *buffer) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(b, &slog.HandlerOptions{Level: slog.LevelDebug}))
}
