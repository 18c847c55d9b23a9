package jetstream_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/asyncapi-impl/asyncapi-impl/catalog/conformance"
	driver "github.com/asyncapi-impl/asyncapi-impl/catalog/nats/jetstream"
)

// testBroker gives the server to test against. Without it the server is the
// one that NATS_URL names. testForeign is another NATS client.
var (
	testBroker  func(testing.TB) *conformance.Broker
	testForeign *conformance.Foreign
)

func TestConformance(t *testing.T) {
	broker := &conformance.Broker{Name: "nats", URL: os.Getenv("NATS_URL")}
	if testBroker != nil {
		broker = testBroker(t)
	}
	if broker.URL == "" {
		t.Skip("set NATS_URL to the server to test against, as in nats://localhost:4222")
	}
	conformance.Run(t, wiring(broker))
}

func wiring(broker *conformance.Broker) conformance.Driver[*driver.EnvelopeOut, *driver.EnvelopeIn] {
	return conformance.Driver[*driver.EnvelopeOut, *driver.EnvelopeIn]{
		Name:   "nats/jetstream",
		Broker: broker,
		Capabilities: conformance.Capabilities{
			Requeues: true, Overtaken: true,
			MaxPayload: 1 << 20, // the server's default for max_payload
		},
		NewEnvelope: driver.NewEnvelopeOut,
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
		SecureScheme: "tls",
		Greet:        greet,
		Foreign:      testForeign,
		Delete: func(ctx context.Context, address string) error {
			c, err := driver.NewConsumer(broker.URL, nil, nil)
			if err != nil {
				return err
			}
			defer c.Close()
			return c.Native().DeleteStream(ctx, address) // the name that the driver gave it
		},
	}
}

// greet passes on the server's INFO as a server's that wants TLS.
func greet(client, server net.Conn) error {
	var line []byte
	for b := make([]byte, 1); !bytes.HasSuffix(line, []byte("\n")); line = append(line, b...) {
		if _, err := server.Read(b); err != nil {
			return err
		}
	}
	_, err := client.Write(bytes.Replace(line, []byte("{"), []byte(`{"tls_required":true,`), 1))
	return err
}

func options(s conformance.Settings) *driver.Options {
	o := &driver.Options{
		TLS: s.TLS, Timeout: s.Timeout, MaxBackoff: s.Backoff, KeepAlive: s.KeepAlive, Concurrency: s.Concurrency, Logger: s.Logger,
		NoDeclare: s.NoDeclare, Consumer: func(c *jetstream.ConsumerConfig) { c.AckWait = 2 * time.Second },
	}
	if s.User != "" {
		o.Security = driver.UserPassword{User: s.User, Password: s.Password}
	}
	return o
}

func bindings(c conformance.Channel) *driver.ChannelBindings {
	return &driver.ChannelBindings{Operation: &driver.OperationBindings{Queue: c.Group}}
}
