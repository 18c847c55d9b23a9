package std_test

import (
	"context"
	"net"
	"testing"

	driver "github.com/asyncapi-impl/asyncapi-impl/catalog/udp/std"
)

// The driver beside the bare net.UDPConn: a datagram to a peer, and one read.
func BenchmarkSend(b *testing.B) {
	payload := make([]byte, 1024)
	sink, err := net.ListenPacket("udp", anywhere)
	if err != nil {
		b.Fatal(err)
	}
	defer sink.Close()
	b.Run("driver", func(b *testing.B) {
		pub := publisher(b, producer(b, sink.LocalAddr().String(), nil))
		e := envelope(string(payload))
		measure(b, func() error { return pub.Send(context.Background(), e) })
	})
	b.Run("net", func(b *testing.B) {
		conn := dial(b, sink.LocalAddr().String())
		measure(b, func() error {
			_, err := conn.Write(payload)
			return err
		})
	})
}

func BenchmarkReceive(b *testing.B) {
	payload := make([]byte, 1024)
	b.Run("driver", func(b *testing.B) {
		c := consumer(b, anywhere, nil)
		sub := subscriber(b, c)
		stop := pour(b, c.URL(), payload)
		defer stop()
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		b.ReportAllocs()
		n := 0
		_ = sub.Receive(ctx, func(context.Context, *driver.EnvelopeIn) error {
			if n++; n == b.N {
				cancel()
			}
			return nil
		})
	})
	b.Run("net", func(b *testing.B) {
		conn, err := net.ListenPacket("udp", anywhere)
		if err != nil {
			b.Fatal(err)
		}
		defer conn.Close()
		stop := pour(b, conn.LocalAddr().String(), payload)
		defer stop()
		buffer := make([]byte, 65536)
		measure(b, func() error {
			n, _, err := conn.(*net.UDPConn).ReadFromUDPAddrPort(buffer)
			_ = append([]byte{}, buffer[:n]...)
			return err
		})
	})
}

func measure(b *testing.B, do func() error) {
	b.ReportAllocs()
	for b.Loop() {
		if err := do(); err != nil {
			b.Fatal(err)
		}
	}
}

// pour sends all the time.
func pour(b *testing.B, url string, payload []byte) (stop func()) {
	conn := dial(b, url)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			if _, err := conn.Write(payload); err != nil {
				return
			}
		}
	}()
	return func() {
		conn.Close()
		<-done
	}
}
