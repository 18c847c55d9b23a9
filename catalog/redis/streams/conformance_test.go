package streams_test

import (
	"cmp"
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/asyncapi-impl/asyncapi-impl/catalog/conformance"
	driver "github.com/asyncapi-impl/asyncapi-impl/catalog/redis/streams"
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
		Name:         "redis/streams",
		Broker:       broker,
		Capabilities: conformance.Capabilities{MaxPayload: maxPayload},
		NewEnvelope:  driver.NewEnvelopeOut,
		NewProducer: func(s conformance.Settings) (conformance.Producer[*driver.EnvelopeOut], error) {
			p, err := driver.NewProducer(s.URL, nil, options(s))
			if err != nil {
				return conformance.Producer[*driver.EnvelopeOut]{}, err
			}
			return conformance.Producer[*driver.EnvelopeOut]{
				Publisher: func(ctx context.Context, address string, c conformance.Channel) (conformance.Publisher[*driver.EnvelopeOut], error) {
					return p.Publisher(ctx, address, bindings(c))
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
				Subscriber: func(ctx context.Context, address string, ch conformance.Channel) (conformance.Subscriber[*driver.EnvelopeIn], error) {
					return c.Subscriber(ctx, address, bindings(ch))
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
		Delete: func(ctx context.Context, address string) error {
			p, err := driver.NewProducer(broker.URL, nil, nil)
			if err != nil {
				return err
			}
			defer p.Close()
			return p.Native().Del(ctx, address).Err()
		},
	}
}

func options(s conformance.Settings) *driver.Options {
	o := &driver.Options{
		TLS: s.TLS, Timeout: s.Timeout, MaxBackoff: s.Backoff, KeepAlive: cmp.Or(s.KeepAlive, 200*time.Millisecond), Concurrency: s.Concurrency,
		Logger: s.Logger, NoDeclare: s.NoDeclare, MaxPayload: maxPayload,
		ClaimAfter: 4 * time.Second,
	}
	if s.User != "" {
		o.Security = driver.UserPassword{User: s.User, Password: s.Password}
	}
	return o
}

func bindings(c conformance.Channel) *driver.ChannelBindings {
	return &driver.ChannelBindings{Operation: &driver.OperationBindings{Group: c.Group}}
}
