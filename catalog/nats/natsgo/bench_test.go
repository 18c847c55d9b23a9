package natsgo_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	driver "github.com/asyncapi-impl/asyncapi-impl/catalog/nats/natsgo"
	"github.com/asyncapi-impl/asyncapi-impl/internal/natstest"
)

// The bare library does what a user would write with it for the same promise:
// a flush after each batch.

func BenchmarkSend(b *testing.B) {
	url, payload := natstest.URL(b), make([]byte, 1024)
	for _, size := range []int{1, 100} {
		b.Run(fmt.Sprintf("batch=%d/driver", size), func(b *testing.B) {
			pub := publisher(b, producer(b, url, nil), newSubject())
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
			nc, err := nats.Connect(url)
			if err != nil {
				b.Fatal(err)
			}
			defer nc.Close()
			subject := newSubject()
			b.ReportAllocs()
			b.SetBytes(int64(size * len(payload)))
			for b.Loop() {
				for range size {
					if err := nc.Publish(subject, payload); err != nil {
						b.Fatal(err)
					}
				}
				ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
				if err := nc.FlushWithContext(ctx); err != nil {
					b.Fatal(err)
				}
				cancel()
			}
		})
	}
}

func BenchmarkReceive(b *testing.B) {
	url, payload := natstest.URL(b), make([]byte, 1024)
	const messages = 10_000
	pub := publisher(b, producer(b, url, nil), "unused")
	publish := func(b *testing.B, subject string) {
		envelopes := make([]*driver.EnvelopeOut, 100)
		for i := range envelopes {
			envelopes[i] = driver.NewEnvelopeOut()
			envelopes[i].SetPayload(payload)
			envelopes[i].SetSubject(subject)
		}
		for range messages / 100 {
			send(b, pub, envelopes...)
		}
	}
	// The messages wait in the client before the time is taken.
	b.Run("driver", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(messages * int64(len(payload)))
		for b.Loop() {
			b.StopTimer()
			subject := newSubject()
			sub := subscriber(b, consumer(b, url, nil), subject, nil)
			publish(b, subject)
			b.StartTimer()
			ctx, cancel := context.WithCancel(context.Background())
			n := 0
			_ = sub.Receive(ctx, func(context.Context, *driver.EnvelopeIn) error {
				if n++; n == messages {
					cancel()
				}
				return nil
			})
		}
	})
	b.Run("library", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(messages * int64(len(payload)))
		for b.Loop() {
			b.StopTimer()
			subject := newSubject()
			nc, err := nats.Connect(url)
			if err != nil {
				b.Fatal(err)
			}
			sub, err := nc.SubscribeSync(subject)
			if err == nil {
				err = nc.Flush()
			}
			if err != nil {
				b.Fatal(err)
			}
			publish(b, subject)
			b.StartTimer()
			for range messages {
				if _, err := sub.NextMsgWithContext(context.Background()); err != nil {
					b.Fatal(err)
				}
			}
			b.StopTimer()
			nc.Close()
			b.StartTimer()
		}
	})
}
