package mem_test

import (
	"context"
	"errors"
	"testing"

	"example.com/app/impl/conformance"
	driver "example.com/app/impl/mem"
)

// TestConformance needs no server.
func TestConformance(t *testing.T) { conformance.Run(t, wiring()) }

func wiring() conformance.Driver[*driver.EnvelopeOut, *driver.EnvelopeIn] {
	return conformance.Driver[*driver.EnvelopeOut, *driver.EnvelopeIn]{
		Name: "mem/own",
		Capabilities: conformance.Capabilities{
			NoServer: true, NoConnection: true, NoCredentials: true, NoPersistence: true, NoGroups: true, NoMissing: true,
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
			if s.URL == "" {
				s.URL = "mem://"
			}
			c, err := driver.NewConsumer(s.URL, nil, options(s))
			if err != nil {
				return conformance.Consumer[*driver.EnvelopeIn]{}, err
			}
			return conformance.Consumer[*driver.EnvelopeIn]{
				Subscriber: func(ctx context.Context, address string, ch conformance.Channel) (conformance.Subscriber[*driver.EnvelopeIn], error) {
					return c.Subscriber(ctx, address, bindings(ch))
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
	}
}

// options are the suite's settings as the driver has them.
func options(s conformance.Settings) *driver.Options {
	o := &driver.Options{TLS: s.TLS, Timeout: s.Timeout, MaxBackoff: s.Backoff, Concurrency: s.Concurrency, Logger: s.Logger}
	if s.User != "" {
		o.Security = driver.UserPassword{User: s.User, Password: s.Password}
	}
	return o
}

// bindings are the channel's. Where the protocol has groups, c.Group is one.
func bindings(conformance.Channel) *driver.ChannelBindings { return nil }
