package rabbitmq_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	driver "github.com/asyncapi-impl/asyncapi-impl/catalog/amqp/rabbitmq"

	"github.com/asyncapi-impl/asyncapi-impl/catalog/conformance"
)

// testBroker gives the server to test against. Without it the server is the
// one that AMQP_URL names.
var testBroker func(testing.TB) *conformance.Broker

// testForeign gives another client of the protocol.
var testForeign func(testing.TB) *conformance.Foreign

func TestConformance(t *testing.T) {
	broker := &conformance.Broker{Name: "rabbitmq", URL: os.Getenv("AMQP_URL")}
	if testBroker != nil {
		broker = testBroker(t)
	}
	if broker.URL == "" {
		t.Skip("set AMQP_URL to the server to test against, as in amqp://guest:guest@localhost:5672/")
	}
	d := wiring(broker)
	if testForeign != nil {
		d.Foreign = testForeign(t)
	}
	conformance.Run(t, d)
}

func wiring(broker *conformance.Broker) conformance.Driver[*driver.EnvelopeOut, *driver.EnvelopeIn] {
	return conformance.Driver[*driver.EnvelopeOut, *driver.EnvelopeIn]{
		Name:   "amqp/rabbitmq",
		Broker: broker,
		// The address is a queue, which its subscribers share: it is the group.
		Capabilities: conformance.Capabilities{NoFanOut: true, NoGroups: true},
		NewEnvelope:  driver.NewEnvelopeOut,
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
		SecureScheme: "amqps",
		Request: func(ctx context.Context, publisher conformance.Publisher[*driver.EnvelopeOut], e *driver.EnvelopeOut) (*driver.EnvelopeIn, error) {
			return publisher.(*driver.Publisher).Request(ctx, e)
		},
		Reply: func(ctx context.Context, request *driver.EnvelopeIn, e *driver.EnvelopeOut) error {
			return request.Reply(ctx, e)
		},
		Delete: func(_ context.Context, address string) error {
			p, err := driver.NewProducer(broker.URL, nil, nil)
			if err != nil {
				return err
			}
			defer p.Close()
			channel, err := p.Native().Channel()
			if err != nil {
				return err
			}
			_, err = channel.QueueDelete(address, false, false, false)
			return err
		},
	}
}

func options(s conformance.Settings) *driver.Options {
	o := &driver.Options{
		TLS: s.TLS, Timeout: s.Timeout, MaxBackoff: s.Backoff, Concurrency: s.Concurrency, Logger: s.Logger,
		NoDeclare: s.NoDeclare, Heartbeat: s.KeepAlive,
	}
	switch named := strings.Contains(s.URL, "@"); {
	case s.User != "":
		o.Security = driver.Plain{User: s.User, Password: s.Password}
	case s.TLS == nil || named:
	case len(s.TLS.Certificates) > 0:
		o.Security = driver.X509{}
	default:
		o.Security = driver.UserPassword{} // not guest, who is the driver's default
	}
	return o
}
