package segmentio_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

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
