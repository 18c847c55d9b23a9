package paho_test

import (
	"cmp"
	"context"
	"fmt"
	"log"
	"os"

	implMQTT "github.com/asyncapi-impl/asyncapi-impl/catalog/mqtt/paho"
)

var exampleURL = cmp.Or(os.Getenv("MQTT_URL"), "localhost:1883")

func Example() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()

	consumer, err := implMQTT.NewConsumer(exampleURL, nil, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer consumer.Close()
	subscriber, err := consumer.Subscriber(ctx, "my-topic", nil)
	if err != nil {
		log.Fatal(err)
	}

	producer, err := implMQTT.NewProducer(exampleURL, nil, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer producer.Close()
	publisher, err := producer.Publisher(context.Background(), "my-topic", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer publisher.Close()
	envelope := implMQTT.NewEnvelopeOut()
	if _, err = envelope.Write([]byte("Hello, MQTT!")); err != nil {
		log.Fatal(err)
	}
	if err = publisher.Send(context.Background(), envelope); err != nil {
		log.Fatal(err)
	}

	_ = subscriber.Receive(ctx, func(_ context.Context, e *implMQTT.EnvelopeIn) error {
		fmt.Printf("%s\n", e.Payload())
		cancel()
		return nil
	})
}

// A session that the server keeps, so that nothing is missed while this
// program is away.
func Example_session() {
	kept := false
	consumer, err := implMQTT.NewConsumer(exampleURL, &implMQTT.ServerBindings{
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
	err = subscriber.Receive(context.Background(), func(_ context.Context, e *implMQTT.EnvelopeIn) error {
		if len(e.Payload()) == 0 {
			return implMQTT.Reject(fmt.Errorf("%s: nothing was paid", e.Topic()))
		}
		fmt.Printf("%s: %s\n", e.Topic(), e.Payload())
		return nil
	})
	log.Print(err)
}
