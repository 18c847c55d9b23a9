package goredis_test

import (
	"cmp"
	"context"
	"fmt"
	"log"
	"os"

	implRedis "github.com/asyncapi-impl/asyncapi-impl/catalog/redis/goredis"
)

var exampleURL = cmp.Or(os.Getenv("REDIS_URL"), "localhost:6379")

func Example() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()

	consumer, err := implRedis.NewConsumer(exampleURL, nil, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer consumer.Close()
	subscriber, err := consumer.Subscriber(ctx, "my-channel", nil)
	if err != nil {
		log.Fatal(err)
	}

	producer, err := implRedis.NewProducer(exampleURL, nil, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer producer.Close()
	publisher, err := producer.Publisher(context.Background(), "my-channel", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer publisher.Close()
	envelope := implRedis.NewEnvelopeOut()
	if _, err = envelope.Write([]byte("Hello, Redis!")); err != nil {
		log.Fatal(err)
	}
	if err = publisher.Send(context.Background(), envelope); err != nil {
		log.Fatal(err)
	}

	_ = subscriber.Receive(ctx, func(_ context.Context, e *implRedis.EnvelopeIn) error {
		fmt.Printf("%s\n", e.Payload())
		cancel()
		return nil
	})
}

// A pattern subscribes to every channel whose name matches.
func Example_pattern() {
	consumer, err := implRedis.NewConsumer(exampleURL, nil, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer consumer.Close()
	subscriber, err := consumer.Subscriber(context.Background(), "orders.*", &implRedis.ChannelBindings{Pattern: true})
	if err != nil {
		log.Fatal(err)
	}
	err = subscriber.Receive(context.Background(), func(_ context.Context, e *implRedis.EnvelopeIn) error {
		fmt.Printf("%s: %s\n", e.Address(), e.Payload())
		return nil
	})
	log.Print(err)
}
