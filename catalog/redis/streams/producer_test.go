package streams_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/asyncapi-impl/asyncapi-impl/catalog/conformance"
	driver "github.com/asyncapi-impl/asyncapi-impl/catalog/redis/streams"
	"github.com/asyncapi-impl/asyncapi-impl/internal/brokers"
	"github.com/asyncapi-impl/asyncapi-impl/internal/redistest"
)

// records keeps what a Logger is told.
type records struct {
	mu    sync.Mutex
	texts []string
}

func (r *records) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.texts = append(r.texts, string(p))
	return len(p), nil
}

func (r *records) count(text string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Count(strings.Join(r.texts, ""), text)
}

func (r *records) logger() *slog.Logger { return slog.New(slog.NewTextHandler(r, nil)) }

func proxy(t *testing.T, url string) (*conformance.Proxy, string) {
	t.Helper()
	p, err := conformance.NewProxy(strings.TrimPrefix(url, "redis://"), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p, "redis://" + p.Addr()
}

func TestDatabaseOfTheURL(t *testing.T) {
	url := redistest.URL(t)
	key := newStream()
	if err := producer(t, url+"/3", nil).Native().Set(t.Context(), key, "v", time.Minute).Err(); err != nil {
		t.Fatal(err)
	}
	for db, want := range map[string]error{"/3": nil, "": redis.Nil, "/0": redis.Nil} {
		if _, err := consumer(t, url+db, nil).Native().Get(t.Context(), key).Result(); !errors.Is(err, want) {
			t.Errorf("database %q: %v", db, err)
		}
	}
	if brokers.Real() {
		if _, err := driver.NewProducer(url+"/99999", nil, nil); !errors.Is(err, driver.ErrRefused) {
			t.Errorf("a database that does not exist: %v", err)
		}
	}
}

// Where the login of a new connection fails, the library leaves the commands of
// a pipeline without an error.
func TestSendTellsOfCredentialsRefusedLater(t *testing.T) {
	m, direct := redistest.Embedded(t)
	m.RequireAuth("before")
	cut, url := proxy(t, direct)
	pub := publisher(t, producer(t, strings.Replace(url, "//", "//:before@", 1), nil), newStream())
	send(t, pub, "1")
	m.RequireAuth("after")
	cut.Reset()
	for range 3 {
		if err := pub.Send(within(t, 20*time.Second), envelope("2"), envelope("3")); !errors.Is(err, driver.ErrUnauthorized) {
			t.Errorf("got %v", err)
		}
	}
	m.RequireAuth("before")
	send(t, pub, "4")
}

func TestSendErrorsTellWhich(t *testing.T) {
	url, stream := redistest.URL(t), newStream()
	pub := publisher(t, producer(t, url, &driver.Options{MaxPayload: 10}), stream)
	sub := subscriber(t, consumer(t, url, nil), stream, nil)
	headers, typed := envelope("h"), envelope("t")
	headers.SetHeaders(driver.Headers{"payload": "b"})
	typed.SetHeaders(driver.Headers{"content-type": "text/html"})
	typed.SetContentType("text/plain")
	err := pub.Send(t.Context(), envelope("1"), envelope("far too large"), headers, nil, typed, envelope("2"))
	var errs driver.SendErrors
	if !errors.As(err, &errs) || len(errs) != 6 || errs[0] != nil || errs[5] != nil || errs[3] == nil ||
		!errors.Is(errs[1], driver.ErrTooLarge) || !errors.Is(errs[2], driver.ErrUnsupported) || !errors.Is(errs[4], driver.ErrUnsupported) {
		t.Errorf("got %v", err)
	}
	if got := receive(t, sub, 2); payloads(got) != "1 2" {
		t.Errorf("received %s", payloads(got))
	}
}

func TestSendRefusedByTheServer(t *testing.T) {
	m, url := redistest.Embedded(t)
	pub := publisher(t, producer(t, url, nil), newStream())
	m.SetError("OOM command not allowed when used memory > 'maxmemory'.")
	var answer redis.Error
	if err := pub.Send(t.Context(), envelope("x")); !errors.Is(err, driver.ErrRefused) || !errors.As(err, &answer) {
		t.Errorf("a refusal: %v", err)
	}
	m.SetError("LOADING Redis is loading the dataset in memory")
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := pub.Send(ctx, envelope("x")); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "LOADING") {
		t.Errorf("while the server loads: %v", err)
	}
	time.AfterFunc(100*time.Millisecond, func() { m.SetError("") })
	send(t, pub, "y")
}

// A cause given to the context does not hide how it ended.
func TestSendNamesTheContextsError(t *testing.T) {
	_, direct := redistest.Embedded(t)
	cut, url := proxy(t, direct)
	pub := publisher(t, producer(t, url, nil), newStream())
	cut.BlackHole(conformance.ToServer, conformance.ToClient)
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(50*time.Millisecond, func() { cancel(errors.New("enough")) })
	began := time.Now()
	if err := pub.Send(ctx, envelope("x")); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("cancelling took %v", took)
	}
	cut.Heal()
}

func TestServerURL(t *testing.T) {
	for _, url := range []string{
		"", "amqp://localhost", "redis://", "localhost:x", "localhost:0", "redis://host/db", "redis://host/-1", "a:b:c", "a:1,b:2",
		"redis://host?db=1", "redis://host#f", "http://localhost:6379", "redis://user:100%@host", "unix:///tmp/redis.sock",
	} {
		if _, err := driver.NewProducer(url, nil, nil); err == nil || !strings.Contains(err.Error(), "expected host:port or redis://") {
			t.Errorf("%q: %v", url, err)
		}
	}
}

func TestCredentials(t *testing.T) {
	m, url := redistest.Embedded(t)
	m.RequireAuth("p/w@")
	m.RequireUserAuth("someone", "t0ken")
	token := func(context.Context) (string, error) { return "t0ken", nil }
	with := func(user string) string { return strings.Replace(url, "//", "//"+user+"@", 1) }
	for name, c := range map[string]struct {
		url      string
		security driver.Security
		want     error
	}{
		"a password in the URL":      {with(":p%2Fw%40"), nil, nil},
		"a user in the URL":          {with("someone:t0ken"), nil, nil},
		"userPassword":               {url, driver.UserPassword{User: "someone", Password: "t0ken"}, nil},
		"plain, the default user":    {url, driver.Plain{Password: "p/w@"}, nil},
		"apiKey":                     {url, driver.APIKey{In: "password", Key: "p/w@"}, nil},
		"apiKey of a user":           {with("someone"), driver.APIKey{In: "password", Key: "t0ken"}, nil},
		"oauth2 of a user":           {with("someone"), driver.OAuth2{Token: token}, nil},
		"openIdConnect of a user":    {with("someone"), driver.OpenIDConnect{Token: token}, nil},
		"oauth2 of the default user": {url, driver.OAuth2{Token: token}, driver.ErrUnauthorized},
		"nothing":                    {url, nil, driver.ErrUnauthorized},
		"apiKey in the user":         {url, driver.APIKey{In: "user", Key: "k"}, driver.ErrUnsupported},
		"scramSha256":                {url, driver.ScramSHA256{User: "u", Password: "p"}, driver.ErrUnsupported},
		"scramSha512":                {url, driver.ScramSHA512{User: "u", Password: "p"}, driver.ErrUnsupported},
		"httpApiKey":                 {url, driver.HTTPAPIKey{In: "header", Name: "n", Key: "k"}, driver.ErrUnsupported},
		"http":                       {url, driver.HTTP{AuthScheme: "basic"}, driver.ErrUnsupported},
		"gssapi":                     {url, driver.GSSAPI{}, driver.ErrUnsupported},
		"symmetricEncryption":        {url, driver.SymmetricEncryption{}, driver.ErrUnsupported},
		"asymmetricEncryption":       {url, driver.AsymmetricEncryption{}, driver.ErrUnsupported},
	} {
		p, err := driver.NewProducer(c.url, nil, &driver.Options{Security: c.security})
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil {
			send(t, publisher(t, p, "a"), "x")
			subscriber(t, consumer(t, c.url, &driver.Options{Security: c.security}), "a", nil)
			p.Close()
		}
	}
	broken := errors.New("no token today")
	for name, o := range map[string]*driver.Options{
		"X509 without a certificate": {Security: driver.X509{}},
		"a token function of nil":    {Security: driver.OAuth2{}},
		"a token that can't be had":  {Security: driver.OAuth2{Token: func(context.Context) (string, error) { return "", broken }}},
		"an empty password":          {Security: driver.UserPassword{User: "someone"}},
	} {
		if _, err := driver.NewConsumer(url, nil, o); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	if _, err := driver.NewProducer(with("u:p"), nil, &driver.Options{Security: driver.Plain{User: "u"}}); err == nil || !strings.Contains(err.Error(), "twice") {
		t.Errorf("credentials given twice: %v", err)
	}
}

func TestProtocol3(t *testing.T) {
	url, stream := redistest.URL(t), newStream()
	o := &driver.Options{Native: func(n *redis.Options) { n.Protocol = 3 }}
	sub := subscriber(t, consumer(t, url, o), stream, inGroup("g"))
	send(t, publisher(t, producer(t, url, o), stream), "1", "2")
	if got := receive(t, sub, 2); payloads(got) != "1 2" {
		t.Errorf("received %s", payloads(got))
	}
}

func TestNativeOptionsAreAppliedLast(t *testing.T) {
	m, _ := redistest.Embedded(t)
	var name string
	o := &driver.Options{Native: func(n *redis.Options) {
		if name = n.Addr; n.Protocol != 2 {
			t.Errorf("called before everything was set: %+v", n)
		}
		n.Addr, n.ClientName = m.Addr(), "mine"
	}}
	p := producer(t, "redis://127.0.0.1:1", o)
	send(t, publisher(t, p, "a"), "x")
	if got := p.Native().ClientGetName(t.Context()).Val(); got != "mine" || name != "127.0.0.1:1" {
		t.Errorf("client name %q, address %q", got, name)
	}
}
