package goredis_test

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	driver "github.com/asyncapi-impl/asyncapi-impl/catalog/redis/goredis"
	"github.com/asyncapi-impl/asyncapi-impl/internal/redistest"
)

var payload = bytes.Repeat([]byte("x"), 1024)

func BenchmarkSend(b *testing.B) {
	url := redistest.URL(b)
	for _, size := range []int{1, 100} {
		name := map[int]string{1: "one", 100: "hundred"}[size]
		b.Run(name+"/driver", func(b *testing.B) {
			pub := publisher(b, producer(b, url, nil), "bench")
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
				_, err := client.Pipelined(context.Background(), func(p redis.Pipeliner) error {
					for range size {
						p.Publish(context.Background(), "bench", payload)
					}
					return nil
				})
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func library(b *testing.B, url string) *redis.Client {
	client := redis.NewClient(&redis.Options{Addr: strings.TrimPrefix(url, "redis://"), Protocol: 2})
	b.Cleanup(func() { _ = client.Close() })
	return client
}

// BenchmarkReceive measures a hundred messages, sent and received.
func BenchmarkReceive(b *testing.B) {
	url := redistest.URL(b)
	const size = 100
	send := func(b *testing.B, client *redis.Client) {
		_, err := client.Pipelined(context.Background(), func(p redis.Pipeliner) error {
			for range size {
				p.Publish(context.Background(), "bench", payload)
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	b.Run("driver", func(b *testing.B) {
		client := library(b, url)
		sub := subscriber(b, consumer(b, url, nil), "bench", nil)
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
			send(b, client)
			for range size {
				<-came
			}
		}
		cancel()
		<-ended
	})
	b.Run("library", func(b *testing.B) {
		client := library(b, url)
		sub := client.Subscribe(context.Background(), "bench")
		defer sub.Close()
		if _, err := sub.Receive(context.Background()); err != nil {
			b.Fatal(err)
		}
		messages := sub.Channel()
		b.ReportAllocs()
		for b.Loop() {
			send(b, client)
			for range size {
				<-messages
			}
		}
	})
}
