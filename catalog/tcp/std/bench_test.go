package std_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"testing"

	driver "github.com/asyncapi-impl/asyncapi-impl/catalog/tcp/std"
)

// The driver beside the bare net.Conn with the same framing: a message to a
// peer that reads it, one by one and a hundred at once.
func BenchmarkSend(b *testing.B) {
	payload := make([]byte, 1024)
	for _, n := range []int{1, 100} {
		b.Run(fmt.Sprintf("driver/%d", n), func(b *testing.B) {
			pub := publisher(b, producer(b, sink(b), nil))
			envelopes := make([]*driver.EnvelopeOut, n)
			for i := range envelopes {
				envelopes[i] = envelope(string(payload))
			}
			measure(b, n*len(payload), func() error { return pub.Send(context.Background(), envelopes...) })
		})
		b.Run(fmt.Sprintf("net/%d", n), func(b *testing.B) {
			conn := dial(b, sink(b))
			w := bufio.NewWriterSize(conn, 64<<10)
			measure(b, n*len(payload), func() error {
				for range n {
					_ = binary.Write(w, binary.BigEndian, uint32(len(payload)))
					_, _ = w.Write(payload)
				}
				return w.Flush()
			})
		})
	}
}

func BenchmarkReceive(b *testing.B) {
	message := frame(make([]byte, 1024))
	b.Run("driver", func(b *testing.B) {
		c := consumer(b, anywhere, nil)
		sub := subscriber(b, c)
		go pour(dial(b, c.URL()), message)
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		b.ReportAllocs()
		b.SetBytes(int64(len(message)))
		n := 0
		_ = sub.Receive(ctx, func(context.Context, *driver.EnvelopeIn) error {
			if n++; n == b.N {
				cancel()
			}
			return nil
		})
	})
	b.Run("net", func(b *testing.B) {
		l, err := net.Listen("tcp", anywhere)
		if err != nil {
			b.Fatal(err)
		}
		defer l.Close()
		go pour(dial(b, l.Addr().String()), message)
		conn, err := l.Accept()
		if err != nil {
			b.Fatal(err)
		}
		defer conn.Close()
		r, length := bufio.NewReader(conn), make([]byte, 4)
		measure(b, len(message), func() error {
			if _, err := io.ReadFull(r, length); err != nil {
				return err
			}
			_, err := io.ReadFull(r, make([]byte, binary.BigEndian.Uint32(length)))
			return err
		})
	})
}

func measure(b *testing.B, bytes int, do func() error) {
	b.ReportAllocs()
	b.SetBytes(int64(bytes))
	for b.Loop() {
		if err := do(); err != nil {
			b.Fatal(err)
		}
	}
}

// sink reads what comes and throws it away.
func sink(b *testing.B) string {
	l, err := net.Listen("tcp", anywhere)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { l.Close() })
	go func() {
		conn, err := l.Accept()
		if err == nil {
			_, _ = io.Copy(io.Discard, conn)
			conn.Close()
		}
	}()
	return l.Addr().String()
}

func pour(w io.Writer, message []byte) {
	for {
		if _, err := w.Write(message); err != nil {
			return
		}
	}
}
