package std_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"os"

	implHTTP "github.com/asyncapi-impl/asyncapi-impl/catalog/http/std"
)

func Example() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	consumer, err := implHTTP.NewConsumer("localhost:0", nil, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer consumer.Close()
	subscriber, err := consumer.Subscriber(ctx, "my-topic", nil)
	if err != nil {
		log.Fatal(err)
	}
	go func() {
		defer cancel()
		send(consumer.URL())
	}()
	_ = subscriber.Receive(ctx, func(_ context.Context, e *implHTTP.EnvelopeIn) error {
		_, err := fmt.Fprintf(os.Stdout, "%s %s: %s\n", e.Method(), e.Path(), e.Payload())
		return err
	})
	// Output: POST /my-topic: Hello, HTTP!
}

func send(serverURL string) {
	producer, err := implHTTP.NewProducer(serverURL, nil, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer producer.Close()
	publisher, err := producer.Publisher(context.Background(), "my-topic", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer publisher.Close()
	envelope := implHTTP.NewEnvelopeOut()
	if _, err = envelope.Write([]byte("Hello, HTTP!")); err != nil {
		log.Fatal(err)
	}
	if err = publisher.Send(context.Background(), envelope); err != nil {
		log.Fatal(err)
	}
}

// A Consumer on a server of your own, beside what else it serves.
func Example_handler() {
	consumer, err := implHTTP.NewConsumer("http://localhost/events", nil, &implHTTP.Options{HandlerOnly: true})
	if err != nil {
		log.Fatal(err)
	}
	subscriber, err := consumer.Subscriber(context.Background(), "orders/{id}", nil)
	if err != nil {
		log.Fatal(err)
	}
	go func() {
		err := subscriber.Receive(context.Background(), func(ctx context.Context, e *implHTTP.EnvelopeIn) error {
			answer := implHTTP.NewEnvelopeOut()
			answer.SetPayload([]byte("order " + e.Parameter("id") + " taken"))
			return e.Reply(ctx, answer)
		})
		log.Print(err)
	}()
	mux := http.NewServeMux()
	mux.Handle("/events/", consumer.Handler())
	log.Print(http.ListenAndServe("localhost:8080", mux))
}
