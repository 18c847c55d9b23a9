package std_test

import (
	"context"
	"fmt"
	"log"

	implTCP "github.com/asyncapi-impl/asyncapi-impl/catalog/tcp/std"
)

func Example() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	consumer, err := implTCP.NewConsumer("localhost:0", nil, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer consumer.Close()
	subscriber, err := consumer.Subscriber(ctx, "my-topic", nil)
	if err != nil {
		log.Fatal(err)
	}

	producer, err := implTCP.NewProducer(consumer.URL(), nil, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer producer.Close()
	publisher, err := producer.Publisher(context.Background(), "my-topic", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer publisher.Close()
	envelope := implTCP.NewEnvelopeOut()
	if _, err = envelope.Write([]byte("Hello, TCP!")); err != nil {
		log.Fatal(err)
	}
	if err = publisher.Send(context.Background(), envelope); err != nil {
		log.Fatal(err)
	}

	_ = subscriber.Receive(ctx, func(_ context.Context, e *implTCP.EnvelopeIn) error {
		fmt.Printf("%s\n", e.Payload())
		cancel()
		return nil
	})
	// Output: Hello, TCP!
}

// A server that answers each line with another.
func Example_lines() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	lines := &implTCP.Options{Framing: implTCP.Lines()}
	consumer, err := implTCP.NewConsumer("localhost:0", nil, lines)
	if err != nil {
		log.Fatal(err)
	}
	defer consumer.Close()
	server, err := consumer.Subscriber(ctx, "questions", nil)
	if err != nil {
		log.Fatal(err)
	}
	go func() {
		_ = server.Receive(ctx, func(ctx context.Context, e *implTCP.EnvelopeIn) error {
			answer := implTCP.NewEnvelopeOut()
			answer.SetPayload([]byte("you said " + string(e.Payload())))
			return e.Reply(ctx, answer)
		})
	}()

	dialling, err := implTCP.NewConsumer(consumer.URL(), nil, &implTCP.Options{Framing: implTCP.Lines(), Role: implTCP.RoleDial})
	if err != nil {
		log.Fatal(err)
	}
	defer dialling.Close()
	client, err := dialling.Subscriber(ctx, "answers", nil)
	if err != nil {
		log.Fatal(err)
	}
	question := implTCP.NewEnvelopeOut()
	question.SetPayload([]byte("hello"))
	if err = client.Publisher().Send(ctx, question); err != nil {
		log.Fatal(err)
	}
	_ = client.Receive(ctx, func(_ context.Context, e *implTCP.EnvelopeIn) error {
		fmt.Printf("%s\n", e.Payload())
		cancel()
		return nil
	})
	// Output: you said hello
}
