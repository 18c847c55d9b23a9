package streadway_test

import (
	"context"
	"fmt"
	"testing"

	amqp "github.com/streadway/amqp"

	driver "github.com/asyncapi-impl/asyncapi-impl/catalog/amqp/streadway"
	"github.com/asyncapi-impl/asyncapi-impl/internal/brokers"
)

// The bare library does what a user would write with it for the same promise:
// persistent messages with confirms, and acknowledgements one by one.

func BenchmarkSend(b *testing.B) {
	url, payload := brokers.RabbitMQ(b).URL, make([]byte, 1024)
	for _, size := range []int{1, 100} {
		b.Run(fmt.Sprintf("batch=%d/driver", size), func(b *testing.B) {
			pub := publisher(b, producer(b, url, nil), newName(), nil)
			envelopes := make([]*driver.EnvelopeOut, size)
			for i := range envelopes {
				envelopes[i] = driver.NewEnvelopeOut()
				envelopes[i].SetPayload(payload)
			}
			b.ReportAllocs()
			b.SetBytes(int64(size * len(payload)))
			for b.Loop() {
				if err := pub.Send(context.Background(), envelopes...); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("batch=%d/library", size), func(b *testing.B) {
			channel, queue := bare(b, url), newName()
			if _, err := channel.QueueDeclare(queue, true, false, false, false, nil); err != nil {
				b.Fatal(err)
			}
			if err := channel.Confirm(false); err != nil {
				b.Fatal(err)
			}
			confirms := channel.NotifyPublish(make(chan amqp.Confirmation, size))
			b.ReportAllocs()
			b.SetBytes(int64(size * len(payload)))
			for b.Loop() {
				for range size {
					if err := channel.Publish("", queue, true, false, amqp.Publishing{DeliveryMode: amqp.Persistent, Body: payload}); err != nil {
						b.Fatal(err)
					}
				}
				for range size {
					if c := <-confirms; !c.Ack {
						b.Fatal("not confirmed")
					}
				}
			}
		})
	}
}

func BenchmarkReceive(b *testing.B) {
	url, payload := brokers.RabbitMQ(b).URL, make([]byte, 1024)
	const prefetch = 100
	fill := func(b *testing.B) string {
		queue := newName()
		pub := publisher(b, producer(b, url, nil), queue, nil)
		for sent := 0; sent < b.N; sent += 100 {
			envelopes := make([]*driver.EnvelopeOut, min(100, b.N-sent))
			for i := range envelopes {
				envelopes[i] = driver.NewEnvelopeOut()
				envelopes[i].SetPayload(payload)
			}
			send(b, pub, envelopes...)
		}
		return queue
	}
	b.Run("driver", func(b *testing.B) {
		queue := fill(b)
		sub := subscriber(b, consumer(b, url, &driver.Options{Prefetch: prefetch}), queue, nil)
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		b.ReportAllocs()
		b.SetBytes(int64(len(payload)))
		b.ResetTimer()
		n := 0
		_ = sub.Receive(ctx, func(context.Context, *driver.EnvelopeIn) error {
			if n++; n == b.N {
				cancel()
			}
			return nil
		})
	})
	b.Run("library", func(b *testing.B) {
		queue := fill(b)
		channel := bare(b, url)
		if err := channel.Qos(prefetch, 0, false); err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		b.SetBytes(int64(len(payload)))
		b.ResetTimer()
		deliveries, err := channel.Consume(queue, "", false, false, false, false, nil)
		if err != nil {
			b.Fatal(err)
		}
		for range b.N {
			d := <-deliveries
			if err := d.Ack(false); err != nil {
				b.Fatal(err)
			}
		}
	})
}
