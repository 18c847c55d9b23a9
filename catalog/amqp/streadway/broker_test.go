package streadway_test

import (
	"context"
	"os"
	"testing"

	"github.com/asyncapi-impl/asyncapi-impl/catalog/conformance"
	"github.com/asyncapi-impl/asyncapi-impl/internal/brokers"
)

func TestMain(m *testing.M) { os.Exit(brokers.Main(m)) }

func init() {
	testBroker = func(t testing.TB) *conformance.Broker {
		s := brokers.RabbitMQ(t)
		b := &conformance.Broker{Name: "rabbitmq", URL: s.URL}
		if s.SecureAddr == "" {
			return b
		}
		b.SecureURL, b.User, b.Password = "amqps://"+s.SecureAddr, s.User, s.Password
		b.MutualURL, b.CA, b.ClientCert = "amqps://"+s.MutualTLSAddr, s.Certs.CA, &s.Certs.Client
		b.Kill = s.Kill
		b.Restart = func() error { return s.Restart(context.Background()) }
		return b
	}
}
