package std_test

import (
	"context"
	"errors"
	"net"
	"testing"

	"github.com/asyncapi-impl/asyncapi-impl/catalog/conformance"
	driver "github.com/asyncapi-impl/asyncapi-impl/catalog/udp/std"
)

// testForeign gives another client of the protocol, where there is one, and
// testNative a change to sockets.
var (
	testForeign func(testing.TB) *conformance.Foreign
	testNative  func(*net.UDPConn)
)

func TestConformance(t *testing.T) {
	w := wiring(true)
	if testForeign != nil {
		w.Foreign = testForeign(t)
	}
	conformance.Run(t, w)
}

// wiring is that of a network that loses datagrams, or of one that does not.
func wiring(lossy bool) conformance.Driver[*driver.EnvelopeOut, *driver.EnvelopeIn] {
	return conformance.Driver[*driver.EnvelopeOut, *driver.EnvelopeIn]{
		Name: "udp/std",
		Capabilities: conformance.Capabilities{
			NoHeaders: true, NoContentType: true, Lossy: lossy, AtMostOnce: true, NoConfirm: true, Unordered: true,
			NoRedelivery: true, NoServer: true, NoConnection: true, NoPersistence: true, NoGroups: true,
			OneSubscriber: true, OneAddress: true, NoMissing: true, NoCredentials: true, MaxPayload: 65507,
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
				s.URL = "udp://127.0.0.1:0"
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
	}
}

func options(s conformance.Settings) *driver.Options {
	return &driver.Options{Timeout: s.Timeout, Concurrency: s.Concurrency, Logger: s.Logger, Native: testNative}
}
