package segmentio_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/asyncapi-impl/asyncapi-impl/internal/brokers"
	kafka "github.com/asyncapi-impl/asyncapi-impl/catalog/kafka/segmentio"
)

func TestScratch(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	c := embedded(t)
	defer c.Close()
	url := strings.Join(c.ListenAddrs(), ",")
	o := &kafka.Options{Logger: slog.Default()}
	p, err := kafka.NewProducer(url, nil, o)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	pub, err := p.Publisher(context.Background(), "t1", nil)
	if err != nil {
		t.Fatal(err)
	}
	co, err := kafka.NewConsumer(url, nil, o)
	if err != nil {
		t.Fatal(err)
	}
	defer co.Close()
	for _, group := range []string{"", "g"} {
		sub, err := co.Subscriber(context.Background(), "t1", &kafka.ChannelBindings{Operation: &kafka.OperationBindings{GroupID: kafka.Value(group)}})
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		const n = 2000
		for i := 0; i < n; i += 100 {
			var es []*kafka.EnvelopeOut
			for j := range 100 {
				e := kafka.NewEnvelopeOut()
				fmt.Fprintf(e, "m%d", i+j)
				e.SetKey([]byte(fmt.Sprint((i + j) % 7)))
				e.SetHeaders(kafka.Headers{"a": "b", "n": 5})
				es = append(es, e)
			}
			if err := pub.Send(context.Background(), es...); err != nil {
				t.Fatal(err)
			}
		}
		t.Log("sent", time.Since(start))
		start = time.Now()
		got := 0
		ctx, cancel := context.WithCancel(context.Background())
		err = sub.Receive(ctx, func(ctx context.Context, e *kafka.EnvelopeIn) error {
			got++
			if got == n {
				cancel()
			}
			return nil
		})
		t.Log(group, got, err, time.Since(start))
		if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		sub.Close()
	}
	start := time.Now()
	for range 100 {
		e := kafka.NewEnvelopeOut()
		e.Write([]byte("x"))
		if err := pub.Send(context.Background(), e); err != nil {
			t.Fatal(err)
		}
	}
	t.Log("lone", time.Since(start)/100)
}

func TestScratchReal(t *testing.T) {
	s := brokers.StartKafka(t)
	c := s.Addr
	ctx := context.Background()
	p, err := kafka.NewProducer(c, nil, &kafka.Options{Logger: slog.Default()})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	three := 3
	for i, b := range []*kafka.ChannelBindings{nil, {Partitions: &three}} {
		start := time.Now()
		topic := fmt.Sprint("t", i)
		pub, err := p.Publisher(ctx, topic, b)
		if err != nil {
			t.Fatal(err)
		}
		t.Log("declared", time.Since(start))
		e := kafka.NewEnvelopeOut()
		e.Write([]byte("x"))
		start = time.Now()
		for range 100 {
			if err := pub.Send(ctx, e); err != nil {
				t.Fatal(err)
			}
		}
		t.Log("lone", time.Since(start)/100)
		co, err := kafka.NewConsumer(c, nil, &kafka.Options{Logger: slog.Default()})
		if err != nil {
			t.Fatal(err)
		}
		defer co.Close()
		sub, err := co.Subscriber(ctx, topic, &kafka.ChannelBindings{Operation: &kafka.OperationBindings{GroupID: "g"}})
		if err != nil {
			t.Fatal(err)
		}
		got := 0
		start = time.Now()
		ctx, cancel := context.WithCancel(ctx)
		err = sub.Receive(ctx, func(ctx context.Context, e *kafka.EnvelopeIn) error {
			got++
			if got == 100 {
				cancel()
			}
			return nil
		})
		t.Log(got, err, time.Since(start))
	}
	for _, sec := range []kafka.Security{kafka.Plain{s.User, s.Password}, kafka.ScramSHA256{s.User, s.Password}, kafka.ScramSHA512{s.User, s.Password}, kafka.Plain{s.User, "x"}, kafka.ScramSHA512{s.User, "x"}, nil} {
		start := time.Now()
		p, err := kafka.NewProducer(s.SASLAddr, nil, &kafka.Options{Security: sec, Timeout: 3 * time.Second})
		t.Log("sasl", sec, err, time.Since(start))
		if err == nil {
			p.Close()
		}
		p, err = kafka.NewProducer("kafka-secure://"+s.SecureAddr, nil, &kafka.Options{Security: sec, TLS: s.Certs.TLS()})
		t.Log("tls", sec, err)
		if err == nil {
			p.Close()
		}
		p, err = kafka.NewProducer("kafka-secure://"+s.SecureAddr, nil, &kafka.Options{Security: sec})
		t.Log("tls wrong CA", sec, err)
		p, err = kafka.NewProducer(s.SecureAddr, nil, &kafka.Options{Security: sec, Timeout: 3 * time.Second})
		t.Log("no tls to tls", sec, err)
		p, err = kafka.NewProducer("kafka-secure://"+s.Addr, nil, &kafka.Options{Security: sec, Timeout: 3 * time.Second})
		t.Log("tls to no tls", sec, err)
	}
}

func TestMain(m *testing.M) { os.Exit(brokers.Main(m)) }
