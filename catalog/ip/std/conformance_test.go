package std_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"testing"

	"github.com/asyncapi-impl/asyncapi-impl/catalog/conformance"
	driver "github.com/asyncapi-impl/asyncapi-impl/catalog/ip/std"
)

// testForeign gives another client of the protocol, where there is one, and
// testNative a change to sockets.
var (
	testForeign func(testing.TB) *conformance.Foreign
	testNative  func(*net.IPConn)
	testMust    bool // set where tests must not be skipped
)

func TestConformance(t *testing.T) {
	mayOpen(t)
	w := wiring(true)
	if testForeign != nil {
		w.Foreign = testForeign(t)
	}
	conformance.Run(t, w)
}

// wiring is that of a network that loses datagrams, or of one that does not.
func wiring(lossy bool) conformance.Driver[*driver.EnvelopeOut, *driver.EnvelopeIn] {
	return conformance.Driver[*driver.EnvelopeOut, *driver.EnvelopeIn]{
		Name: "ip/std",
		Capabilities: conformance.Capabilities{
			NoHeaders: true, NoContentType: true, Lossy: lossy, AtMostOnce: true, NoConfirm: true, Unordered: true,
			NoRedelivery: true, NoServer: true, NoConnection: true, NoPersistence: true, NoGroups: true,
			OneSubscriber: true, OneAddress: true, NoMissing: true, NoCredentials: true, MaxPayload: 65515,
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
				s.URL = ownAddress()
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

// mayOpen skips a test that needs raw sockets where the process has none.
func mayOpen(t testing.TB) {
	t.Helper()
	c, err := driver.NewConsumer("127.0.0.1", nil, nil)
	if errors.Is(err, driver.ErrUnauthorized) && !testMust {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}

// ownAddress is an address of the loopback network that no other check has: a
// raw socket gets all that comes to its address.
func ownAddress() string {
	n, pid := addresses.Add(1), os.Getpid()
	return fmt.Sprintf("ip://127.%d.%d.%d", 1+pid%250, 1+n/250, 1+n%250)
}

var addresses atomic.Int64

func options(s conformance.Settings) *driver.Options {
	return &driver.Options{Timeout: s.Timeout, Concurrency: s.Concurrency, Logger: s.Logger, Native: testNative}
}
