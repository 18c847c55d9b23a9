package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestDemo(t *testing.T) {
	t.Chdir("../..")
	var out bytes.Buffer
	if err := run(t.Context(), &out); err != nil {
		if strings.Contains(out.String(), "dial tcp") || strings.Contains(out.String(), "module lookup disabled") {
			t.Skipf("SKIPPED: the client library is neither in the module cache nor to be had:\n%s", &out)
		}
		t.Fatalf("%v\n%s", err, &out)
	}
	if !strings.Contains(out.String(), `received "Hello, Kafka!"`) {
		t.Errorf("nothing was received:\n%s", &out)
	}
}
