package streams_test

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	driver "github.com/asyncapi-impl/asyncapi-impl/catalog/redis/streams"
	"github.com/asyncapi-impl/asyncapi-impl/internal/redistest"
)

var payload = bytes.Repeat([]byte("x"), 1024)

func library(b *testing.B, url string) *redis.Client {
	client := redis.NewClient(&redis.Options{Addr: strings.TrimPrefix(url, "redis://"), Protocol: 2})
	b.Cleanup(func() { _ = client.Close() })
	return client
}

func add(b *testing.B, client *redis.Client, stream string, size int) {
	_, err := client.Pipelined(context.Background(), func(p redis.Pipeliner) error {
		for range size {
			p.XAdd(context.Background(), &redis.XAddArgs{Stream: stream, MaxLen: 1000, Approx: true, Values: []any{"payload", payload}})
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
}

func BenchmarkSend(b *testing.B) {
	url, most := redistest.URL(b), int64(1000)
	for _, size := range []int{1, 100} {
		name := map[int]string{1: "one", 100: "hundred"}[size]
		b.Run(name+"/driver", func(b *testing.B) {
			pub, err := producer(b, url, nil).Publisher(context.Background(), "bench", &driver.ChannelBindings{MaxLen: &most})
			if err != nil {
				b.Fatal(err)
			}
			envelopes := make([]*driver.EnvelopeOut, size)
			for i := range envelopes {
				envelopes[i] = driver.NewEnvelopeOut()
				envelopes[i].SetPayload(payload)
			}
			b.ReportAllocs()
			for b.Loop() {
				if err := pub.Send(context.Background(), envelopes...); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"/library", func(b *testing.B) {
			client := library(b, url)
			b.ReportAllocs()
			for b.Loop() {
				add(b, client, "bench", size)
			}
		})
	}
}

// BenchmarkReceive measures a hundred entries, added, read and acknowledged.
func BenchmarkReceive(b *testing.B) {
	const size = 100
	url := redistest.URL(b)
	b.Run("driver", func(b *testing.B) {
		stream := newStream()
		client := library(b, url)
		sub := subscriber(b, consumer(b, url, nil), stream, inGroup("g"))
		ctx, cancel := context.WithCancel(context.Background())
		ended, came := make(chan struct{}), make(chan struct{}, size)
		go func() {
			defer close(ended)
			_ = sub.Receive(ctx, func(context.Context, *driver.EnvelopeIn) error {
				came <- struct{}{}
				return nil
			})
		}()
		b.ReportAllocs()
		for b.Loop() {
			add(b, client, stream, size)
			for range size {
				<-came
			}
		}
		cancel()
		<-ended
	})
	b.Run("library", func(b *testing.B) {
		stream, ctx := newStream(), context.Background()
		client := library(b, url)
		if err := client.XGroupCreateMkStream(ctx, stream, "g", "0").Err(); err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for b.Loop() {
			add(b, client, stream, size)
			for came := 0; came < size; {
				got, err := client.XReadGroup(ctx, &redis.XReadGroupArgs{Group: "g", Consumer: "c", Streams: []string{stream, ">"}, Count: 32}).Result()
				if err != nil {
					b.Fatal(err)
				}
				var ids []string
				for _, m := range got[0].Messages {
					ids = append(ids, m.ID)
				}
				if err := client.XAck(ctx, stream, "g", ids...).Err(); err != nil {
					b.Fatal(err)
				}
				came += len(ids)
			}
		}
	})
}
