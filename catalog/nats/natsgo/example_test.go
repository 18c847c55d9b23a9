package natsgo_test

import (
	"cmp"
	"context"
	"fmt"
	"log"
	"os"

	implNATS "github.com/asyncapi-impl/asyncapi-impl/catalog/nats/natsgo"
)

var exampleURL = cmp.Or(os.Getenv("NATS_URL"), "localhost:4222")

func Example() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()

	consumer, err := implNATS.NewConsumer(exampleURL, nil, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer consumer.Close()
	subscriber, err := consumer.Subscriber(ctx, "my-subject", nil)
	if err != nil {
		log.Fatal(err)
	}

	producer, err := implNATS.NewProducer(exampleURL, nil, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer producer.Close()
	publisher, err := producer.Publisher(context.Background(), "my-subject", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer publisher.Close()
	envelope := implNATS.NewEnvelopeOut()
	if _, err = envelope.Write([]byte("Hello, NATS!")); err != nil {
		log.Fatal(err)
	}
	if err = publisher.Send(context.Background(), envelope); err != nil {
		log.Fatal(err)
	}

	_ = subscriber.Receive(ctx, func(_ context.Context, e *implNATS.EnvelopeIn) error {
		fmt.Printf("%s\n", e.Payload())
		cancel()
		return nil
	})
}

// A queue group shares the requests among its members.
func Example_reply() {
	ctx, cancel := context.WithCancel(context.Background())
	consumer, err := implNATS.NewConsumer(exampleURL, nil, &implNATS.Options{Concurrency: 4})
	if err != nil {
		log.Fatal(err)
	}
	defer consumer.Close()
	subscriber, err := consumer.Subscriber(ctx, "greet.*", &implNATS.ChannelBindings{
		Operation: &implNATS.OperationBindings{Queue: "greeters"},
	})
	if err != nil {
		log.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = subscriber.Receive(ctx, func(ctx context.Context, e *implNATS.EnvelopeIn) error {
			reply := implNATS.NewEnvelopeOut()
			fmt.Fprintf(reply, "Hello, %s!", e.Payload())
			return e.Reply(ctx, reply)
		})
	}()

	producer, err := implNATS.NewProducer(exampleURL, nil, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer producer.Close()
	publisher, err := producer.Publisher(ctx, "greet.politely", nil)
	if err != nil {
		log.Fatal(err)
	}
	request := implNATS.NewEnvelopeOut()
	request.SetPayload([]byte("NATS"))
	reply, err := publisher.Request(ctx, request)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", reply.Payload())
	cancel()
	<-done
}
