package franz_test

import (
	"context"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	driver "github.com/asyncapi-impl/asyncapi-impl/catalog/kafka/franz"
)

func TestExample(t *testing.T) {
	exampleURL = broker(t)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout := os.Stdout
	os.Stdout = w
	Example()
	os.Stdout = stdout
	w.Close()
	if out, err := io.ReadAll(r); err != nil || string(out) != "Hello, Kafka!\n" {
		t.Errorf("the example printed %q, %v", out, err)
	}
}

const benchmarkSize, benchmarkBatch = 200, 100

func bareClient(b *testing.B, url string, options ...kgo.Opt) *kgo.Client {
	client, err := kgo.NewClient(append(options, kgo.SeedBrokers(strings.Split(url, ",")...),
		kgo.ProducerLinger(0), kgo.ProducerBatchCompression(kgo.NoCompression()))...)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(client.Close)
	return client
}

// One record a call, from one goroutine; then many records a call; then one
// record a call from many goroutines.
func BenchmarkSend(b *testing.B) {
	url, topic := broker(b), newTopic()
	p := producer(b, url, nil)
	pub := create(b, p, topic, 1)
	bare := bareClient(b, url, kgo.DefaultProduceTopic(topic))
	payload := make([]byte, benchmarkSize)
	ctx := context.Background()
	ours := func(n int) func() error {
		var all []*driver.EnvelopeOut
		for range n {
			e := driver.NewEnvelopeOut()
			e.SetPayload(payload)
			all = append(all, e)
		}
		return func() error { return pub.Send(ctx, all...) }
	}
	theirs := func(n int) func() error {
		return func() error {
			all := make([]*kgo.Record, n)
			for i := range all {
				all[i] = &kgo.Record{Value: payload}
			}
			return bare.ProduceSync(ctx, all...).FirstErr()
		}
	}
	for _, mode := range []struct {
		name     string
		records  int
		parallel bool
	}{{"one", 1, false}, {"batch", benchmarkBatch, false}, {"parallel", 1, true}} {
		for _, who := range []struct {
			name string
			send func(int) func() error
		}{{"driver", ours}, {"kgo", theirs}} {
			b.Run(mode.name+"/"+who.name, func(b *testing.B) {
				b.ReportAllocs()
				b.SetBytes(int64(mode.records * benchmarkSize))
				if !mode.parallel {
					send := who.send(mode.records)
					for b.Loop() {
						if err := send(); err != nil {
							b.Fatal(err)
						}
					}
					return
				}
				b.SetParallelism(50)
				b.RunParallel(func(pb *testing.PB) {
					send := who.send(mode.records)
					for pb.Next() {
						if err := send(); err != nil {
							b.Error(err)
						}
					}
				})
			})
		}
	}
}

func BenchmarkReceive(b *testing.B) {
	url, topic := broker(b), newTopic()
	p := producer(b, url, nil)
	pub := create(b, p, topic, 1)
	payload := make([]byte, benchmarkSize)
	fill := func(b *testing.B) {
		for sent := 0; sent < b.N; {
			var all []*driver.EnvelopeOut
			for ; len(all) < 1000 && sent < b.N; sent++ {
				e := driver.NewEnvelopeOut()
				e.SetPayload(payload)
				all = append(all, e)
			}
			send(b, pub, all...)
		}
	}
	c := consumer(b, url, nil)
	b.Run("driver", func(b *testing.B) {
		sub := subscriber(b, c, topic, nil)
		fill(b)
		b.ReportAllocs()
		b.SetBytes(benchmarkSize)
		b.ResetTimer()
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		n := 0
		_ = sub.Receive(ctx, func(context.Context, *driver.EnvelopeIn) error {
			if n++; n == b.N {
				b.StopTimer()
				cancel()
			}
			return nil
		})
	})
	b.Run("kgo", func(b *testing.B) {
		sub := bareClient(b, url, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {0: kgo.NewOffset().AtEnd()}}))
		// The end is where it is when the first poll asks for it.
		var ready atomic.Bool
		var wg sync.WaitGroup
		wg.Go(func() {
			for !ready.Load() {
				if err := pub.Send(context.Background(), driver.NewEnvelopeOut()); err != nil {
					b.Error(err)
				}
			}
		})
		sub.PollFetches(context.Background())
		ready.Store(true)
		wg.Wait()
		fill(b)
		b.ReportAllocs()
		b.SetBytes(benchmarkSize)
		b.ResetTimer()
		for n := 0; n < b.N; {
			for range sub.PollFetches(context.Background()).RecordsAll() {
				n++
			}
		}
	})
}
