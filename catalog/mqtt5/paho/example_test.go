package paho_test

import (
	"cmp"
	"context"
	"fmt"
	"log"
	"os"

	implMQTT5 "github.com/asyncapi-impl/asyncapi-impl/catalog/mqtt5/paho"
)

var exampleURL = cmp.Or(os.Getenv("MQTT_URL"), "localhost:1883")

func Example() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()

	consumer, err := implMQTT5.NewConsumer(exampleURL, nil, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer consumer.Close()
	subscriber, err := consumer.Subscriber(ctx, "my-topic", nil)
	if err != nil {
		log.Fatal(err)
	}

	producer, err := implMQTT5.NewProducer(exampleURL, nil, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer producer.Close()
	publisher, err := producer.Publisher(context.Background(), "my-topic", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer publisher.Close()
	envelope := implMQTT5.NewEnvelopeOut()
	if _, err = envelope.Write([]byte("Hello, MQTT 5!")); err != nil {
		log.Fatal(err)
	}
	if err = publisher.Send(context.Background(), envelope); err != nil {
		log.Fatal(err)
	}

	_ = subscriber.Receive(ctx, func(_ context.Context, e *implMQTT5.EnvelopeIn) error {
		fmt.Printf("%s\n", e.Payload())
		cancel()
		return nil
	})
}

// A session that the server keeps, so that nothing is missed while this
// program is away.
func Example_session() {
	kept := false
	consumer, err := implMQTT5.NewConsumer(exampleURL, &implMQTT5.ServerBindings{
		ClientID: "billing", CleanSession: &kept,
	}, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer consumer.Close()
	subscriber, err := consumer.Subscriber(context.Background(), "orders/+/paid", nil)
	if err != nil {
		log.Fatal(err)
	}
	err = subscriber.Receive(context.Background(), func(_ context.Context, e *implMQTT5.EnvelopeIn) error {
		if e.ContentType() != "application/json" {
			return implMQTT5.Reject(fmt.Errorf("unknown content type %q", e.ContentType()))
		}
		fmt.Printf("%s: %s\n", e.Topic(), e.Payload())
		return nil
	})
	log.Print(err)
}

// A request waits for its reply; whoever handles it answers with Reply.
func Example_request() {
	producer, err := implMQTT5.NewProducer(exampleURL, nil, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer producer.Close()
	publisher, err := producer.Publisher(context.Background(), "prices/get", nil)
	if err != nil {
		log.Fatal(err)
	}
	envelope := implMQTT5.NewEnvelopeOut()
	envelope.SetPayload([]byte("tea"))
	reply, err := publisher.Request(context.Background(), envelope)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", reply.Payload())
}
