package coder_test

import (
	"context"
	"fmt"
	"log"

	implWS "github.com/asyncapi-impl/asyncapi-impl/catalog/ws/coder"
)

func Example() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()

	consumer, err := implWS.NewConsumer("localhost:0", nil, nil) // any free port
	if err != nil {
		log.Fatal(err)
	}
	defer consumer.Close()
	subscriber, err := consumer.Subscriber(ctx, "my-topic", nil)
	if err != nil {
		log.Fatal(err)
	}

	producer, err := implWS.NewProducer(consumer.URL(), nil, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer producer.Close()
	publisher, err := producer.Publisher(context.Background(), "my-topic", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer publisher.Close()
	envelope := implWS.NewEnvelopeOut()
	if _, err = envelope.Write([]byte("Hello, WebSocket!")); err != nil {
		log.Fatal(err)
	}
	if err = publisher.Send(context.Background(), envelope); err != nil {
		log.Fatal(err)
	}

	_ = subscriber.Receive(ctx, func(_ context.Context, e *implWS.EnvelopeIn) error {
		fmt.Printf("%s\n", e.Payload())
		cancel()
		return nil
	})
	// Output: Hello, WebSocket!
}
