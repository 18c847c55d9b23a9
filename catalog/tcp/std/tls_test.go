package std_test

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	driver "github.com/asyncapi-impl/asyncapi-impl/catalog/tcp/std"
	"github.com/asyncapi-impl/asyncapi-impl/internal/brokers"
)

func certificates(t testing.TB) *brokers.Certs {
	t.Helper()
	certs, err := brokers.NewCerts(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return certs
}

// serverTLS demands a client's certificate.
func serverTLS(c *brokers.Certs) *tls.Config {
	server, err := tls.LoadX509KeyPair(c.ServerFile, c.ServerKeyFile)
	if err != nil {
		panic(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{server}, ClientCAs: c.CA, ClientAuth: tls.RequireAndVerifyClientCert}
}

// TestMutualTLS: with X509 the listening side demands a certificate, and who
// has none, or another's, is told when dialling.
func TestMutualTLS(t *testing.T) {
	for version, name := range map[uint16]string{tls.VersionTLS12: "TLS 1.2", tls.VersionTLS13: "TLS 1.3"} {
		t.Run(name, func(t *testing.T) {
			certs := certificates(t)
			mutual := serverTLS(certs)
			mutual.MaxVersion = version
			x509 := func(c *tls.Config) *driver.Options {
				return quick(func(o *driver.Options) { o.TLS, o.Security = c, driver.X509{} })
			}
			c := consumer(t, anywhere, x509(mutual))
			if !strings.HasPrefix(c.URL(), "tls://") {
				t.Errorf("the URL is %s", c.URL())
			}
			sub := subscriber(t, c)
			began := time.Now()
			pub := publisher(t, producer(t, c.URL(), x509(certs.MutualTLS())))
			if took := time.Since(began); took > 900*time.Millisecond {
				t.Errorf("dialling took %v", took)
			}
			send(t, pub, "secret")
			if got := receive(t, sub, 1, nil); got != "secret" {
				t.Errorf("got %q", got)
			}
			stranger := certs.TLS()
			stranger.Certificates = []tls.Certificate{certs.OtherClient}
			for who, config := range map[string]*tls.Config{"nobody": certs.TLS(), "a stranger": stranger} {
				o := quick(func(o *driver.Options) { o.TLS = config })
				_, err := producer(t, c.URL(), o).Publisher(within(t, 20*time.Second), "out", nil)
				if !errors.Is(err, driver.ErrUnauthorized) {
					t.Errorf("%s: got %v", who, err)
				}
			}
			if _, err := producer(t, c.URL(), quick()).Publisher(within(t, 20*time.Second), "out", nil); err == nil {
				t.Error("an unknown authority was trusted")
			}
		})
	}
}

// TestQuietServer: one that gives no session tickets agrees by its silence.
func TestQuietServer(t *testing.T) {
	certs := certificates(t)
	config := serverTLS(certs)
	config.SessionTicketsDisabled = true
	c := consumer(t, anywhere, quick(func(o *driver.Options) { o.TLS, o.Security = config, driver.X509{} }))
	sub := subscriber(t, c)
	pub := publisher(t, producer(t, c.URL(), quick(func(o *driver.Options) { o.TLS = certs.MutualTLS() })))
	send(t, pub, "one")
	if got := receive(t, sub, 1, nil); got != "one" {
		t.Errorf("got %q", got)
	}
}

func TestTLSOptions(t *testing.T) {
	for what, o := range map[string]*driver.Options{
		"a listener without a certificate": quick(listening, func(o *driver.Options) { o.TLS = &tls.Config{} }),
		"X509 without a certificate":       quick(dialling, func(o *driver.Options) { o.Security = driver.X509{} }),
		"X509 that demands none": quick(listening, func(o *driver.Options) {
			o.Security, o.TLS = driver.X509{}, serverTLS(certificates(t))
			o.TLS.ClientAuth = tls.RequestClientCert
		}),
	} {
		if _, err := driver.NewConsumer(anywhere, nil, o); err == nil {
			t.Errorf("%s was taken", what)
		}
	}
}

// TestOpenSSL: another TLS, which sends two tickets and demands a certificate.
func TestOpenSSL(t *testing.T) {
	openssl := command(t, "openssl")
	certs := certificates(t)
	host, port := freePort(t)
	cmd := exec.Command(openssl, "s_server", "-quiet", "-accept", net.JoinHostPort(host, port),
		"-cert", certs.ServerFile, "-key", certs.ServerKeyFile, "-CAfile", certs.CAFile, "-Verify", "1", "-verify_return_error")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	in, err := cmd.StdinPipe() // it ends with its input
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	c := consumer(t, "tls://"+net.JoinHostPort(host, port), quick(lines, dialling, func(o *driver.Options) {
		o.TLS, o.Security = certs.MutualTLS(), driver.X509{}
	}))
	sub, err := c.Subscriber(within(t, 20*time.Second), "in", nil)
	for deadline := time.Now().Add(20 * time.Second); err != nil && time.Now().Before(deadline); {
		time.Sleep(10 * time.Millisecond)
		sub, err = c.Subscriber(within(t, 20*time.Second), "in", nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{"one", "two"} {
		send(t, sub.Publisher(), word)
		got := make([]byte, 4)
		if _, err := io.ReadFull(out, got); string(got) != word+"\n" {
			t.Fatalf("openssl got %q, %v", got, err)
		}
		write(t, in, "re "+word+"\n")
		if got := receive(t, sub, 1, nil); got != "re "+word {
			t.Errorf("got %q", got)
		}
	}
}
