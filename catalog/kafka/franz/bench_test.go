package franz_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	driver "github.com/asyncapi-impl/asyncapi-impl/catalog/kafka/franz"
)

// The bare library does what a user would write with it for the same promise:
// acks=all, no waiting for more records, and a reader that commits.

func library(b *testing.B, url string, options ...kgo.Opt) *kgo.Client {
	client, err := kgo.NewClient(append(options, kgo.SeedBrokers(strings.Split(url, ",")...),
		kgo.ProducerLinger(0), kgo.ProducerBatchCompression(kgo.NoCompression()))...)
	if err != nil {
		b.Fatal(err)
	}
	return client
}

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
			client := library(b, url, kgo.DefaultProduceTopic(topic))
			defer client.Close()
			b.ReportAllocs()
			b.SetBytes(int64(size * len(payload)))
			for b.Loop() {
				records := make([]*kgo.Record, size)
				for i := range records {
					records[i] = &kgo.Record{Value: payload}
				}
				if err := client.ProduceSync(context.Background(), records...).FirstErr(); err != nil {
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
			client := library(b, url, kgo.ConsumeTopics(topic), kgo.ConsumerGroup(fmt.Sprint("l", group)),
				kgo.AutoCommitMarks(), kgo.AutoCommitInterval(100*time.Millisecond))
			for n := 0; n < records; {
				for _, r := range client.PollFetches(context.Background()).Records() {
					client.MarkCommitRecords(r)
					if n++; n == 1 {
						b.StartTimer()
					}
				}
			}
			b.StopTimer()
			client.Close()
			b.StartTimer()
		}
	})
}
