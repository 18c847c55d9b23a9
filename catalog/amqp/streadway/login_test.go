package streadway_test

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	amqp "github.com/streadway/amqp"

	driver "github.com/asyncapi-impl/asyncapi-impl/catalog/amqp/streadway"
	"github.com/asyncapi-impl/asyncapi-impl/internal/brokers"
)

// login gives the first frame of a client that logs in.
func login(t *testing.T, url string, options *driver.Options) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	frames := make(chan string, 1)
	go func() {
		defer close(frames)
		c, err := listener.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		long := func(s string) string { return string(binary.BigEndian.AppendUint32(nil, uint32(len(s)))) + s }
		start := "\x00\x0a\x00\x0a\x00\x09" + long("") + long("PLAIN EXTERNAL") + long("en_US")
		head := make([]byte, 8+7)
		if _, err := io.ReadFull(c, head[:8]); err != nil {
			return
		}
		if _, err := io.WriteString(c, "\x01\x00\x00"+long(start)+"\xce"); err != nil {
			return
		}
		if _, err := io.ReadFull(c, head[8:]); err != nil {
			return
		}
		frame := make([]byte, binary.BigEndian.Uint32(head[11:])+1) // with its end byte
		if _, err := io.ReadFull(c, frame); err == nil {
			frames <- string(frame)
		}
	}()
	if options == nil {
		options = &driver.Options{}
	}
	options.Timeout = 5 * time.Second
	if _, err := driver.NewProducer(strings.Replace(url, "HOST", listener.Addr().String(), 1), nil, options); err == nil {
		t.Error("a login that the server hung up on succeeds")
	} else if errors.Is(err, driver.ErrUnauthorized) || !errors.Is(err, io.EOF) {
		t.Errorf("a server that hung up is taken for one that refuses the credentials: %v", err)
	}
	listener.Close()
	return <-frames
}

func TestSecuritySchemes(t *testing.T) {
	token := func(context.Context) (string, error) { return "a.b.c", nil }
	plain := func(response string) string {
		return "\x05PLAIN" + string(binary.BigEndian.AppendUint32(nil, uint32(len(response)))) + response
	}
	for _, c := range []struct {
		url      string
		security driver.Security
		want     string
	}{
		{"HOST", nil, plain("\x00guest\x00guest")},
		{"amqp://me:s%2Fe%40cret@HOST/v", nil, plain("\x00me\x00s/e@cret")},
		{"HOST", driver.UserPassword{User: "me", Password: "secret"}, plain("\x00me\x00secret")},
		{"HOST", driver.Plain{User: "me", Password: "secret"}, plain("\x00me\x00secret")},
		{"HOST", driver.APIKey{In: "user", Key: "k"}, plain("\x00k\x00")},
		{"HOST", driver.APIKey{In: "password", Key: "k"}, plain("\x00\x00k")},
		{"HOST", driver.OAuth2{Token: token}, plain("\x00\x00a.b.c")},
		{"HOST", driver.OpenIDConnect{Token: token}, plain("\x00\x00a.b.c")},
	} {
		frame := login(t, c.url, &driver.Options{Security: c.security})
		if !strings.Contains(frame, c.want) || !strings.Contains(frame, "authentication_failure_close") {
			t.Errorf("%s, %#v: the client says %q", c.url, c.security, frame)
		}
	}
	frame := login(t, "HOST", &driver.Options{Name: "my connection", Native: func(c *amqp.Config) { c.Properties["product"] = "my product" }})
	if !strings.Contains(frame, "my connection") || !strings.Contains(frame, "my product") {
		t.Errorf("with a name: the client says %q", frame)
	}
}

func TestUnsupportedSecurity(t *testing.T) {
	s := brokers.RabbitMQ(t)
	_, address, _ := strings.Cut(s.URL, "@")
	for _, security := range []driver.Security{
		driver.ScramSHA256{}, driver.ScramSHA512{}, driver.GSSAPI{}, driver.HTTP{AuthScheme: "basic"}, driver.HTTPAPIKey{In: "header"},
		driver.SymmetricEncryption{}, driver.AsymmetricEncryption{},
	} {
		if _, err := driver.NewProducer("amqp://"+address, nil, &driver.Options{Security: security}); !errors.Is(err, driver.ErrUnsupported) {
			t.Errorf("%s: NewProducer gives %v", security.Scheme(), err)
		}
		if _, err := driver.NewConsumer("amqp://"+address, nil, &driver.Options{Security: security}); !errors.Is(err, driver.ErrUnsupported) {
			t.Errorf("%s: NewConsumer gives %v", security.Scheme(), err)
		}
	}
	failing := errors.New("no token")
	for want, security := range map[string]driver.Security{
		"no client certificate":    driver.X509{},
		"In must be":               driver.APIKey{In: "header"},
		"Token is nil":             driver.OAuth2{},
		"oauth2: token: no token":  driver.OAuth2{Token: func(context.Context) (string, error) { return "", failing }},
		"credentials are given tw": driver.Plain{},
	} {
		url := "amqp://" + address
		if want == "credentials are given tw" {
			url = s.URL
		}
		if _, err := driver.NewProducer(url, nil, &driver.Options{Security: security}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", security.Scheme(), err, want)
		}
	}
}

func TestServerURL(t *testing.T) {
	for _, url := range []string{
		"", "http://localhost", "amqp://", "amqp://localhost:x", "amqp://localhost:70000", "amqp://localhost/a/b", "amqp://localhost/%zz",
		"amqp://localhost?heartbeat=1", "amqp://a b", "amqp://u%zz@localhost", "[::1", "localhost:5672,",
	} {
		if _, err := driver.NewProducer(url, nil, nil); err == nil || !strings.Contains(err.Error(), "expected host:port or amqp://") {
			t.Errorf("%q: %v", url, err)
		}
	}
	// The first host that answers is taken.
	s := brokers.RabbitMQ(t)
	dead, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead.Close()
	producer(t, strings.Replace(s.URL, "@", "@"+dead.Addr().String()+",", 1), nil)
	if _, err := driver.NewProducer("amqp://"+dead.Addr().String(), nil, nil); err == nil {
		t.Error("nobody answers, and NewProducer succeeds")
	}
	// TLS may be asked for in the options as well.
	if s.Certs != nil {
		tlsOnly := &driver.Options{TLS: s.Certs.TLS(), Security: driver.Plain{User: s.User, Password: s.Password}}
		producer(t, s.SecureAddr, tlsOnly)
		if _, err := driver.NewProducer(s.SecureAddr, nil, &driver.Options{TLS: &tls.Config{RootCAs: s.Certs.OtherCA}}); err == nil {
			t.Error("a server of another authority is trusted")
		} else if certificate := (*tls.CertificateVerificationError)(nil); !errors.As(err, &certificate) {
			t.Errorf("the cause can't be reached: %v", err)
		}
	}
}
