package paho_test

import (
	"context"
	"net"
	"strings"
	"testing"

	"github.com/eclipse/paho.golang/paho"

	driver "github.com/asyncapi-impl/asyncapi-impl/catalog/mqtt5/paho"
	"github.com/asyncapi-impl/asyncapi-impl/internal/mqtttest"
)

// BenchmarkSend compares the driver with the library alone, QoS 1, one message
// at a time and 100 in one Send.
func BenchmarkSend(b *testing.B) {
	url := mqtttest.URL(b)
	payload := make([]byte, 1000)
	b.Run("library", func(b *testing.B) {
		_, host, _ := strings.Cut(url, "://")
		conn, err := net.Dial("tcp", host)
		if err != nil {
			b.Fatal(err)
		}
		c := paho.NewClient(paho.ClientConfig{Conn: conn})
		if _, err := c.Connect(context.Background(), &paho.Connect{ClientID: newTopic(), CleanStart: true, KeepAlive: 30}); err != nil {
			b.Fatal(err)
		}
		defer c.Disconnect(&paho.Disconnect{})
		topic := newTopic()
		b.ReportAllocs()
		for b.Loop() {
			if _, err := c.Publish(context.Background(), &paho.Publish{Topic: topic, QoS: 1, Payload: payload}); err != nil {
				b.Fatal(err)
			}
		}
	})
	for name, n := range map[string]int{"driver": 1, "driver-100": 100} {
		b.Run(name, func(b *testing.B) {
			pub := publisher(b, producer(b, url, nil, nil), newTopic(), nil)
			envelopes := make([]*driver.EnvelopeOut, n)
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
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/message")
		})
	}
}
