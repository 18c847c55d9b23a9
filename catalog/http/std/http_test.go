package std_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	driver "github.com/asyncapi-impl/asyncapi-impl/catalog/http/std"
	"github.com/asyncapi-impl/asyncapi-impl/internal/brokers"
)

func within(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func decode[T any](t testing.TB, document string) *T {
	t.Helper()
	v := new(T)
	if err := json.Unmarshal([]byte(document), v); err != nil {
		t.Fatalf("%s: %v", document, err)
	}
	return v
}

func publisher(t testing.TB, serverURL, address string, bindings *driver.ChannelBindings, options *driver.Options) *driver.Publisher {
	t.Helper()
	p, err := driver.NewProducer(serverURL, nil, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	pub, err := p.Publisher(within(t), address, bindings)
	if err != nil {
		t.Fatal(err)
	}
	return pub
}

// serving runs Receive on an address until the test ends.
func serving(t testing.TB, address string, bindings *driver.ChannelBindings, options *driver.Options, handle func(context.Context, *driver.EnvelopeIn) error) *driver.Consumer {
	t.Helper()
	c, err := driver.NewConsumer("http://127.0.0.1:0/base", nil, options)
	if err != nil {
		t.Fatal(err)
	}
	receiving(t, c, address, bindings, handle)
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func receiving(t testing.TB, c *driver.Consumer, address string, bindings *driver.ChannelBindings, handle func(context.Context, *driver.EnvelopeIn) error) {
	t.Helper()
	sub, err := c.Subscriber(within(t), address, bindings)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- sub.Receive(context.Background(), handle) }()
	t.Cleanup(func() {
		if err := sub.Close(); err != nil {
			t.Error(err)
		}
		if err := <-done; !errors.Is(err, driver.ErrClosed) {
			t.Error(err)
		}
	})
}

func envelope(payload string) *driver.EnvelopeOut {
	e := driver.NewEnvelopeOut()
	e.SetPayload([]byte(payload))
	return e
}

// seen is what a foreign server got.
type seen struct {
	*http.Request
	body string
}

func foreignServer(t testing.TB, answer func(http.ResponseWriter, *seen)) (string, chan *seen) {
	requests := make(chan *seen, 100)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		one := &seen{r, string(body)}
		requests <- one
		if answer != nil {
			answer(w, one)
		}
	}))
	t.Cleanup(s.Close)
	return s.URL, requests
}

func TestBindingsOnTheWire(t *testing.T) {
	server, requests := foreignServer(t, nil)
	bindings := decode[driver.ChannelBindings](t, `{"operation": {"method": "PUT", "bindingVersion": "0.3.0", "query": {
		"type": "object", "required": ["page", "lang"], "properties": {
			"page": {"type": "integer", "const": 3}, "lang": {"enum": ["de", "en"]}, "sort": {"default": "up & down"}, "free": {"type": "string"}
	}}}}`)
	pub := publisher(t, server+"/base", "users/{id}/orders", bindings, nil)
	e := envelope("body")
	e.SetParameters(map[string]string{"id": "a/b c"})
	e.SetQuery(url.Values{"lang": {"en"}})
	e.SetHeaders(driver.Headers{"X-One": 1, "x-many": []string{"a", "b"}})
	e.SetContentType("text/plain")
	e.SetBindings(*decode[driver.MessageBindings](t, `{"headers": {"type": "object", "required": ["X-One"], "properties": {
		"X-One": {"enum": ["1", "2"]}, "X-Fixed": {"const": true}
	}}}`))
	if err := pub.Send(within(t), e); err != nil {
		t.Fatal(err)
	}
	r := <-requests
	if r.Method != "PUT" || r.RequestURI != "/base/users/a%2Fb%20c/orders?lang=en&page=3&sort=up+%26+down" || r.body != "body" {
		t.Errorf("%s %s %q", r.Method, r.RequestURI, r.body)
	}
	if h := r.Header; h.Get("X-One") != "1" || strings.Join(h["X-Many"], " ") != "a b" || h.Get("X-Fixed") != "true" || h.Get("Content-Type") != "text/plain" {
		t.Errorf("headers %v", h)
	}

	for what, change := range map[string]func(*driver.EnvelopeOut){
		`query parameter "lang" is required`: func(e *driver.EnvelopeOut) { e.SetQuery(nil) },
		`query parameter "lang" is "fr"`:     func(e *driver.EnvelopeOut) { e.SetQuery(url.Values{"lang": {"fr"}}) },
		`header "X-One" is required`:         func(e *driver.EnvelopeOut) { e.SetHeaders(nil) },
		`header "X-One" is "7"`:              func(e *driver.EnvelopeOut) { e.SetHeaders(driver.Headers{"x-one": 7}) },
		`a value for {id}`:                   func(e *driver.EnvelopeOut) { e.SetParameters(nil) },
	} {
		bad := *e
		change(&bad)
		if err := pub.Send(within(t), &bad); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}
	select {
	case r := <-requests:
		t.Errorf("a request that contradicts its bindings was sent: %s", r.RequestURI)
	default:
	}
}

func TestBindingsRefused(t *testing.T) {
	p, err := driver.NewProducer("localhost:1", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	for document, unsupported := range map[string]bool{
		`{"operation": {"method": "CONNECT"}}`: true, `{"operation": {"type": "response"}}`: true,
		`{"operation": {"method": "get"}}`: false, `{"operation": {"type": "question"}}`: false,
	} {
		_, err := p.Publisher(within(t), "a", decode[driver.ChannelBindings](t, document))
		if err == nil || errors.Is(err, driver.ErrUnsupported) != unsupported {
			t.Errorf("%s: %v", document, err)
		}
	}
	for _, document := range []string{`{"query": {"type": "string"}}`, `{"query": {"$ref": "#/x"}}`, `{"query": 5}`,
		`{"query": {"type": "object", "properties": {"x": {"$ref": "#/y"}}}}`} {
		if err := json.Unmarshal([]byte(document), new(driver.OperationBindings)); err == nil {
			t.Errorf("%s was accepted", document)
		}
	}
}

func TestSubscriberRoutes(t *testing.T) {
	bindings := decode[driver.ChannelBindings](t, `{"operation": {"method": "PATCH", "query": {"type": "object", "required": ["v"], "properties": {"v": {"enum": ["1", "2"]}}}}}`)
	c := serving(t, "users/{user-id}/{rest}", bindings, &driver.Options{MaxBody: 10}, func(ctx context.Context, e *driver.EnvelopeIn) error {
		out := driver.NewEnvelopeOut()
		fmt.Fprintf(out, "%s %s %s %s %s", e.Method(), e.Path(), e.Parameter("user-id"), e.Parameter("rest"), e.Query().Get("v"))
		out.SetHeaders(driver.Headers{"X-Reply": "yes"})
		out.SetBindings(*decode[driver.MessageBindings](t, `{"statusCode": 201}`))
		return e.Reply(ctx, out)
	})
	for _, test := range []struct {
		method, path, body string
		status             int
		text               string
	}{
		{"PATCH", "/base/users/a%20b/c?v=1", "x", 201, "PATCH /base/users/a b/c a b c 1"},
		{"POST", "/base/users/a/c?v=1", "x", 405, ""},
		{"PATCH", "/base/users/a?v=1", "x", 404, ""},
		{"PATCH", "/users/a/c?v=1", "x", 404, ""},
		{"PATCH", "/base/users/a/c", "x", 400, `query parameter "v" is required`},
		{"PATCH", "/base/users/a/c?v=3", "x", 400, `allowed are 1, 2`},
		{"PATCH", "/base/users/a/c?v=1", "more than ten", 413, "more than 10 bytes"},
	} {
		r, err := http.NewRequestWithContext(within(t), test.method, strings.TrimSuffix(c.URL(), "/base")+test.path, strings.NewReader(test.body))
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(response.Body)
		response.Body.Close()
		if response.StatusCode != test.status || !strings.Contains(string(body), test.text) {
			t.Errorf("%s %s: %d %s", test.method, test.path, response.StatusCode, body)
		}
		if test.status == 201 && (response.Header.Get("X-Reply") != "yes" || response.Header.Get("Content-Type") != "") {
			t.Errorf("headers %v", response.Header)
		}
	}
	if _, err := c.Subscriber(within(t), "users/{other}/{names}", bindings); err == nil {
		t.Error("two Subscribers of one path")
	}
	if _, err := c.Subscriber(within(t), "users/{user-id}/{rest}", nil); err != nil {
		t.Errorf("another method of the same path: %v", err)
	}
}

func TestStatusErrors(t *testing.T) {
	server, _ := foreignServer(t, func(w http.ResponseWriter, s *seen) {
		var code int
		fmt.Sscanf(s.body, "%d", &code)
		w.Header().Set("Retry-After", "7")
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(code)
		fmt.Fprint(w, "the reason")
	})
	pub := publisher(t, server, "a", nil, nil)
	for code, want := range map[int]struct {
		kind  error
		retry bool
	}{
		400: {driver.ErrRefused, false}, 401: {driver.ErrUnauthorized, false}, 403: {driver.ErrUnauthorized, false},
		404: {driver.ErrNotFound, false}, 413: {driver.ErrTooLarge, false}, 422: {driver.ErrRefused, false},
		429: {driver.ErrRefused, true}, 500: {driver.ErrRefused, true}, 501: {driver.ErrRefused, false}, 503: {driver.ErrRefused, true},
		302: {driver.ErrRefused, false}, 307: {driver.ErrRefused, false},
	} {
		err := pub.Send(within(t), envelope(fmt.Sprint(code)))
		var status *driver.StatusError
		if !errors.As(err, &status) || status.Code != code || string(status.Body) != "the reason" || !errors.Is(err, want.kind) || !errors.Is(err, driver.ErrRefused) {
			t.Errorf("%d: %v", code, err)
			continue
		}
		if after, retry := status.Retryable(); retry != want.retry || retry && after != 7*time.Second {
			t.Errorf("%d: retryable %v after %v", code, retry, after)
		}
	}
	err := pub.Send(within(t), envelope("200"), envelope("500"), envelope("404"))
	var errs driver.SendErrors
	if !errors.As(err, &errs) || errs[0] != nil || !errors.Is(errs[1], driver.ErrRefused) || !errors.Is(errs[2], driver.ErrNotFound) {
		t.Errorf("of three envelopes: %v", err)
	}
}

func TestRequest(t *testing.T) {
	server, _ := foreignServer(t, func(w http.ResponseWriter, s *seen) {
		w.Header().Set("X-Answer", "yes")
		fmt.Fprint(w, strings.Repeat("x", len(s.body)))
	})
	pub := publisher(t, server, "a", nil, &driver.Options{MaxBody: 100})
	answer, err := pub.Request(within(t), envelope("12345"))
	if err != nil || string(answer.Payload()) != "xxxxx" || answer.StatusCode() != 200 || answer.Header("x-answer") != "yes" {
		t.Fatalf("%+v %v", answer, err)
	}
	if err := answer.Reply(within(t), envelope("x")); !errors.Is(err, driver.ErrUnsupported) {
		t.Errorf("a reply to a response: %v", err)
	}
	if _, err := pub.Request(within(t), envelope(strings.Repeat("x", 101))); !errors.Is(err, driver.ErrTooLarge) {
		t.Errorf("a response over the limit: %v", err)
	}
}

func TestHandlerResults(t *testing.T) {
	c := serving(t, "a", nil, nil, func(ctx context.Context, e *driver.EnvelopeIn) error {
		switch string(e.Payload()) {
		case "fails":
			_ = e.Reply(ctx, envelope("not sent"))
			return errors.New("secret")
		case "rejects":
			return driver.Reject(errors.New("secret"))
		case "twice":
			if err := e.Reply(ctx, envelope("first")); err != nil {
				return err
			}
			if err := e.Reply(ctx, envelope("second")); err == nil {
				t.Error("a second reply was taken")
			}
		}
		return nil
	})
	pub := publisher(t, c.URL(), "a", nil, nil)
	for payload, code := range map[string]int{"fails": 500, "rejects": 422} {
		err := pub.Send(within(t), envelope(payload))
		var status *driver.StatusError
		if !errors.As(err, &status) || status.Code != code || strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "not sent") {
			t.Errorf("%s: %v", payload, err)
		}
	}
	answer, err := pub.Request(within(t), envelope("twice"))
	if err != nil || string(answer.Payload()) != "first" {
		t.Errorf("%v %v", answer, err)
	}
	if answer, err := pub.Request(within(t), envelope("nothing")); err != nil || answer.StatusCode() != 204 {
		t.Errorf("%v %v", answer, err)
	}
}

func TestSecurity(t *testing.T) {
	token := func(context.Context) (string, error) { return "tok", nil }
	for _, test := range []struct{ show, demand, wrong driver.Security }{
		{driver.UserPassword{User: "u", Password: "p:w"}, driver.HTTP{AuthScheme: "Basic", User: "u", Password: "p:w"}, driver.UserPassword{User: "u", Password: "x"}},
		{driver.APIKey{In: "user", Key: "k"}, driver.UserPassword{User: "k"}, driver.APIKey{In: "password", Key: "k"}},
		{driver.HTTP{AuthScheme: "bearer", Credentials: "tok"}, driver.HTTP{AuthScheme: "Bearer", Credentials: "tok"}, driver.HTTP{AuthScheme: "bearer", Credentials: "tik"}},
		{driver.OAuth2{Token: token}, driver.HTTP{AuthScheme: "Bearer", Credentials: "tok"}, nil},
		{driver.OpenIDConnect{Token: token}, driver.HTTP{AuthScheme: "Bearer", Credentials: "tok"}, nil},
		{driver.HTTPAPIKey{In: "header", Name: "X-Key", Key: "k"}, driver.HTTPAPIKey{In: "header", Name: "X-Key", Key: "k"}, driver.HTTPAPIKey{In: "header", Name: "X-Key", Key: "l"}},
		{driver.HTTPAPIKey{In: "query", Name: "key", Key: "k&"}, driver.HTTPAPIKey{In: "query", Name: "key", Key: "k&"}, nil},
		{driver.HTTPAPIKey{In: "cookie", Name: "key", Key: "k"}, driver.HTTPAPIKey{In: "cookie", Name: "key", Key: "k"}, nil},
	} {
		var handled atomic.Int32
		c := serving(t, "a", nil, &driver.Options{Security: test.demand}, func(context.Context, *driver.EnvelopeIn) error { handled.Add(1); return nil })
		if err := publisher(t, c.URL(), "a", nil, &driver.Options{Security: test.show}).Send(within(t), envelope("x")); err != nil {
			t.Errorf("%#v: %v", test.show, err)
		}
		for _, wrong := range []driver.Security{nil, test.wrong} {
			if err := publisher(t, c.URL(), "a", nil, &driver.Options{Security: wrong}).Send(within(t), envelope("x")); !errors.Is(err, driver.ErrUnauthorized) {
				t.Errorf("%#v with %#v: %v", test.demand, wrong, err)
			}
		}
		if n := handled.Load(); n != 1 {
			t.Errorf("%#v: %d requests were handled", test.demand, n)
		}
	}
	for _, s := range []driver.Security{driver.Plain{}, driver.ScramSHA256{}, driver.ScramSHA512{}, driver.GSSAPI{}, driver.SymmetricEncryption{}, driver.AsymmetricEncryption{}} {
		if _, err := driver.NewProducer("localhost:1", nil, &driver.Options{Security: s}); !errors.Is(err, driver.ErrUnsupported) {
			t.Errorf("%s: producer: %v", s.Scheme(), err)
		}
		if _, err := driver.NewConsumer("localhost:0", nil, &driver.Options{Security: s}); !errors.Is(err, driver.ErrUnsupported) {
			t.Errorf("%s: consumer: %v", s.Scheme(), err)
		}
	}
	if _, err := driver.NewConsumer("localhost:0", nil, &driver.Options{Security: driver.OAuth2{Token: token}}); !errors.Is(err, driver.ErrUnsupported) {
		t.Errorf("a consumer that would have to check tokens: %v", err)
	}
}

func TestMutualTLS(t *testing.T) {
	certs, err := brokers.NewCerts(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	server, err := tls.LoadX509KeyPair(certs.ServerFile, certs.ServerKeyFile)
	if err != nil {
		t.Fatal(err)
	}
	c, err := driver.NewConsumer("https://127.0.0.1:0", nil, &driver.Options{Security: driver.X509{}, TLS: &tls.Config{Certificates: []tls.Certificate{server}, ClientCAs: certs.CA}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	receiving(t, c, "a", nil, func(context.Context, *driver.EnvelopeIn) error { return nil })
	if err := publisher(t, c.URL(), "a", nil, &driver.Options{Security: driver.X509{}, TLS: certs.MutualTLS()}).Send(within(t), envelope("x")); err != nil {
		t.Error(err)
	}
	if err := publisher(t, c.URL(), "a", nil, &driver.Options{TLS: certs.TLS()}).Send(within(t), envelope("x")); !errors.Is(err, driver.ErrUnauthorized) {
		t.Errorf("no client certificate was demanded: %v", err)
	}
	var certificate *tls.CertificateVerificationError
	if err := publisher(t, c.URL(), "a", nil, &driver.Options{TLS: &tls.Config{RootCAs: certs.OtherCA}}).Send(within(t), envelope("x")); !errors.As(err, &certificate) {
		t.Errorf("an unknown authority: %v", err)
	}
	for name, o := range map[string]*driver.Options{"https": nil, "X509": {Security: driver.X509{}, TLS: &tls.Config{Certificates: []tls.Certificate{server}}}} {
		if _, err := driver.NewConsumer("https://127.0.0.1:0", nil, o); err == nil {
			t.Errorf("%s without what it needs was accepted", name)
		}
	}
}

func TestHandlerOnly(t *testing.T) {
	c, err := driver.NewConsumer("http://ignored/events", nil, &driver.Options{HandlerOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	got := make(chan string, 1)
	receiving(t, c, "orders", nil, func(_ context.Context, e *driver.EnvelopeIn) error { got <- string(e.Payload()); return nil })
	mux := http.NewServeMux()
	mux.Handle("/events/", c.Handler())
	server := httptest.NewServer(mux)
	defer server.Close()
	if err := publisher(t, server.URL+"/events", "orders", nil, nil).Send(within(t), envelope("mounted")); err != nil || <-got != "mounted" {
		t.Error(err)
	}
}

// The predecessor made a connection for each of 2,000 sends and kept them all.
func TestConnectionsAreReused(t *testing.T) {
	var connections atomic.Int32
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(w, r.Body)
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	pub := publisher(t, server.URL, "a", nil, nil)
	e := driver.NewEnvelopeOut()
	e.SetPayload(bytes.Repeat([]byte("x"), 5000))
	var wg sync.WaitGroup
	for range 10 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for range 1000 {
				if err := pub.Send(context.Background(), e); err != nil {
					t.Error(err)
					return
				}
			}
		}()
	}
	wg.Wait()
	if n := connections.Load(); n > 20 {
		t.Errorf("%d connections for 10,000 sends of 10 goroutines", n)
	}
}

func TestServerURL(t *testing.T) {
	for _, u := range []string{"", "kafka://localhost", "http://", "http://h/?q=1", "http://h/#f", "ht tp://h"} {
		if _, err := driver.NewProducer(u, nil, nil); err == nil || !strings.Contains(err.Error(), "expected http[s]://") {
			t.Errorf("%q: %v", u, err)
		}
	}
	if _, err := driver.NewProducer("http://u:p@h", nil, &driver.Options{Security: driver.UserPassword{}}); err == nil {
		t.Error("credentials given twice were accepted")
	}
	c, err := driver.NewConsumer("127.0.0.1:0", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := driver.NewConsumer(c.URL(), nil, nil); err == nil || !strings.Contains(err.Error(), "listen at") {
		t.Errorf("a port that is taken: %v", err)
	}
}

// curl is a client that we did not write.
func TestForeignClient(t *testing.T) {
	curl, err := exec.LookPath("curl")
	if err != nil {
		if brokers.Real() {
			t.Fatal(err)
		}
		t.Skip("there is no curl")
	}
	c := serving(t, "a/{id}", nil, nil, func(ctx context.Context, e *driver.EnvelopeIn) error {
		out := envelope(e.Parameter("id") + " " + e.Header("X-Word") + " " + string(e.Payload()))
		return e.Reply(ctx, out)
	})
	out, err := exec.CommandContext(within(t), curl, "-sS", "-f", "-H", "X-Word: word", "--data-binary", "body", c.URL()+"/a/7").Output()
	if err != nil || string(out) != "7 word body" {
		t.Errorf("curl got %q, %v", out, err)
	}
}

// python is a server that we did not write: it sends back what it got.
func TestForeignServer(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		if brokers.Real() {
			t.Fatal(err)
		}
		t.Skip("there is no python3")
	}
	cmd := exec.CommandContext(within(t), python, "-u", "-c", `
from http.server import BaseHTTPRequestHandler, HTTPServer
class Echo(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_PUT(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        body = (self.path + " " + self.headers["X-Word"] + " " + self.headers["Content-Type"] + " ").encode() + body
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass
server = HTTPServer(("127.0.0.1", 0), Echo)
print(server.server_port)
server.serve_forever()`)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	var port int
	if _, err := fmt.Fscan(out, &port); err != nil {
		t.Fatal(err)
	}
	pub := publisher(t, fmt.Sprintf("http://127.0.0.1:%d", port), "a/b", decode[driver.ChannelBindings](t, `{"operation": {"method": "PUT"}}`), nil)
	e := envelope("body\x00\xff")
	e.SetHeaders(driver.Headers{"X-Word": "word"})
	e.SetContentType("text/plain")
	answer, err := pub.Request(within(t), e)
	if err != nil || string(answer.Payload()) != "/a/b word text/plain body\x00\xff" {
		t.Errorf("%v %v", answer, err)
	}
}
