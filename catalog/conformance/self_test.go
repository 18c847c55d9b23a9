package conformance

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// refEnvironment starts the reference broker with all that a Broker can have.
func refEnvironment(tb testing.TB) (*Broker, *refBroker) {
	tb.Helper()
	plain, guarded := newRefBroker(""), newRefBroker("secret")
	authority, err := newAuthority("reference")
	if err != nil {
		tb.Fatal(err)
	}
	server, err := authority.issue("127.0.0.1", time.Hour)
	if err != nil {
		tb.Fatal(err)
	}
	client, err := authority.issue("client", time.Hour)
	if err != nil {
		tb.Fatal(err)
	}
	front := func(target string, config *tls.Config) string {
		p, err := NewProxy(target, config)
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(p.Close)
		return "refs://" + p.Addr()
	}
	tb.Cleanup(func() { plain.kill(); guarded.kill() })
	return &Broker{
		Name: "reference", URL: "ref://" + plain.addr, User: "ref", Password: "secret",
		SecureURL: front(guarded.addr, &tls.Config{Certificates: []tls.Certificate{server}}),
		MutualURL: front(plain.addr, &tls.Config{
			Certificates: []tls.Certificate{server}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: authority.pool,
		}),
		CA: authority.pool, ClientCert: &client, RefusedAddress: "forbidden",
		Kill: plain.kill, Restart: plain.start,
		Revoke:  func() error { guarded.setPassword("another"); return nil },
		Restore: func() error { guarded.setPassword("secret"); return nil },
	}, plain
}

// A mode makes the reference driver one of another kind of protocol.
type mode string

const (
	brokered mode = ""         // like amqp or jetstream: everything
	bare     mode = "bare"     // no headers and content type
	fleeting mode = "fleeting" // like core nats: nothing is kept or comes again
	direct   mode = "direct"   // like ws: the consumer listens
	answered mode = "answered" // like http: it listens, and Send waits for the handler
)

func (m mode) capabilities() Capabilities {
	c := Capabilities{MaxPayload: refMaxPayload}
	switch m {
	case bare:
		c.NoHeaders, c.NoContentType = true, true
	case fleeting:
		c.AtMostOnce, c.NoPersistence, c.NoRedelivery, c.NoMissing = true, true, true, true
	case direct:
		c.NoServer, c.AtMostOnce, c.NoPersistence, c.NoGroups, c.NoCredentials, c.NoMissing = true, true, true, true, true, true
	case answered:
		c = direct.capabilities()
		c.AtMostOnce, c.NoRedelivery, c.Answered, c.Refuses, c.OneSubscriber = false, true, true, true, true
	}
	return c
}

// refDriver wires the reference driver, with a defect or none.
func refDriver(b *Broker, plain *refBroker, m mode, bug string) Driver[*refOut, *refIn] {
	d := refBrokered(b, plain, bug)
	d.Capabilities = m.capabilities()
	if m != brokered {
		d.Name += "-" + string(m)
	}
	if m == bare {
		d.NewEnvelope = func() *refOut { return &refOut{bare: true} }
		d.Foreign = nil
	}
	if m == fleeting {
		d.NewConsumer = func(s Settings) (Consumer[*refIn], error) {
			s.Session = dropFailed
			return refBrokered(b, plain, bug).NewConsumer(s)
		}
	}
	if !d.Capabilities.NoServer {
		return d
	}
	d.Broker, d.Delete, d.Foreign = nil, nil, nil
	if m == answered {
		// Its own replies go through a subscription, which this mode answers.
		d.Request = nil
	}
	listening := d.NewConsumer
	d.NewConsumer = func(s Settings) (Consumer[*refIn], error) {
		own := &refBroker{addr: "127.0.0.1:0", answered: m == answered, addresses: map[string]map[string]*refQueue{}}
		if s.URL != "" {
			_, own.addr, _, _ = splitURL(s.URL)
		}
		if err := own.start(); err != nil {
			return Consumer[*refIn]{}, err
		}
		s.URL = "ref://" + own.addr
		if m == answered {
			s.Session = refuseIdle
		}
		c, err := listening(s)
		if err != nil {
			own.kill()
			return c, err
		}
		inner := c.Close
		c.URL = func() string { return s.URL }
		c.Close = func() error { return errors.Join(inner(), own.kill()) }
		return c, nil
	}
	return d
}

func refBrokered(b *Broker, plain *refBroker, bug string) Driver[*refOut, *refIn] {
	return Driver[*refOut, *refIn]{
		Name: "reference", Broker: b,
		NewEnvelope: func() *refOut { return &refOut{} },
		NewProducer: func(s Settings) (Producer[*refOut], error) {
			c, err := newRefClient(s, bug)
			if err != nil {
				return Producer[*refOut]{}, err
			}
			p := &refProducer{c}
			return Producer[*refOut]{
				Publisher: func(ctx context.Context, address string, channel Channel) (Publisher[*refOut], error) {
					return p.publisher(ctx, address, channel)
				},
				Close: c.close,
			}, nil
		},
		NewConsumer: func(s Settings) (Consumer[*refIn], error) {
			c, err := newRefClient(s, bug)
			if err != nil {
				return Consumer[*refIn]{}, err
			}
			consumer := &refConsumer{c}
			return Consumer[*refIn]{
				Subscriber: func(ctx context.Context, address string, channel Channel) (Subscriber[*refIn], error) {
					return consumer.subscriber(ctx, address, channel)
				},
				Close: consumer.close,
			}, nil
		},
		Errors: Errors{
			Closed: errRefClosed, Unsupported: errors.ErrUnsupported, Refused: errRefRefused,
			NotFound: errRefNotFound, Unauthorized: errRefUnauthorized, TooLarge: errRefTooLarge,
		},
		Reject: refReject,
		SendErrors: func(err error) []error {
			var all refSendErrors
			errors.As(err, &all)
			return all
		},
		SecureScheme: "refs",
		SetKey:       func(e *refOut, key string) { e.key = key },
		Request: func(ctx context.Context, p Publisher[*refOut], e *refOut) (*refIn, error) {
			return refRequest(ctx, p.(*refPublisher), e)
		},
		Reply: func(ctx context.Context, request *refIn, e *refOut) error {
			return refReply(request.c)(ctx, request, e)
		},
		Delete: func(_ context.Context, address string) error { plain.remove(address); return nil },
		Foreign: &Foreign{
			Send: func(ctx context.Context, url, address string, payload []byte, headers map[string]string) error {
				c, err := newRefClient(Settings{URL: url, Timeout: time.Second}, "")
				if err != nil {
					return err
				}
				defer c.close()
				m := &refMessage{Payload: payload}
				for key, value := range headers {
					m.Headers = append(m.Headers, refHeader{key, []byte(value)})
				}
				return c.request(ctx, frame{Op: "pub", Address: address, Message: m})
			},
			Receive: func(ctx context.Context, url, address string, ready func()) ([]byte, map[string]string, error) {
				c, err := newRefClient(Settings{URL: url, Timeout: time.Second}, "")
				if err != nil {
					return nil, nil, err
				}
				defer c.close()
				s, err := (&refConsumer{c}).subscriber(ctx, address, Channel{})
				if err != nil {
					return nil, nil, err
				}
				ready()
				ctx, cancel := context.WithCancel(ctx)
				var got *refIn
				s.Receive(ctx, func(_ context.Context, in *refIn) error { got = in; cancel(); return nil })
				if got == nil {
					return nil, nil, ctx.Err()
				}
				return got.Payload(), map[string]string{"x-foreign": got.Header("x-foreign")}, nil
			},
		},
	}
}

// TestReference shows that drivers of every kind can pass everything, and that
// nothing is left out unseen.
func TestReference(t *testing.T) {
	for _, m := range []mode{brokered, bare, fleeting, direct, answered} {
		t.Run("mode "+string(m), func(t *testing.T) {
			broker, plain := refEnvironment(t)
			report := Run(t, refDriver(broker, plain, m, ""))
			if all := flag.Lookup("test.run").Value.String(); !strings.Contains(all, "/") && len(report.Results) != len(checks) {
				t.Errorf("expected %d results, got %d", len(checks), len(report.Results))
			}
			for check, reason := range report.Skipped() {
				if m == brokered && !slices.Contains(notForReference, check) {
					t.Errorf("the reference driver can do everything but was not checked for %s: %s", check, reason)
				}
			}
		})
	}
}

// notForReference are checks for what the reference driver does better.
var notForReference = []string{
	"stress", "headers-refused", "content-type-refused", "error-survived", "error-answered", "listener-restart",
}

// recorder is a TB whose failures do not fail the test.
type recorder struct {
	name     string
	mu       sync.Mutex
	lines    []string
	failed   bool
	cleanups []func()
}

func (r *recorder) Helper()          {}
func (r *recorder) Name() string     { return r.name }
func (r *recorder) FailNow()         { r.set(func() { r.failed = true }); runtime.Goexit() }
func (r *recorder) SkipNow()         { runtime.Goexit() }
func (r *recorder) Cleanup(f func()) { r.set(func() { r.cleanups = append(r.cleanups, f) }) }
func (r *recorder) Logf(f string, args ...any) {
	r.set(func() { r.lines = append(r.lines, fmt.Sprintf(f, args...)) })
}
func (r *recorder) Failed() (failed bool) { r.set(func() { failed = r.failed }); return failed }
func (r *recorder) Errorf(f string, args ...any) {
	r.Logf(f, args...)
	r.set(func() { r.failed = true })
}

func (r *recorder) set(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f()
}

// record runs one check on a driver and gives its outcome and its words.
func record(c check, d *driver, lim limits) (Result, string) {
	r := &recorder{name: fmt.Sprintf("record-%d", unique.Add(1))}
	var result Result
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			for i := len(r.cleanups) - 1; i >= 0; i-- {
				stopped := make(chan struct{})
				cleanup := r.cleanups[i]
				// A check's own Goexit must not keep the other cleanups from running.
				func() {
					defer close(stopped)
					cleanup()
				}()
			}
		}()
		c.start(r, d, lim, func(got Result) { result = got })
	}()
	<-done
	r.mu.Lock()
	defer r.mu.Unlock()
	return result, strings.Join(r.lines, "\n")
}

var quick = limits{arrive: 3 * time.Second, grace: 1500 * time.Millisecond, quiet: 150 * time.Millisecond, timeout: 3 * time.Second, whole: 12 * time.Second}
