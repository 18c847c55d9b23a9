package franz_test

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	driver "github.com/asyncapi-impl/asyncapi-impl/catalog/kafka/franz"
	"github.com/asyncapi-impl/asyncapi-impl/internal/brokers"
)

// listeners are addresses that demand a login, with their certificates.
type listeners struct {
	sasl, secure, mutual string // sasl without TLS
	certs                *brokers.Certs
}

func secured(t *testing.T) listeners {
	t.Helper()
	if brokers.Real() {
		s := brokers.Kafka(t)
		return listeners{s.SASLAddr, s.SecureAddr, s.MutualTLSAddr, s.Certs}
	}
	certs, err := brokers.NewCerts(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	server, err := tls.LoadX509KeyPair(certs.ServerFile, certs.ServerKeyFile)
	if err != nil {
		t.Fatal(err)
	}
	login := []kfake.Opt{kfake.EnableSASL()}
	for _, mechanism := range []string{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"} {
		login = append(login, kfake.Superuser(mechanism, brokers.User, brokers.Password))
	}
	_, sasl := embedded(t, login...)
	_, secure := embedded(t, append(login, kfake.TLS(&tls.Config{Certificates: []tls.Certificate{server}}))...)
	_, mutual := embedded(t, kfake.TLS(&tls.Config{
		Certificates: []tls.Certificate{server}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: certs.CA,
	}))
	return listeners{sasl, secure, mutual, certs}
}

// exchange sends and receives a record.
func exchange(t *testing.T, url string, o *driver.Options) {
	t.Helper()
	topic := newTopic()
	pub := publisher(t, producer(t, url, o), topic, nil)
	send(t, pub, envelope("", "x"))
	if got := payloads(receive(t, subscriber(t, consumer(t, url, o), topic, inGroup(topic)), 1)); got != "x" {
		t.Errorf("got %q", got)
	}
}

func TestLogin(t *testing.T) {
	l := secured(t)
	const user, password = brokers.User, brokers.Password
	token := func(context.Context) (string, error) { return unsecuredToken(), nil }
	for name, s := range map[string]driver.Security{
		"userPassword": driver.UserPassword{User: user, Password: password},
		"plain":        driver.Plain{User: user, Password: password},
		"scramSha256":  driver.ScramSHA256{User: user, Password: password},
		"scramSha512":  driver.ScramSHA512{User: user, Password: password},
		"oauth2":       driver.OAuth2{Token: token},
		"openId":       driver.OpenIDConnect{Token: token},
	} {
		t.Run(name, func(t *testing.T) {
			if strings.HasPrefix(name, "o") && !brokers.Real() {
				t.Skip("kfake takes no tokens")
			}
			exchange(t, l.sasl, &driver.Options{Security: s})
			exchange(t, "kafka-secure://"+l.secure, &driver.Options{Security: s, TLS: l.certs.TLS()})
		})
	}
	exchange(t, "kafka://"+url.UserPassword(user, password).String()+"@"+l.sasl, nil)
	for name, s := range map[string]driver.Security{
		"plain": driver.Plain{User: user, Password: "no"}, "scramSha512": driver.ScramSHA512{User: "nobody", Password: password},
	} {
		start := time.Now()
		_, err := driver.NewConsumer(l.sasl, nil, &driver.Options{Security: s})
		if !errors.Is(err, driver.ErrUnauthorized) || time.Since(start) > 5*time.Second {
			t.Errorf("%s: after %v: %v", name, time.Since(start), err)
		}
	}
	refused := errors.New("the token server is away")
	_, err := driver.NewProducer(l.sasl, nil, &driver.Options{Security: driver.OAuth2{Token: func(context.Context) (string, error) { return "", refused }}})
	if brokers.Real() && !errors.Is(err, refused) {
		t.Errorf("a token function that fails: %v", err)
	}
}

func TestTLS(t *testing.T) {
	l := secured(t)
	exchange(t, l.mutual, &driver.Options{TLS: l.certs.MutualTLS(), Security: driver.X509{}})
	if _, err := driver.NewProducer(l.mutual, nil, &driver.Options{TLS: l.certs.TLS()}); !errors.Is(err, driver.ErrUnauthorized) {
		t.Errorf("without a certificate: %v", err)
	}
	var untrusted *tls.CertificateVerificationError
	if _, err := driver.NewProducer("kafka-secure://"+l.mutual, nil, nil); !errors.As(err, &untrusted) {
		t.Errorf("a server that nobody vouches for: %v", err)
	}
}

// unsecuredToken is a JSON web token for one hour that nobody signed.
func unsecuredToken() string {
	now := time.Now().Unix()
	return base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." +
		base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, `{"sub":%q,"iat":%d,"exp":%d}`, brokers.User, now, now+3600)) + "."
}
