package segmentio_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"

	driver "github.com/asyncapi-impl/asyncapi-impl/catalog/kafka/segmentio"
)

// The bare library does what a user would write with it for the same promise:
// acks=all, no waiting for more records, and a reader that commits.

func BenchmarkSend(b *testing.B) {
	url, payload := broker(b), make([]byte, 1024)
	for _, size := range []int{1, 100} {
		b.Run(fmt.Sprintf("batch=%d/driver", size), func(b *testing.B) {
			pub := publisher(b, producer(b, url, nil), newTopic(), nil)
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
			topic := newTopic()
			publisher(b, producer(b, url, nil), topic, nil)
			w := &kafka.Writer{
				Addr: kafka.TCP(url), Topic: topic, RequiredAcks: kafka.RequireAll, BatchTimeout: time.Nanosecond, Transport: &kafka.Transport{},
			}
			defer w.Close()
			messages := make([]kafka.Message, size)
			for i := range messages {
				messages[i].Value = payload
			}
			if err := w.WriteMessages(context.Background(), messages...); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			b.SetBytes(int64(size * len(payload)))
			for b.Loop() {
				if err := w.WriteMessages(context.Background(), messages...); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkReceive(b *testing.B) {
	url, topic, payload := broker(b), newTopic(), make([]byte, 1024)
	const records = 10_000
	pub := create(b, producer(b, url, nil), topic, 1)
	for range records / 100 {
		envelopes := make([]*driver.EnvelopeOut, 100)
		for i := range envelopes {
			envelopes[i] = driver.NewEnvelopeOut()
			envelopes[i].SetPayload(payload)
		}
		send(b, pub, envelopes...)
	}
	group := 0
	// The time to join the group is left out.
	b.Run("driver", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(records * int64(len(payload)))
		for b.Loop() {
			b.StopTimer()
			group++
			sub := subscriber(b, consumer(b, url, nil), topic, inGroup(fmt.Sprint("d", group)))
			ctx, cancel := context.WithCancel(context.Background())
			n := 0
			_ = sub.Receive(ctx, func(context.Context, *driver.EnvelopeIn) error {
				switch n++; n {
				case 1:
					b.StartTimer()
				case records:
					b.StopTimer()
					cancel()
				}
				return nil
			})
			if err := sub.Close(); err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
		}
	})
	b.Run("library", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(records * int64(len(payload)))
		for b.Loop() {
			b.StopTimer()
			group++
			r := kafka.NewReader(kafka.ReaderConfig{
				Brokers: []string{url}, Topic: topic, GroupID: fmt.Sprint("l", group), StartOffset: kafka.FirstOffset,
				CommitInterval: 100 * time.Millisecond, MaxWait: 500 * time.Millisecond,
			})
			for n := range records {
				m, err := r.FetchMessage(context.Background())
				if err == nil {
					err = r.CommitMessages(context.Background(), m)
				}
				if err != nil {
					b.Fatal(err)
				}
				if n == 0 {
					b.StartTimer()
				}
			}
			b.StopTimer()
			if err := r.Close(); err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
		}
	})
}
