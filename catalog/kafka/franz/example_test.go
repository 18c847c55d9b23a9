package franz_test

import (
	"cmp"
	"context"
	"fmt"
	"log"
	"os"

	implKafka "github.com/asyncapi-impl/asyncapi-impl/catalog/kafka/franz"
)

var exampleURL = cmp.Or(os.Getenv("KAFKA_URL"), "localhost:9092")

func Example() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()

	consumer, err := implKafka.NewConsumer(exampleURL, nil, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer consumer.Close()
	subscriber, err := consumer.Subscriber(ctx, "my-topic", nil)
	if err != nil {
		log.Fatal(err)
	}

	producer, err := implKafka.NewProducer(exampleURL, nil, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer producer.Close()
	publisher, err := producer.Publisher(context.Background(), "my-topic", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer publisher.Close()
	envelope := implKafka.NewEnvelopeOut()
	if _, err = envelope.Write([]byte("Hello, Kafka!")); err != nil {
		log.Fatal(err)
	}
	if err = publisher.Send(context.Background(), envelope); err != nil {
		log.Fatal(err)
	}

	_ = subscriber.Receive(ctx, func(_ context.Context, e *implKafka.EnvelopeIn) error {
		fmt.Printf("%s\n", e.Payload())
		cancel()
		return nil
	})
}

// A group shares the records among its members, and goes on where it was.
func Example_group() {
	consumer, err := implKafka.NewConsumer(exampleURL, nil, &implKafka.Options{Concurrency: 4})
	if err != nil {
		log.Fatal(err)
	}
	defer consumer.Close()
	subscriber, err := consumer.Subscriber(context.Background(), "orders", &implKafka.ChannelBindings{
		Operation: &implKafka.OperationBindings{GroupID: "billing"},
	})
	if err != nil {
		log.Fatal(err)
	}
	err = subscriber.Receive(context.Background(), func(_ context.Context, e *implKafka.EnvelopeIn) error {
		if len(e.Key()) == 0 {
			return implKafka.Reject(fmt.Errorf("record %d has no key", e.Offset()))
		}
		fmt.Printf("%s: %s\n", e.Key(), e.Payload())
		return nil
	})
	log.Print(err)
}
