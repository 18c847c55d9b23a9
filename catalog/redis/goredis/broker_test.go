package goredis_test

import (
	"os"

	"testing"

	"github.com/asyncapi-impl/asyncapi-impl/internal/brokers"
	"github.com/asyncapi-impl/asyncapi-impl/internal/redistest"
)

func TestMain(m *testing.M) { os.Exit(brokers.Main(m)) }

func init() {
	testBroker, testForeign = redistest.Broker, redistest.PubSub()
}
