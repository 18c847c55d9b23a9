package jetstream_test

import (
	"cmp"
	"context"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	implJetStream "github.com/asyncapi-impl/asyncapi-impl/catalog/nats/jetstream"
)

var exampleURL = cmp.Or(os.Getenv("NATS_URL"), "localhost:4222")

func Example() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()

	consumer, err := implJetStream.NewConsumer(exampleURL, nil, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer consumer.Close()
	subscriber, err := consumer.Subscriber(ctx, "my-subject", nil)
	if err != nil {
		log.Fatal(err)
	}

	producer, err := implJetStream.NewProducer(exampleURL, nil, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer producer.Close()
	publisher, err := producer.Publisher(context.Background(), "my-subject", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer publisher.Close()
	envelope := implJetStream.NewEnvelopeOut()
	if _, err = envelope.Write([]byte("Hello, NATS!")); err != nil {
		log.Fatal(err)
	}
	if err = publisher.Send(context.Background(), envelope); err != nil {
		log.Fatal(err)
	}

	_ = subscriber.Receive(ctx, func(_ context.Context, e *implJetStream.EnvelopeIn) error {
		fmt.Printf("%s\n", e.Payload())
		cancel()
		return nil
	})
}

// A durable consumer shares the messages among all who read it, and goes on
// where it was. This one keeps them in order, also when one fails.
func Example_durable() {
	consumer, err := implJetStream.NewConsumer(exampleURL, nil, &implJetStream.Options{
		Stream:   func(s *jetstream.StreamConfig) { s.MaxAge = 24 * time.Hour },
		Consumer: func(c *jetstream.ConsumerConfig) { c.MaxAckPending = 1 },
	})
	if err != nil {
		log.Fatal(err)
	}
	defer consumer.Close()
	subscriber, err := consumer.Subscriber(context.Background(), "orders.*", &implJetStream.ChannelBindings{
		Operation: &implJetStream.OperationBindings{Queue: "billing"},
	})
	if err != nil {
		log.Fatal(err)
	}
	err = subscriber.Receive(context.Background(), func(_ context.Context, e *implJetStream.EnvelopeIn) error {
		if len(e.Payload()) == 0 {
			return implJetStream.Reject(fmt.Errorf("%s is empty", e.Subject()))
		}
		fmt.Printf("%s: %s\n", e.Subject(), e.Payload())
		return nil
	})
	log.Print(err)
}
