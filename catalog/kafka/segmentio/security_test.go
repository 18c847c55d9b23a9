package segmentio_test

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	driver "github.com/asyncapi-impl/asyncapi-impl/catalog/kafka/segmentio"
	"github.com/asyncapi-impl/asyncapi-impl/internal/brokers"
)

// token is an unsecured JSON web token (RFC 7515, appendix A.5).
func token(context.Context) (string, error) {
	now := time.Now().Unix()
	part := base64.RawURLEncoding.EncodeToString
	return part([]byte(`{"alg":"none"}`)) + "." + part(fmt.Appendf(nil, `{"sub":"asyncapi","iat":%d,"exp":%d}`, now, now+300)) + ".", nil
}

func TestSecurity(t *testing.T) {
	var plain string
	good := []driver.Security{
		driver.UserPassword{User: brokers.User, Password: brokers.Password},
		driver.Plain{User: brokers.User, Password: brokers.Password},
		driver.ScramSHA256{User: brokers.User, Password: brokers.Password},
		driver.ScramSHA512{User: brokers.User, Password: brokers.Password},
	}
	bad := []driver.Security{
		driver.Plain{User: brokers.User, Password: "wrong"}, driver.ScramSHA512{User: "nobody", Password: brokers.Password},
	}
	if brokers.Real() {
		s := brokers.Kafka(t)
		plain = s.SASLAddr
		good = append(good, driver.OAuth2{Token: token}, driver.OpenIDConnect{Token: token})
		bad = append(bad, driver.OAuth2{Token: func(context.Context) (string, error) { return "no token", nil }})

		mutual := &driver.Options{TLS: s.Certs.MutualTLS(), Security: driver.X509{}}
		send(t, publisher(t, producer(t, "kafka-secure://"+s.MutualTLSAddr, mutual), newTopic(), nil), envelope("", "x"))
		_, err := driver.NewProducer(s.MutualTLSAddr, nil, &driver.Options{TLS: s.Certs.TLS()})
		if !errors.Is(err, driver.ErrUnauthorized) {
			t.Errorf("no client certificate was demanded: %v", err)
		}
		_, err = driver.NewProducer("kafka-secure://"+s.SecureAddr, nil, &driver.Options{TLS: &tls.Config{RootCAs: s.Certs.OtherCA}, Security: good[0]})
		var certificate *tls.CertificateVerificationError
		if !errors.As(err, &certificate) {
			t.Errorf("an unknown authority: %v", err)
		}
	} else {
		options := []kfake.Opt{kfake.EnableSASL()}
		for _, mechanism := range []string{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"} {
			options = append(options, kfake.Superuser(mechanism, brokers.User, brokers.Password))
		}
		_, plain = embedded(t, options...)
	}

	for _, security := range good {
		topic, o := newTopic(), &driver.Options{Security: security}
		sub := subscriber(t, consumer(t, plain, o), topic, nil)
		send(t, publisher(t, producer(t, plain, o), topic, nil), envelope("", "x"))
		if got := payloads(receive(t, sub, 1)); got != "x" {
			t.Errorf("%s: got %q", security.Scheme(), got)
		}
	}
	login := "kafka://" + url.UserPassword(brokers.User, brokers.Password).String() + "@" + plain
	send(t, publisher(t, producer(t, login, nil), newTopic(), nil), envelope("", "x"))
	for _, security := range bad {
		if _, err := driver.NewConsumer(plain, nil, &driver.Options{Security: security}); !errors.Is(err, driver.ErrUnauthorized) {
			t.Errorf("%s with wrong credentials: %v", security.Scheme(), err)
		}
	}
	failure := errors.New("no network to the identity provider")
	_, err := driver.NewProducer(plain, nil, &driver.Options{Security: driver.OAuth2{Token: func(context.Context) (string, error) { return "", failure }}})
	if brokers.Real() && !errors.Is(err, failure) {
		t.Errorf("the token's error is lost: %v", err)
	}
}
