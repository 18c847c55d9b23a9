package std_test

import (
	"context"
	"errors"
	"testing"

	"github.com/asyncapi-impl/asyncapi-impl/catalog/conformance"
	driver "github.com/asyncapi-impl/asyncapi-impl/catalog/http/std"
)

// testForeign is another HTTP client and server.
var testForeign *conformance.Foreign

func TestConformance(t *testing.T) { conformance.Run(t, wiring()) }

func wiring() conformance.Driver[*driver.EnvelopeOut, *driver.EnvelopeIn] {
	const maxBody = 4 << 20
	options := func(s conformance.Settings) *driver.Options {
		o := &driver.Options{
			TLS: s.TLS, Timeout: s.Timeout, MaxBackoff: s.Backoff, Concurrency: s.Concurrency, Logger: s.Logger, MaxBody: maxBody,
		}
		if s.User != "" {
			o.Security = driver.UserPassword{User: s.User, Password: s.Password}
		}
		return o
	}
	return conformance.Driver[*driver.EnvelopeOut, *driver.EnvelopeIn]{
		Name: "http/std",
		Capabilities: conformance.Capabilities{
			NoServer: true, Answered: true, Refuses: true, Unordered: true, NoRedelivery: true, NoPersistence: true, NoGroups: true,
			OneSubscriber: true, FoldedHeaderKeys: true, MaxPayload: maxBody,
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
				s.URL = "http://127.0.0.1:0"
			}
			c, err := driver.NewConsumer(s.URL, nil, options(s))
			if err != nil {
				return conformance.Consumer[*driver.EnvelopeIn]{}, err
			}
			return conformance.Consumer[*driver.EnvelopeIn]{
				Subscriber: func(ctx context.Context, address string, _ conformance.Channel) (conformance.Subscriber[*driver.EnvelopeIn], error) {
					return c.Subscriber(ctx, address, nil)
				},
				Close: c.Close, URL: c.URL,
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
		SecureScheme: "https",
		Request: func(ctx context.Context, p conformance.Publisher[*driver.EnvelopeOut], e *driver.EnvelopeOut) (*driver.EnvelopeIn, error) {
			return p.(*driver.Publisher).Request(ctx, e)
		},
		Reply:   func(ctx context.Context, in *driver.EnvelopeIn, e *driver.EnvelopeOut) error { return in.Reply(ctx, e) },
		Foreign: testForeign,
	}
}
