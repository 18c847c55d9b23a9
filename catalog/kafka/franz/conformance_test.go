package franz_test

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/asyncapi-impl/asyncapi-impl/catalog/conformance"
	driver "github.com/asyncapi-impl/asyncapi-impl/catalog/kafka/franz"
)

// testBroker gives the server to test against. Without it the server is the
// one that KAFKA_URL names. testForeign is another Kafka client.
var (
	testBroker  func(testing.TB) *conformance.Broker
	testForeign *conformance.Foreign
)

func TestConformance(t *testing.T) {
	broker := &conformance.Broker{Name: "kafka", URL: os.Getenv("KAFKA_URL")}
	if testBroker != nil {
		broker = testBroker(t)
	}
	if broker.URL == "" {
		t.Skip("set KAFKA_URL to the server to test against, as in kafka://localhost:9092")
	}
	conformance.Run(t, wiring(broker))
}

func wiring(broker *conformance.Broker) conformance.Driver[*driver.EnvelopeOut, *driver.EnvelopeIn] {
	return conformance.Driver[*driver.EnvelopeOut, *driver.EnvelopeIn]{
		Name:   "kafka/franz",
		Broker: broker,
		// The server's default for max.message.bytes, less what a batch of one
		// record without key and headers adds to the payload.
		Capabilities: conformance.Capabilities{MaxPayload: 1_048_588 - 72},
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
		SecureScheme: "kafka-secure",
		Foreign:      testForeign,
		SetKey:       func(e *driver.EnvelopeOut, key string) { e.SetKey([]byte(key)) },
		Delete: func(ctx context.Context, address string) error {
			p, err := driver.NewProducer(broker.URL, nil, nil)
			if err != nil {
				return err
			}
			defer p.Close()
			request := kmsg.NewPtrDeleteTopicsRequest()
			request.TopicNames, request.TimeoutMillis = []string{address}, 10_000
			topic := kmsg.NewDeleteTopicsRequestTopic()
			topic.Topic = &address
			request.Topics = append(request.Topics, topic)
			response, err := request.RequestWith(ctx, p.Native())
			if err != nil {
				return err
			}
			return kerr.ErrorForCode(response.Topics[0].ErrorCode)
		},
	}
}

func options(s conformance.Settings) *driver.Options {
	o := &driver.Options{
		TLS: s.TLS, Timeout: s.Timeout, MaxBackoff: s.Backoff, Concurrency: s.Concurrency, Logger: s.Logger,
		NoDeclare: s.NoDeclare, SessionTimeout: cmp.Or(s.KeepAlive, 6*time.Second),
		// The server names its own address: stay on the one that was given.
		Native: []kgo.Opt{kgo.Dialer(func(ctx context.Context, network, _ string) (net.Conn, error) {
			scheme, host, _ := strings.Cut(s.URL, "://")
			if s.TLS != nil || scheme == "kafka-secure" {
				return (&tls.Dialer{Config: s.TLS}).DialContext(ctx, network, host)
			}
			return new(net.Dialer).DialContext(ctx, network, host)
		})},
	}
	if s.User != "" {
		o.Security = driver.ScramSHA256{User: s.User, Password: s.Password}
	}
	return o
}

func bindings(c conformance.Channel) *driver.ChannelBindings {
	partitions := max(c.Partitions, 1)
	return &driver.ChannelBindings{Partitions: &partitions, Operation: &driver.OperationBindings{GroupID: driver.Value(c.Group)}}
}
