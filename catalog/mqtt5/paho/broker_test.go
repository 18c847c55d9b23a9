package paho_test

import (
	"os"
	"testing"

	"github.com/asyncapi-impl/asyncapi-impl/catalog/conformance"
	"github.com/asyncapi-impl/asyncapi-impl/internal/brokers"
	"github.com/asyncapi-impl/asyncapi-impl/internal/mqtttest"
)

func TestMain(m *testing.M) { os.Exit(brokers.Main(m)) }

func init() {
	testBroker = func(t testing.TB) (*conformance.Broker, *conformance.Foreign) { return mqtttest.Broker(t, 5) }
	if !brokers.Real() {
		// The embedded broker mixes up what it has to hold back.
		receiveMaximum = 10_000
	}
}
