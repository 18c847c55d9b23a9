package gobwas_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	driver "github.com/asyncapi-impl/asyncapi-impl/catalog/ws/gobwas"
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
		conn, _, _, err := ws.UpgradeHTTP(r, w)
		if err != nil {
			return
		}
		defer conn.Close()
		for range b.N {
			if _, _, err := wsutil.ReadClientData(conn); err != nil {
				return
			}
		}
	})
	conn, _, _, err := ws.Dial(context.Background(), url)
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	b.SetBytes(int64(len(payload)))
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		if err := conn.SetWriteDeadline(time.Now().Add(10 * time.Second)); err != nil {
			b.Fatal(err)
		}
		if err := wsutil.WriteClientBinary(conn, payload); err != nil {
			b.Fatal(err)
		}
	}
	<-done
}
