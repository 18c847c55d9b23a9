package coder_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	driver "github.com/asyncapi-impl/asyncapi-impl/catalog/ws/coder"
)

// BenchmarkSend sends one message after the other, received on the other side,
// with the driver and with the bare library.
func BenchmarkSend(b *testing.B) {
	for _, size := range []int{100, 10_000, 1_000_000} {
		payload := []byte(strings.Repeat("x", size))
		b.Run(fmt.Sprintf("driver/%d", size), func(b *testing.B) { benchDriver(b, payload) })
		b.Run(fmt.Sprintf("bare/%d", size), func(b *testing.B) { benchBare(b, payload) })
	}
}

func benchDriver(b *testing.B, payload []byte) {
	c := consumer(b, anywhere, nil)
	sub := subscriber(b, c, "a", nil)
	pub := publisher(b, producer(b, c.URL(), nil), "a", nil)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		n := 0
		_ = sub.Receive(ctx, func(context.Context, *driver.EnvelopeIn) error {
			if n++; n == b.N {
				cancel()
			}
			return nil
		})
	}()
	e := driver.NewEnvelopeOut()
	e.SetPayload(payload)
	b.SetBytes(int64(len(payload)))
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		if err := pub.Send(context.Background(), e); err != nil {
			b.Fatal(err)
		}
	}
	<-done
}

func benchBare(b *testing.B, payload []byte) {
	done := make(chan struct{})
	url := serve(b, func(w http.ResponseWriter, r *http.Request) {
		defer close(done)
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer conn.CloseNow()
		conn.SetReadLimit(4 << 20)
		for range b.N {
			if _, _, err := conn.Read(context.Background()); err != nil {
				return
			}
		}
	})
	conn, _, err := websocket.Dial(context.Background(), url, nil) //nolint:bodyclose // the library closes it
	if err != nil {
		b.Fatal(err)
	}
	defer conn.CloseNow()
	b.SetBytes(int64(len(payload)))
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		if err := conn.Write(ctx, websocket.MessageBinary, payload); err != nil {
			b.Fatal(err)
		}
		cancel()
	}
	<-done
}
