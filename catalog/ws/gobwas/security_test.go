package gobwas_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	driver "github.com/asyncapi-impl/asyncapi-impl/catalog/ws/gobwas"
	"github.com/asyncapi-impl/asyncapi-impl/internal/brokers"
)

// serve runs a server of the test's own and gives its URL.
func serve(t testing.TB, handle http.HandlerFunc) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: handle, ReadHeaderTimeout: time.Minute}
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
	return "ws://" + l.Addr().String()
}

// secured dials a listening side that demands one thing and shows another.
func secured(t testing.TB, demanded, shown driver.Security) error {
	t.Helper()
	c := consumer(t, anywhere, quick(func(o *driver.Options) { o.Security = demanded }))
	sub := subscriber(t, c, "a", nil)
	p, err := driver.NewProducer(c.URL(), nil, quick(func(o *driver.Options) { o.Security = shown }))
	if err != nil {
		return err
	}
	t.Cleanup(func() { p.Close() })
	pub, err := p.Publisher(t.Context(), "a", nil)
	if err != nil {
		return err
	}
	send(t, pub, text("in"))
	expect(t, receive(t, sub, 1), "in")
	return nil
}

func TestSecurity(t *testing.T) {
	const odd = "s3cret/p@ss:w%rd ü"
	for name, pair := range map[string][2]driver.Security{
		"userPassword": {driver.UserPassword{User: "u", Password: odd}, driver.UserPassword{User: "u", Password: "wrong"}},
		"basic":        {driver.HTTP{AuthScheme: "Basic", User: "u", Password: odd}, driver.HTTP{AuthScheme: "basic", User: "x", Password: odd}},
		"bearer":       {driver.HTTP{AuthScheme: "bearer", Credentials: "abc.def"}, driver.HTTP{AuthScheme: "bearer", Credentials: "abc.deg"}},
		"other":        {driver.HTTP{AuthScheme: "Hoba", Credentials: "result=1"}, driver.HTTP{AuthScheme: "bearer", Credentials: "result=1"}},
		"apiKey user":  {driver.APIKey{In: "user", Key: "k"}, driver.APIKey{In: "password", Key: "k"}},
		"apiKey":       {driver.APIKey{In: "password", Key: "k"}, driver.APIKey{In: "password", Key: "l"}},
		"query":        {driver.HTTPAPIKey{In: "query", Name: "to ken", Key: "a&b=c"}, driver.HTTPAPIKey{In: "query", Name: "to ken", Key: "a"}},
		"header":       {driver.HTTPAPIKey{In: "header", Name: "x-key", Key: "k"}, driver.HTTPAPIKey{In: "header", Name: "x-other", Key: "k"}},
		"cookie":       {driver.HTTPAPIKey{In: "cookie", Name: "session", Key: "a=b"}, driver.HTTPAPIKey{In: "cookie", Name: "session", Key: "a"}},
	} {
		t.Run(name, func(t *testing.T) {
			if err := secured(t, pair[0], pair[0]); err != nil {
				t.Errorf("what is demanded: %v", err)
			}
			for _, wrong := range []driver.Security{pair[1], nil} {
				if err := secured(t, pair[0], wrong); !errors.Is(err, driver.ErrUnauthorized) {
					t.Errorf("%v: %v", wrong, err)
				}
			}
		})
	}
	token := func(context.Context) (string, error) { return "abc", nil }
	for _, s := range []driver.Security{driver.OAuth2{Token: token}, driver.OpenIDConnect{Token: token}} {
		if err := secured(t, driver.HTTP{AuthScheme: "bearer", Credentials: "abc"}, s); err != nil {
			t.Errorf("%s: %v", s.Scheme(), err)
		}
		if _, err := driver.NewConsumer(anywhere, nil, &driver.Options{Security: s}); !errors.Is(err, driver.ErrUnsupported) {
			t.Errorf("%s for a side that listens: %v", s.Scheme(), err)
		}
	}
	failing := driver.OAuth2{Token: func(context.Context) (string, error) { return "", errors.New("no token today") }}
	if err := secured(t, nil, failing); err == nil || !strings.Contains(err.Error(), "no token today") {
		t.Errorf("a token that is not to be had: %v", err)
	}
	if err := secured(t, driver.UserPassword{User: "u", Password: odd}, driver.HTTP{AuthScheme: "BASIC", User: "u", Password: odd}); err != nil {
		t.Errorf("basic with userPassword: %v", err)
	}
}

func TestSecurityUnsupported(t *testing.T) {
	for _, s := range []driver.Security{
		driver.Plain{}, driver.ScramSHA256{}, driver.ScramSHA512{}, driver.GSSAPI{}, driver.SymmetricEncryption{}, driver.AsymmetricEncryption{},
		driver.UserPassword{User: "a:b"}, driver.HTTPAPIKey{In: "cookie", Name: "a b", Key: "k"},
	} {
		for _, listen := range []bool{false, true} {
			_, err := driver.NewProducer(anywhere, nil, quick(func(o *driver.Options) {
				if o.Security = s; listen {
					o.Role = driver.RoleListen
				}
			}))
			if !errors.Is(err, driver.ErrUnsupported) {
				t.Errorf("%s: %v", s.Scheme(), err)
			}
		}
	}
	for _, s := range []driver.Security{
		driver.X509{}, driver.OAuth2{}, driver.HTTP{}, driver.HTTP{AuthScheme: "bearer"}, driver.HTTP{AuthScheme: "a b", Credentials: "x"},
		driver.HTTPAPIKey{In: "header"}, driver.HTTPAPIKey{In: "body", Name: "a", Key: "b"}, driver.APIKey{In: "header", Key: "k"},
		driver.HTTPAPIKey{In: "header", Name: "x", Key: "a\r\nX-Injected: b"},
	} {
		if _, err := driver.NewProducer(anywhere, nil, &driver.Options{Security: s}); err == nil {
			t.Errorf("%#v was taken", s)
		}
	}
}

func TestCredentialsOfTheURL(t *testing.T) {
	c := consumer(t, "ws://u:p%40ss@127.0.0.1:0", quick())
	subscriber(t, c, "a", nil)
	if strings.Contains(c.URL(), "ss@") {
		t.Errorf("URL %s", c.URL())
	}
	host := strings.TrimPrefix(c.URL(), "ws://")
	publisher(t, producer(t, "ws://u:p%40ss@"+host, quick()), "a", nil)
	_, err := producer(t, "ws://u:typo@"+host, quick()).Publisher(t.Context(), "a", nil)
	if !errors.Is(err, driver.ErrUnauthorized) || strings.Contains(err.Error(), "typo") {
		t.Errorf("a wrong password in the URL: %v", err)
	}
	if _, err := driver.NewProducer("ws://u:p@"+host, nil, &driver.Options{Security: driver.X509{}}); err == nil {
		t.Error("credentials given twice were taken")
	}
}

func TestAuthorize(t *testing.T) {
	c := consumer(t, anywhere, quick(func(o *driver.Options) {
		o.Authorize = func(r *http.Request) error {
			switch r.URL.Query().Get("who") {
			case "friend":
				return nil
			case "stranger":
				return driver.ErrUnauthorized
			}
			return errors.New("not you")
		}
	}))
	subscriber(t, c, "a", nil)
	p := producer(t, c.URL(), quick())
	for who, status := range map[string]string{"friend": "", "stranger": "401", "foe": "403"} {
		_, err := p.Publisher(t.Context(), "a", queryOf("who", who))
		if (err == nil) != (status == "") || err != nil && (!errors.Is(err, driver.ErrUnauthorized) || !strings.Contains(err.Error(), status)) {
			t.Errorf("%s: %v", who, err)
		}
	}
}

// TestTLS: wss on both sides, mutual, and what must not work.
func TestTLS(t *testing.T) {
	certs, err := brokers.NewCerts(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(certs.ServerFile, certs.ServerKeyFile)
	if err != nil {
		t.Fatal(err)
	}
	listen := func(config *tls.Config, s driver.Security) *driver.Consumer {
		config.Certificates = append(config.Certificates, pair)
		c := consumer(t, "wss://127.0.0.1:0", quick(func(o *driver.Options) { o.TLS, o.Security = config, s }))
		answering(t, subscriber(t, c, "a", nil))
		return c
	}
	dial := func(url string, config *tls.Config, s driver.Security) error {
		c, err := driver.NewConsumer(url, nil, quick(dialling, func(o *driver.Options) { o.TLS, o.Security = config, s }))
		if err != nil {
			return err
		}
		t.Cleanup(func() { c.Close() })
		sub, err := c.Subscriber(t.Context(), "a", nil)
		if err != nil {
			return err
		}
		send(t, sub.Publisher(), envelope(strings.Repeat("x", 100_000)))
		receive(t, sub, 1)
		return nil
	}
	plain := listen(&tls.Config{}, nil)
	if !strings.HasPrefix(plain.URL(), "wss://") {
		t.Errorf("URL %s", plain.URL())
	}
	if err := dial(plain.URL(), certs.TLS(), nil); err != nil {
		t.Error(err)
	}
	if err := dial(strings.Replace(plain.URL(), "wss", "ws", 1), certs.TLS(), nil); err != nil {
		t.Errorf("Options.TLS with ws://: %v", err)
	}
	for name, config := range map[string]*tls.Config{"no CA": nil, "another CA": {RootCAs: certs.OtherCA}, "another name": {RootCAs: certs.CA, ServerName: "elsewhere.invalid"}} {
		if err := dial(plain.URL(), config, nil); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if err := dial(strings.Replace(plain.URL(), "wss", "ws", 1), nil, nil); err == nil {
		t.Error("plain text to a TLS port: no error")
	}
	mutual := listen(&tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: certs.CA}, driver.X509{})
	if err := dial(mutual.URL(), certs.MutualTLS(), driver.X509{}); err != nil {
		t.Error(err)
	}
	other := certs.TLS()
	other.Certificates = []tls.Certificate{certs.OtherClient}
	for name, config := range map[string]*tls.Config{"no certificate": certs.TLS(), "another CA's": other} {
		if err := dial(mutual.URL(), config, nil); !errors.Is(err, driver.ErrUnauthorized) {
			t.Errorf("%s: %v", name, err)
		}
	}
	given := listen(&tls.Config{ClientAuth: tls.VerifyClientCertIfGiven, ClientCAs: certs.CA}, driver.X509{})
	if err := dial(given.URL(), certs.TLS(), nil); !errors.Is(err, driver.ErrUnauthorized) {
		t.Errorf("no certificate where it is asked for: %v", err)
	}
	if _, err := driver.NewConsumer("wss://127.0.0.1:0", nil, nil); err == nil {
		t.Error("TLS without a certificate was taken")
	}
	if _, err := driver.NewConsumer("wss://127.0.0.1:0", nil, &driver.Options{TLS: &tls.Config{Certificates: []tls.Certificate{pair}}, Security: driver.X509{}}); err == nil {
		t.Error("X509 without ClientAuth was taken")
	}
}

func decode(t testing.TB, text string) (*driver.ChannelBindings, error) {
	t.Helper()
	b := &driver.ChannelBindings{}
	return b, json.Unmarshal([]byte(text), b)
}
