package goredis_test

import (
	"context"
	"errors"
	"os"
	"testing"

	"github.com/asyncapi-impl/asyncapi-impl/catalog/conformance"
	driver "github.com/asyncapi-impl/asyncapi-impl/catalog/redis/goredis"
)

// testBroker gives the server to test against. Without it the server is the
// one that REDIS_URL names. testForeign is another Redis client.
var (
	testBroker  func(testing.TB) *conformance.Broker
	testForeign *conformance.Foreign
)

func TestConformance(t *testing.T) {
	broker := &conformance.Broker{Name: "redis", URL: os.Getenv("REDIS_URL")}
	if testBroker != nil {
		broker = testBroker(t)
	}
	if broker.URL == "" {
		t.Skip("set REDIS_URL to the server to test against, as in redis://localhost:6379")
	}
	conformance.Run(t, wiring(broker))
}

const maxPayload = 4 << 20

func wiring(broker *conformance.Broker) conformance.Driver[*driver.EnvelopeOut, *driver.EnvelopeIn] {
	return conformance.Driver[*driver.EnvelopeOut, *driver.EnvelopeIn]{
		Name:   "redis/goredis",
		Broker: broker,
		Capabilities: conformance.Capabilities{
			NoHeaders: true, NoContentType: true, AtMostOnce: true, NoRedelivery: true, NoPersistence: true,
			NoGroups: true, NoMissing: true, MaxPayload: maxPayload,
		},
		NewEnvelope: driver.NewEnvelopeOut,
		NewProducer: func(s conformance.Settings) (conformance.Producer[*driver.EnvelopeOut], error) {
			p, err := driver.NewProducer(s.URL, nil, options(s))
			if err != nil {
				return conformance.Producer[*driver.EnvelopeOut]{}, err
			}
			return conformance.Producer[*driver.EnvelopeOut]{
				Publisher: func(ctx context.Context, address string, _ conformance.Channel) (conformance.Publisher[*driver.EnvelopeOut], error) {
					return p.Publisher(ctx, address, nil)
				},
				Close: p.Close,
			}, nil
		},
		NewConsumer: func(s conformance.Settings) (conformance.Consumer[*driver.EnvelopeIn], error) {
			c, err := driver.NewConsumer(s.URL, nil, options(s))
			if err != nil {
				return conformance.Consumer[*driver.EnvelopeIn]{}, err
			}
			return conformance.Consumer[*driver.EnvelopeIn]{
				Subscriber: func(ctx context.Context, address string, _ conformance.Channel) (conformance.Subscriber[*driver.EnvelopeIn], error) {
					return c.Subscriber(ctx, address, nil)
				},
				Close: c.Close,
			}, nil
		},
		Errors: conformance.Errors{
			Closed: driver.ErrClosed, Unsupported: driver.ErrUnsupported, Refused: driver.ErrRefused,
			NotFound: driver.ErrNotFound, Unauthorized: driver.ErrUnauthorized, TooLarge: driver.ErrTooLarge,
		},
		Reject: driver.Reject,
		SendErrors: func(err error) []error {
			var errs driver.SendErrors
			errors.As(err, &errs)
			return errs
		},
		SecureScheme: "rediss",
		Foreign:      testForeign,
	}
}

func options(s conformance.Settings) *driver.Options {
	o := &driver.Options{
		TLS: s.TLS, Timeout: s.Timeout, MaxBackoff: s.Backoff, KeepAlive: s.KeepAlive, Concurrency: s.Concurrency,
		Logger: s.Logger, NoDeclare: s.NoDeclare, MaxPayload: maxPayload,
	}
	if s.User != "" {
		o.Security = driver.UserPassword{User: s.User, Password: s.Password}
	}
	return o
}
