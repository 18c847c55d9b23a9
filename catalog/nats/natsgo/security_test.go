package natsgo_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"

	driver "github.com/asyncapi-impl/asyncapi-impl/catalog/nats/natsgo"
	"github.com/asyncapi-impl/asyncapi-impl/internal/natstest"
)

// opens expects that both sides reach the server and can use it.
func opens(t testing.TB, url string, options *driver.Options) {
	t.Helper()
	sub := subscriber(t, consumer(t, url, options), "orders", nil)
	send(t, publisher(t, producer(t, url, options), "orders"), envelope("x"))
	receive(t, sub, 1)
}

func refuses(t testing.TB, url string, options *driver.Options, want error) {
	t.Helper()
	_, producing := driver.NewProducer(url, nil, options)
	_, consuming := driver.NewConsumer(url, nil, options)
	for side, err := range map[string]error{"NewProducer": producing, "NewConsumer": consuming} {
		if !errors.Is(err, want) {
			t.Errorf("%s: %v, not %v", side, err, want)
		}
	}
}

func TestToken(t *testing.T) {
	host := natstest.Start(t, `authorization { token: "s3cret/token" }`).Addr
	url := "nats://" + host
	token := func(text string, err error) func(context.Context) (string, error) {
		return func(context.Context) (string, error) { return text, err }
	}
	opens(t, "nats://s3cret%2Ftoken@"+host, nil)
	for _, good := range []driver.Security{
		driver.APIKey{In: "user", Key: "s3cret/token"}, driver.APIKey{In: "password", Key: "s3cret/token"},
		driver.OAuth2{Token: token("s3cret/token", nil)}, driver.OpenIDConnect{Token: token("s3cret/token", nil)},
	} {
		opens(t, url, &driver.Options{Security: good})
	}
	for _, bad := range []driver.Security{
		nil, driver.APIKey{In: "user", Key: "wrong"}, driver.OAuth2{Token: token("", errors.New("no token"))},
		driver.UserPassword{User: "s3cret/token"},
	} {
		refuses(t, url, &driver.Options{Security: bad}, driver.ErrUnauthorized)
	}
}

func TestPlain(t *testing.T) {
	host := natstest.Start(t, `authorization { user: u, password: "p/w" }`).Addr
	opens(t, "nats://u:p%2Fw@"+host, nil)
	for _, s := range []driver.Security{driver.UserPassword{User: "u", Password: "p/w"}, driver.Plain{User: "u", Password: "p/w"}} {
		opens(t, host, &driver.Options{Security: s})
	}
}

func TestNKey(t *testing.T) {
	user, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	public, _ := user.PublicKey()
	seed, _ := user.Seed()
	host := natstest.Start(t, fmt.Sprintf("authorization { users: [ { nkey: %s } ] }\n", public)).Addr
	file := write(t, seed)
	opens(t, host, &driver.Options{NKey: file})
	other, _ := nkeys.CreateUser()
	seed, _ = other.Seed()
	refuses(t, host, &driver.Options{NKey: write(t, seed)}, driver.ErrUnauthorized)
	refuses(t, host, &driver.Options{NKey: file + ".missing"}, os.ErrNotExist)
}

func write(t testing.TB, content []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// account is an operator's account, whose users have JWTs.
type account struct{ operator, key nkeys.KeyPair }

func (a account) config(t testing.TB) string {
	t.Helper()
	operator, _ := a.operator.PublicKey()
	key, _ := a.key.PublicKey()
	signed, err := jwt.NewOperatorClaims(operator).Encode(a.operator)
	if err != nil {
		t.Fatal(err)
	}
	claims, err := jwt.NewAccountClaims(key).Encode(a.operator)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("operator: %q\nresolver: MEMORY\nresolver_preload: { %s: %q }\n", signed, key, claims)
}

func (a account) credentials(t testing.TB, valid time.Duration) []byte {
	t.Helper()
	user, _ := nkeys.CreateUser()
	public, _ := user.PublicKey()
	seed, _ := user.Seed()
	claims := jwt.NewUserClaims(public)
	claims.Expires = time.Now().Add(valid).Unix()
	token, err := claims.Encode(a.key)
	if err != nil {
		t.Fatal(err)
	}
	file, err := jwt.FormatUserConfig(token, seed)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func TestCredentials(t *testing.T) {
	var a account
	a.operator, _ = nkeys.CreateOperator()
	a.key, _ = nkeys.CreateAccount()
	host := natstest.Start(t, "jetstream: disabled\n"+a.config(t)).Addr
	opens(t, host, &driver.Options{Credentials: write(t, a.credentials(t, time.Hour))})
	refuses(t, host, &driver.Options{Credentials: write(t, a.credentials(t, -time.Hour))}, driver.ErrUnauthorized)
	stranger := a
	stranger.key, _ = nkeys.CreateAccount()
	refuses(t, host, &driver.Options{Credentials: write(t, stranger.credentials(t, time.Hour))}, driver.ErrUnauthorized)
	refuses(t, host, nil, driver.ErrUnauthorized)
	refuses(t, host, &driver.Options{Credentials: filepath.Join(t.TempDir(), "missing")}, os.ErrNotExist)

	// A JWT that ends is read anew, so a renewed file carries on.
	file := write(t, a.credentials(t, 3*time.Second))
	var told journal
	o := &driver.Options{Credentials: file, Logger: told.logger(), MinBackoff: time.Millisecond, MaxBackoff: 10 * time.Millisecond}
	sub := subscriber(t, consumer(t, host, o), "orders", nil)
	if err := os.WriteFile(file, a.credentials(t, time.Hour), 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { return strings.Contains(told.String(), "connected again") })
	send(t, publisher(t, producer(t, host, o), "orders"), envelope("x"))
	receive(t, sub, 1)

	// One that nobody renews ends Receive.
	sub = subscriber(t, consumer(t, host, &driver.Options{Credentials: write(t, a.credentials(t, 3*time.Second)), MaxBackoff: 100 * time.Millisecond}), "orders", nil)
	err := sub.Receive(within(t, 20*time.Second), func(context.Context, *driver.EnvelopeIn) error { return nil })
	if !errors.Is(err, driver.ErrUnauthorized) {
		t.Errorf("Receive with a JWT that has ended: %v", err)
	}
}

func TestX509(t *testing.T) {
	certs := natstest.Certs(t)
	// The server takes the certificate's common name for the user.
	url := "tls://" + natstest.Start(t, strings.Replace(natstest.TLS(certs, true), "verify: true", "verify_and_map: true", 1)+
		"authorization { users: [ { user: \"CN=asyncapi\" } ] }\n").Addr
	opens(t, url, &driver.Options{TLS: certs.MutualTLS(), Security: driver.X509{}})
	refuses(t, url, &driver.Options{TLS: certs.TLS()}, driver.ErrUnauthorized)
	if _, err := driver.NewProducer(url, nil, &driver.Options{TLS: certs.TLS(), Security: driver.X509{}}); err == nil || !strings.Contains(err.Error(), "no client certificate") {
		t.Errorf("X509 without a certificate: %v", err)
	}
	// A server that wants TLS gets it without being asked for it by the URL.
	_, err := driver.NewProducer(strings.Replace(url, "tls", "nats", 1), nil, nil)
	var untrusted *tls.CertificateVerificationError
	if !errors.As(err, &untrusted) {
		t.Errorf("a server that wants TLS: %v", err)
	}
}

func TestSecurityThatNATSCannotCarry(t *testing.T) {
	for _, s := range []driver.Security{
		driver.ScramSHA256{}, driver.ScramSHA512{}, driver.GSSAPI{}, driver.HTTPAPIKey{}, driver.HTTP{}, driver.SymmetricEncryption{}, driver.AsymmetricEncryption{},
	} {
		refuses(t, "localhost:1", &driver.Options{Security: s}, driver.ErrUnsupported)
	}
	for _, o := range []*driver.Options{
		{Security: driver.Plain{}, NKey: "file"}, {Security: driver.Plain{}, Credentials: "file"}, {NKey: "file", Credentials: "file"},
	} {
		if _, err := driver.NewProducer("localhost:1", nil, o); err == nil || !strings.Contains(err.Error(), "given twice") {
			t.Errorf("credentials given twice: %v", err)
		}
	}
	if _, err := driver.NewProducer("nats://u:p@localhost:1", nil, &driver.Options{Security: driver.Plain{}}); err == nil || !strings.Contains(err.Error(), "given twice") {
		t.Errorf("credentials given twice: %v", err)
	}
}
