package paho_test

import (
	"context"
	"strings"
	"testing"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	driver "github.com/asyncapi-impl/asyncapi-impl/catalog/mqtt/paho"
	"github.com/asyncapi-impl/asyncapi-impl/internal/mqtttest"
)

// BenchmarkSend compares the driver with the library alone, QoS 1, one message
// at a time and 100 in one Send.
func BenchmarkSend(b *testing.B) {
	url := mqtttest.URL(b)
	payload := make([]byte, 1000)
	b.Run("library", func(b *testing.B) {
		_, host, _ := strings.Cut(url, "://")
		c := mqtt.NewClient(mqtt.NewClientOptions().AddBroker("tcp://" + host).SetClientID(newTopic()))
		if token := c.Connect(); token.Wait() && token.Error() != nil {
			b.Fatal(token.Error())
		}
		defer c.Disconnect(100)
		topic := newTopic()
		b.ReportAllocs()
		for b.Loop() {
			if token := c.Publish(topic, 1, false, payload); token.Wait() && token.Error() != nil {
				b.Fatal(token.Error())
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
