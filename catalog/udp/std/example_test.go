package std_test

import (
	"context"
	"fmt"
	"log"

	implUDP "github.com/asyncapi-impl/asyncapi-impl/catalog/udp/std"
)

func Example() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	consumer, err := implUDP.NewConsumer("127.0.0.1:0", nil, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer consumer.Close()
	subscriber, err := consumer.Subscriber(ctx, "my-topic", nil)
	if err != nil {
		log.Fatal(err)
	}

	producer, err := implUDP.NewProducer(consumer.URL(), nil, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer producer.Close()
	publisher, err := producer.Publisher(context.Background(), "my-topic", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer publisher.Close()
	envelope := implUDP.NewEnvelopeOut()
	if _, err = envelope.Write([]byte("Hello, UDP!")); err != nil {
		log.Fatal(err)
	}
	if err = publisher.Send(context.Background(), envelope); err != nil {
		log.Fatal(err)
	}

	_ = subscriber.Receive(ctx, func(_ context.Context, e *implUDP.EnvelopeIn) error {
		fmt.Printf("%s\n", e.Payload())
		cancel()
		return nil
	})
	// Output: Hello, UDP!
}
