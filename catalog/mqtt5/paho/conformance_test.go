package paho_test

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/asyncapi-impl/asyncapi-impl/catalog/conformance"
	driver "github.com/asyncapi-impl/asyncapi-impl/catalog/mqtt5/paho"
)

// testBroker gives the server to test against, and another client of it.
// Without it the server is the one that MQTT_URL names.
var testBroker func(testing.TB) (*conformance.Broker, *conformance.Foreign)

// receiveMaximum is Options.ReceiveMaximum in the checks.
var receiveMaximum int

func TestConformance(t *testing.T) {
	broker, foreign := &conformance.Broker{Name: "mqtt", URL: os.Getenv("MQTT_URL")}, (*conformance.Foreign)(nil)
	if testBroker != nil {
		broker, foreign = testBroker(t)
	}
	if broker.URL == "" {
		t.Skip("set MQTT_URL to the server to test against, as in mqtt://localhost:1883")
	}
	d := wiring(broker)
	d.Foreign = foreign
	conformance.Run(t, d)
}

func wiring(broker *conformance.Broker) conformance.Driver[*driver.EnvelopeOut, *driver.EnvelopeIn] {
	return conformance.Driver[*driver.EnvelopeOut, *driver.EnvelopeIn]{
		Name:         "mqtt5/paho",
		Broker:       broker,
		Capabilities: conformance.Capabilities{NoMissing: true, NoHandover: true},
		NewEnvelope:  driver.NewEnvelopeOut,
		NewProducer: func(s conformance.Settings) (conformance.Producer[*driver.EnvelopeOut], error) {
			p, err := driver.NewProducer(s.URL, server(s), options(s))
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
			c, err := driver.NewConsumer(s.URL, server(s), options(s))
			if err != nil {
				return conformance.Consumer[*driver.EnvelopeIn]{}, err
			}
			return conformance.Consumer[*driver.EnvelopeIn]{
				Subscriber: func(ctx context.Context, address string, ch conformance.Channel) (conformance.Subscriber[*driver.EnvelopeIn], error) {
					return c.Subscriber(ctx, address, channel(ch))
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
		SecureScheme: "mqtts",
		Request: func(ctx context.Context, p conformance.Publisher[*driver.EnvelopeOut], e *driver.EnvelopeOut) (*driver.EnvelopeIn, error) {
			return p.(*driver.Publisher).Request(ctx, e)
		},
		Reply: func(ctx context.Context, request *driver.EnvelopeIn, e *driver.EnvelopeOut) error {
			return request.Reply(ctx, e)
		},
	}
}

// channel makes a shared subscription of a group with several members. Where
// a group is one subscriber its session is enough.
func channel(c conformance.Channel) *driver.ChannelBindings {
	if !c.Shared {
		return nil
	}
	return &driver.ChannelBindings{Operation: &driver.OperationBindings{Group: c.Group}}
}

// server gives a session that is to be kept the client id that it is kept
// under, another one in every check.
func server(s conformance.Settings) *driver.ServerBindings {
	b := &driver.ServerBindings{}
	if s.Session != "" {
		kept := false
		b.ClientID, b.CleanSession = s.Session, &kept
	}
	if s.KeepAlive > 0 {
		seconds := int(s.KeepAlive / time.Second)
		b.KeepAlive = &seconds
	}
	return b
}

func options(s conformance.Settings) *driver.Options {
	o := &driver.Options{
		TLS: s.TLS, Timeout: s.Timeout, MaxBackoff: s.Backoff, Concurrency: s.Concurrency, Logger: s.Logger,
		ReceiveMaximum: receiveMaximum,
	}
	if s.User != "" {
		o.Security = driver.UserPassword{User: s.User, Password: s.Password}
	}
	return o
}
