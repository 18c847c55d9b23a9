package gobwas_test

import (
	"context"
	"errors"
	"testing"

	"github.com/asyncapi-impl/asyncapi-impl/catalog/conformance"
	driver "github.com/asyncapi-impl/asyncapi-impl/catalog/ws/gobwas"
)

// testForeign gives another client of the protocol, and testBroker a listening
// side that demands a password, where there are such.
var (
	testForeign func(testing.TB) *conformance.Foreign
	testBroker  func(testing.TB) *conformance.Broker
)

func TestConformance(t *testing.T) {
	w := wiring()
	if testForeign != nil {
		w.Foreign, w.Broker = testForeign(t), testBroker(t)
	}
	conformance.Run(t, w)
}

func wiring() conformance.Driver[*driver.EnvelopeOut, *driver.EnvelopeIn] {
	return conformance.Driver[*driver.EnvelopeOut, *driver.EnvelopeIn]{
		Name: "ws/gobwas",
		Capabilities: conformance.Capabilities{
			NoHeaders: true, NoContentType: true, AtMostOnce: true, NoConfirm: true, NoRedelivery: true,
			NoServer: true, NoPersistence: true, NoGroups: true, OneSubscriber: true, NoMissing: true,
			MaxPayload: 4 << 20,
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
			if s.URL == "" {
				s.URL = "ws://127.0.0.1:0"
			}
			c, err := driver.NewConsumer(s.URL, nil, options(s))
			if err != nil {
				return conformance.Consumer[*driver.EnvelopeIn]{}, err
			}
			return conformance.Consumer[*driver.EnvelopeIn]{
				Subscriber: func(ctx context.Context, address string, _ conformance.Channel) (conformance.Subscriber[*driver.EnvelopeIn], error) {
					return c.Subscriber(ctx, address, nil)
				},
				Close: c.Close,
				URL:   c.URL,
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
		SecureScheme: "wss",
	}
}

func options(s conformance.Settings) *driver.Options {
	o := &driver.Options{
		TLS: s.TLS, Timeout: s.Timeout, MinBackoff: s.Backoff / 4, MaxBackoff: s.Backoff,
		Concurrency: s.Concurrency, Logger: s.Logger, PingInterval: s.KeepAlive,
	}
	if s.User != "" {
		o.Security = driver.UserPassword{User: s.User, Password: s.Password}
	}
	return o
}
