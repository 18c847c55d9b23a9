package std_test

import (
	"context"
	"fmt"
	"log"

	implIP "github.com/asyncapi-impl/asyncapi-impl/catalog/ip/std"
)

// It needs root or CAP_NET_RAW.
func Example() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	consumer, err := implIP.NewConsumer("127.0.0.1", nil, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer consumer.Close()
	subscriber, err := consumer.Subscriber(ctx, "my-topic", nil)
	if err != nil {
		log.Fatal(err)
	}

	producer, err := implIP.NewProducer(consumer.URL(), nil, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer producer.Close()
	publisher, err := producer.Publisher(context.Background(), "my-topic", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer publisher.Close()
	envelope := implIP.NewEnvelopeOut()
	if _, err = envelope.Write([]byte("Hello, IP!")); err != nil {
		log.Fatal(err)
	}
	if err = publisher.Send(context.Background(), envelope); err != nil {
		log.Fatal(err)
	}

	_ = subscriber.Receive(ctx, func(_ context.Context, e *implIP.EnvelopeIn) error {
		fmt.Printf("%s\n", e.Payload())
		cancel()
		return nil
	})
}
