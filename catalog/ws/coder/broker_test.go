package coder_test

import (
	"os"
	"testing"

	"github.com/asyncapi-impl/asyncapi-impl/internal/brokers"
)

func TestMain(m *testing.M) { os.Exit(brokers.Main(m)) }
