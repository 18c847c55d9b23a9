package streadway_test

import (
	"context"
	"fmt"
	"log"
	"os"

	implAMQP "github.com/asyncapi-impl/asyncapi-impl/catalog/amqp/streadway"
)

var exampleURL = "localhost:5672"

func init() {
	if url := os.Getenv("AMQP_URL"); url != "" {
		exampleURL = url
	}
}

func Example() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()

	producer, err := implAMQP.NewProducer(exampleURL, nil, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer producer.Close()
	publisher, err := producer.Publisher(context.Background(), "my-queue", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer publisher.Close()
	envelope := implAMQP.NewEnvelopeOut()
	if _, err = envelope.Write([]byte("Hello, RabbitMQ!")); err != nil {
		log.Fatal(err)
	}
	if err = publisher.Send(context.Background(), envelope); err != nil {
		log.Fatal(err)
	}

	consumer, err := implAMQP.NewConsumer(exampleURL, nil, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer consumer.Close()
	subscriber, err := consumer.Subscriber(ctx, "my-queue", nil)
	if err != nil {
		log.Fatal(err)
	}
	_ = subscriber.Receive(ctx, func(_ context.Context, e *implAMQP.EnvelopeIn) error {
		fmt.Printf("%s\n", e.Payload())
		cancel()
		return nil
	})
}

// An exchange gives each Subscriber the messages whose routing key matches.
func Example_exchange() {
	consumer, err := implAMQP.NewConsumer(exampleURL, nil, &implAMQP.Options{Concurrency: 4})
	if err != nil {
		log.Fatal(err)
	}
	defer consumer.Close()
	subscriber, err := consumer.Subscriber(context.Background(), "orders.*", &implAMQP.ChannelBindings{
		Exchange: &implAMQP.Exchange{Name: "shop", Type: "topic"},
	})
	if err != nil {
		log.Fatal(err)
	}
	err = subscriber.Receive(context.Background(), func(_ context.Context, e *implAMQP.EnvelopeIn) error {
		if e.ContentType() != "application/json" {
			return implAMQP.Reject(fmt.Errorf("message %s is no JSON", e.MessageID()))
		}
		fmt.Printf("%s: %s\n", e.RoutingKey(), e.Payload())
		return nil
	})
	log.Print(err)
}

// A request waits for its reply.
func Example_request() {
	producer, err := implAMQP.NewProducer(exampleURL, nil, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer producer.Close()
	publisher, err := producer.Publisher(context.Background(), "sums", nil)
	if err != nil {
		log.Fatal(err)
	}
	request := implAMQP.NewEnvelopeOut()
	request.SetPayload([]byte("1 + 1"))
	reply, err := publisher.Request(context.Background(), request)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", reply.Payload())
}
