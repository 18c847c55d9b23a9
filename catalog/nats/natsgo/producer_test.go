package natsgo_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/asyncapi-impl/asyncapi-impl/catalog/conformance"
	driver "github.com/asyncapi-impl/asyncapi-impl/catalog/nats/natsgo"
	"github.com/asyncapi-impl/asyncapi-impl/internal/brokers"
	"github.com/asyncapi-impl/asyncapi-impl/internal/natstest"
)

// fast comes back soon.
var fast = &driver.Options{MinBackoff: time.Millisecond, MaxBackoff: 10 * time.Millisecond}

// through gives a URL that leads through a proxy to another one's host.
func through(t testing.TB, url string) (*conformance.Proxy, string) {
	t.Helper()
	proxy, err := conformance.NewProxy(strings.TrimPrefix(url, "nats://"), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proxy.Close)
	return proxy, "nats://" + proxy.Addr()
}

// A PONG on the next connection says nothing about a message on the last one:
// the library's Publish and Flush would both have returned nil.
func TestSendAgainWhenTheConnectionBroke(t *testing.T) {
	wire := natstest.Script(t, func(c *natstest.Conn) {
		if c.Number < 4 {
			for line := c.Line(); !strings.HasPrefix(line, "PUB"); line = c.Line() {
				if line == "PING" {
					c.Say("PONG")
				}
			}
			return
		}
		c.Serve()
	})
	pub := publisher(t, producer(t, wire.URL, fast), "orders")
	send(t, pub, envelope("a"), envelope("b"))
	for _, message := range []string{"PUB orders 1\r\na\r\n", "PUB orders 1\r\nb\r\n"} {
		if sent := wire.Sent(); !strings.Contains(sent[strings.LastIndex(sent, "CONNECT"):], message) {
			t.Errorf("%q is not on the connection that confirmed: %q", message, sent)
		}
	}
}

// failing is a connection whose next write times out before anything is
// written. The library would forget what was to be written, and carry on.
type failing struct {
	net.Conn
	mu   sync.Mutex
	next bool
}

func (f *failing) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.next && bytes.Contains(p, []byte("PUB ")) {
		f.next = false
		return 0, errors.New("the test's write error")
	}
	return f.Conn.Write(p)
}

type failingDialer struct{ last *failing }

func (d *failingDialer) Dial(network, address string) (net.Conn, error) {
	c, err := net.Dial(network, address)
	d.last = &failing{Conn: c}
	return d.last, err
}

func TestSendAgainAfterAFailedWrite(t *testing.T) {
	url, subject := natstest.URL(t), newSubject()
	sub := subscriber(t, consumer(t, url, nil), subject, nil)
	dialer := &failingDialer{}
	pub := publisher(t, producer(t, url, &driver.Options{
		MinBackoff: time.Millisecond, MaxBackoff: time.Millisecond,
		Native: func(n *nats.Options) { n.CustomDialer = dialer },
	}), subject)
	for i := range 20 {
		dialer.last.mu.Lock()
		dialer.last.next = i%2 == 0
		dialer.last.mu.Unlock()
		send(t, pub, envelope(fmt.Sprint(i)))
	}
	var got []string
	for _, e := range receive(t, sub, 20) {
		got = append(got, string(e.Payload()))
	}
	for i, payload := range got {
		if payload != fmt.Sprint(i) {
			t.Fatalf("got %v", got)
		}
	}
}

// What Send has given up on must not go out when the connection is back.
func TestGivenUpIsNotSentLater(t *testing.T) {
	url, subject := natstest.URL(t), newSubject()
	sub := subscriber(t, consumer(t, url, nil), subject, nil)
	proxy, behind := through(t, url)
	pub := publisher(t, producer(t, behind, fast), subject)
	send(t, pub, envelope("first"))
	proxy.Refuse()
	proxy.Reset()
	for range 5 {
		err := pub.Send(within(t, 50*time.Millisecond), envelope("given up"))
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("Send during an outage: %v", err)
		}
	}
	proxy.Heal()
	send(t, pub, envelope("last"))
	if got := payloads(receive(t, sub, 2)); got != "first last" {
		t.Errorf("got %q", got)
	}
}

// The library holds its lock while it writes to a server that does not read.
func TestStalledServerHoldsNobody(t *testing.T) {
	url, subject := natstest.URL(t), newSubject()
	proxy, behind := through(t, url)
	p := producer(t, behind, &driver.Options{Timeout: 2 * time.Second})
	pub := publisher(t, p, subject)
	send(t, pub, envelope("first"))
	proxy.BlackHole(conformance.ToServer, conformance.ToClient)
	payload := make([]byte, 1<<20)
	began := time.Now()
	var wait sync.WaitGroup
	for range 30 {
		wait.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
			defer cancel()
			e := driver.NewEnvelopeOut()
			e.SetPayload(payload)
			if err := pub.Send(ctx, e); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Send into a black hole: %v", err)
			}
		})
	}
	wait.Wait()
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("Send came back after %v, its context ended after 300 ms", took)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("Close was done after %v", took)
	}
}

func TestSendErrorsNameTheEnvelope(t *testing.T) {
	url, subject := natstest.URL(t), newSubject()
	sub := subscriber(t, consumer(t, url, nil), subject, nil)
	pub := publisher(t, producer(t, url, nil), subject)
	header, wildcard, refused, reply := envelope("d"), envelope("e"), envelope("f"), envelope("g")
	header.SetHeaders(driver.Headers{"x": "line\r\nbreak"})
	wildcard.SetSubject("orders.*")
	refused.SetSubject(brokers.RefusedSubject)
	reply.SetReplyTo("a b")
	err := pub.Send(within(t, 20*time.Second),
		envelope("a"), envelope(strings.Repeat("b", 1<<20+1)), envelope("c"), header, wildcard, refused, reply, nil)
	var errs driver.SendErrors
	if !errors.As(err, &errs) || len(errs) != 8 {
		t.Fatalf("%T is no SendErrors of 8: %v", err, err)
	}
	for i, want := range []error{
		nil, driver.ErrTooLarge, nil, driver.ErrUnsupported, driver.ErrUnsupported, driver.ErrUnauthorized, driver.ErrUnsupported,
	} {
		if !errors.Is(errs[i], want) {
			t.Errorf("envelope %d: %v, not %v", i, errs[i], want)
		}
	}
	if errs[7] == nil {
		t.Error("a nil envelope was accepted")
	}
	if !errors.Is(err, nats.ErrMaxPayload) || !errors.Is(err, nats.ErrPermissionViolation) {
		t.Errorf("errors.Is does not reach the causes: %v", err)
	}
	if got := payloads(receive(t, sub, 2)); got != "a c" {
		t.Errorf("received %q", got)
	}
}

// The server's refusals come apart from the answers: each has to find its Send.
func TestRefusalsFindTheirSend(t *testing.T) {
	p := producer(t, natstest.URL(t), nil)
	refused, allowed := publisher(t, p, brokers.RefusedSubject), publisher(t, p, newSubject())
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			for range 100 {
				if err := refused.Send(within(t, 20*time.Second), envelope("x")); !errors.Is(err, driver.ErrUnauthorized) {
					t.Errorf("a refused Send: %v", err)
				}
			}
		})
		wait.Go(func() {
			for range 100 {
				if err := allowed.Send(within(t, 20*time.Second), envelope("x")); err != nil {
					t.Errorf("an allowed Send: %v", err)
				}
			}
		})
	}
	wait.Wait()
	e := envelope("x")
	e.SetReplyTo("_GR_.x.y") // the server keeps these for itself
	if err := allowed.Send(within(t, 20*time.Second), e); !errors.Is(err, driver.ErrUnauthorized) {
		t.Errorf("a reply subject that is refused: %v", err)
	}
}

func TestAddresses(t *testing.T) {
	url := natstest.URL(t)
	p, c := producer(t, url, nil), consumer(t, url, nil)
	for _, bad := range []string{"", ".", "a..b", "a.", ".a", "a b", "a\nb", "a\t", "*", "a.*", ">", "a.>"} {
		if _, err := p.Publisher(t.Context(), bad, nil); !errors.Is(err, driver.ErrUnsupported) {
			t.Errorf("Publisher of %q: %v", bad, err)
		}
	}
	for _, bad := range []string{"", "a..b", "a.", "a b", "a.>.b"} {
		if _, err := c.Subscriber(t.Context(), bad, nil); !errors.Is(err, driver.ErrUnsupported) {
			t.Errorf("Subscriber of %q: %v", bad, err)
		}
	}
	for _, good := range []string{"a*b", "a>b", "a", "ü.日本", "$x.{id}"} {
		if _, err := p.Publisher(t.Context(), good, nil); err != nil {
			t.Error(err)
		}
	}
}

func TestRequestThatNobodyAnswers(t *testing.T) {
	url, subject := natstest.URL(t), newSubject()
	p := producer(t, url, nil)
	pub := publisher(t, p, subject)
	_, err := pub.Request(within(t, 20*time.Second), envelope("x"))
	if !errors.Is(err, driver.ErrNotFound) || !errors.Is(err, nats.ErrNoResponders) {
		t.Errorf("nobody subscribes: %v", err)
	}
	sub := subscriber(t, consumer(t, url, nil), subject, nil)
	if _, err := pub.Request(within(t, 200*time.Millisecond), envelope("x")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("nobody replies: %v", err)
	}
	began := time.Now()
	_, err = publisher(t, p, brokers.RefusedSubject).Request(within(t, 20*time.Second), envelope("x"))
	if !errors.Is(err, driver.ErrUnauthorized) || time.Since(began) > 5*time.Second {
		t.Errorf("the server refuses: %v after %v", err, time.Since(began))
	}
	e := envelope("x")
	e.SetReplyTo("elsewhere")
	if _, err := pub.Request(within(t, 20*time.Second), e); !errors.Is(err, driver.ErrUnsupported) {
		t.Errorf("Request with SetReplyTo: %v", err)
	}
	if got := receive(t, sub, 1)[0]; string(got.Payload()) != "x" || got.ReplyTo() == "" {
		t.Errorf("the request came as %q, reply to %q", got.Payload(), got.ReplyTo())
	}
}

func TestRequestWaitsForTheConnection(t *testing.T) {
	url, subject := natstest.URL(t), newSubject()
	proxy, behind := through(t, url)
	pub := publisher(t, producer(t, behind, fast), subject)
	sub := subscriber(t, consumer(t, url, nil), subject, nil)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = sub.Receive(ctx, func(ctx context.Context, e *driver.EnvelopeIn) error {
			reply := envelope("yes")
			reply.SetHeaders(driver.Headers{"x-number": []int{1, 2}})
			reply.SetContentType("text/plain")
			return e.Reply(ctx, reply)
		})
	}()
	defer func() { cancel(); <-done }()
	proxy.Refuse()
	proxy.Reset()
	healed := time.AfterFunc(300*time.Millisecond, proxy.Heal)
	defer healed.Stop()
	reply, err := pub.Request(within(t, 20*time.Second), envelope("x"))
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(reply.Headers()["x-number"]); string(reply.Payload()) != "yes" || got != "[1 2]" || reply.ContentType() != "text/plain" {
		t.Errorf("the reply is %q with %v", reply.Payload(), reply.Headers())
	}
	if err := reply.Reply(t.Context(), envelope("and?")); !errors.Is(err, driver.ErrUnsupported) {
		t.Errorf("a reply to a reply: %v", err)
	}
}

// One outage is told once, however often it was tried.
func TestLoggerHearsOfAnOutageOnce(t *testing.T) {
	proxy, behind := through(t, natstest.URL(t))
	var told journal
	p := producer(t, behind, &driver.Options{Logger: told.logger(), MinBackoff: time.Millisecond, MaxBackoff: time.Millisecond})
	pub := publisher(t, p, newSubject())
	before := proxy.Accepted()
	proxy.Refuse()
	proxy.Reset()
	eventually(t, func() bool { return proxy.Accepted() >= before+10 })
	proxy.Heal()
	send(t, pub, envelope("x"))
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	text := told.String()
	if strings.Count(text, "\n") != 2 || !strings.Contains(text, "the connection is lost") || !strings.Contains(text, "connected again") {
		t.Errorf("the logger was told\n%s", text)
	}
}

// hook calls before at each look at the deadline: the library's flush takes one
// before it sends its ping.
type hook struct {
	context.Context
	before func()
}

func (h hook) Deadline() (time.Time, bool) {
	h.before()
	return h.Context.Deadline()
}

// An answer on a new connection says nothing of a message on the one before.
func TestAnswerOfAnotherConnection(t *testing.T) {
	lost := make(chan struct{})
	wire := natstest.Script(t, func(c *natstest.Conn) {
		if c.Number == 1 {
			<-lost
			return
		}
		c.Serve()
	})
	p := producer(t, wire.URL, fast)
	pub := publisher(t, p, "orders")
	looks := 0
	err := pub.Send(hook{within(t, 20*time.Second), func() {
		if looks++; looks == 2 { // the first is Send's
			close(lost)
			eventually(t, func() bool { return p.Native().IsConnected() && p.Native().Stats().Reconnects == 1 })
		}
	}}, envelope("x"))
	if err != nil {
		t.Fatal(err)
	}
	sent := wire.Sent()
	if last := sent[strings.LastIndex(sent, "CONNECT"):]; looks < 3 || !strings.Contains(last, "PUB orders 1\r\nx\r\n") {
		t.Errorf("after %d looks at the deadline the connection that confirmed had %q", looks, last)
	}
}

// late dials when the one who waits for it has given up.
type late struct{ timeout time.Duration }

func (l late) Dial(network, address string) (net.Conn, error) {
	time.Sleep(2 * l.timeout)
	return net.Dial(network, address)
}

func TestDialerOfNativeIsLate(t *testing.T) {
	const timeout = 50 * time.Millisecond
	url := natstest.URL(t)
	for range 10 {
		_, err := driver.NewProducer(url, nil, &driver.Options{Timeout: timeout, Native: func(n *nats.Options) { n.CustomDialer = late{timeout} }})
		if err == nil || !strings.Contains(err.Error(), "no answer within") {
			t.Errorf("connected later than Timeout: %v", err)
		}
	}
}
