package jetstream_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	driver "github.com/asyncapi-impl/asyncapi-impl/catalog/nats/jetstream"
	"github.com/asyncapi-impl/asyncapi-impl/internal/natstest"
)

// The bare library does what a user would write with it for the same promise.

func library(b *testing.B, url string) jetstream.JetStream {
	nc, err := nats.Connect(url)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		b.Fatal(err)
	}
	return js
}

func BenchmarkSend(b *testing.B) {
	url, payload := natstest.URL(b), make([]byte, 1024)
	p, js := producer(b, url, nil), library(b, url)
	for _, size := range []int{1, 100} {
		b.Run(fmt.Sprintf("batch=%d/driver", size), func(b *testing.B) {
			pub := publisher(b, p, newSubject())
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
			subject := newSubject()
			publisher(b, p, subject) // makes the stream
			acks := make([]jetstream.PubAckFuture, size)
			b.ReportAllocs()
			b.SetBytes(int64(size * len(payload)))
			for b.Loop() {
				for i := range acks {
					var err error
					if acks[i], err = js.PublishAsync(subject, payload); err != nil {
						b.Fatal(err)
					}
				}
				for _, ack := range acks {
					select {
					case <-ack.Ok():
					case err := <-ack.Err():
						b.Fatal(err)
					}
				}
			}
		})
	}
}

func BenchmarkReceive(b *testing.B) {
	url, payload, subject := natstest.URL(b), make([]byte, 1024), newSubject()
	const messages = 10_000
	pub := publisher(b, producer(b, url, nil), subject)
	for range messages / 100 {
		envelopes := make([]*driver.EnvelopeOut, 100)
		for i := range envelopes {
			envelopes[i] = driver.NewEnvelopeOut()
			envelopes[i].SetPayload(payload)
		}
		send(b, pub, envelopes...)
	}
	c, js := consumer(b, url, nil), library(b, url)
	queue := 0
	b.Run("driver", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(messages * int64(len(payload)))
		for b.Loop() {
			b.StopTimer()
			queue++
			sub := subscriber(b, c, subject, inQueue(fmt.Sprint("d", queue)))
			b.StartTimer()
			ctx, cancel := context.WithCancel(context.Background())
			n := 0
			_ = sub.Receive(ctx, func(context.Context, *driver.EnvelopeIn) error {
				if n++; n == messages {
					b.StopTimer()
					cancel()
				}
				return nil
			})
			b.StartTimer()
		}
	})
	b.Run("library", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(messages * int64(len(payload)))
		for b.Loop() {
			b.StopTimer()
			queue++
			consumer, err := js.CreateConsumer(context.Background(), strings.ReplaceAll(subject, ".", "_"), jetstream.ConsumerConfig{
				Durable: fmt.Sprint("l", queue), AckPolicy: jetstream.AckExplicitPolicy, MaxAckPending: 256,
			})
			if err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
			done := make(chan struct{})
			n := 0
			pull, err := consumer.Consume(func(m jetstream.Msg) {
				if err := m.Ack(); err != nil {
					b.Error(err)
				}
				if n++; n == messages {
					close(done)
				}
			}, jetstream.PullMaxMessages(256))
			if err != nil {
				b.Fatal(err)
			}
			select {
			case <-done:
			case <-time.After(time.Minute):
				b.Fatal("not all came")
			}
			b.StopTimer()
			pull.Stop()
			b.StartTimer()
		}
	})
}
