package coder_test

import (
	"context"
	"fmt"
	"log"
	"net/http"

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

// A server of your own with rooms, in which everybody hears everybody.
func ExampleConsumer_Handler() {
	consumer, err := implWS.NewConsumer("", nil, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer consumer.Close()
	room, err := consumer.Subscriber(context.Background(), "rooms/red", nil)
	if err != nil {
		log.Fatal(err)
	}
	go func() {
		http.Handle("/rooms/", consumer.Handler())
		log.Print(http.ListenAndServe("localhost:8080", nil))
	}()
	err = room.Receive(context.Background(), func(ctx context.Context, e *implWS.EnvelopeIn) error {
		out := implWS.NewEnvelopeOut()
		out.SetOpCode(e.OpCode())
		out.SetPayload(e.Payload())
		return room.Publisher().Send(ctx, out)
	})
	log.Print(err)
}

// A client of a server's feed, which asks for it anew on every connection.
func ExampleOptions_feed() {
	consumer, err := implWS.NewConsumer("wss://feed.example.com", nil, &implWS.Options{
		Role: implWS.RoleDial,
		OnConnect: func(ctx context.Context, peer *implWS.Peer) error {
			ask := implWS.NewEnvelopeOut()
			ask.SetOpCode(implWS.OpText)
			ask.SetPayload([]byte(`{"event":"subscribe","pair":["XBT/EUR"]}`))
			return peer.Send(ctx, ask)
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer consumer.Close()
	feed, err := consumer.Subscriber(context.Background(), "/", nil)
	if err != nil {
		log.Fatal(err)
	}
	err = feed.Receive(context.Background(), func(_ context.Context, e *implWS.EnvelopeIn) error {
		fmt.Printf("%s\n", e.Payload())
		return nil
	})
	log.Print(err)
}
