package goredis_test

import (
	"io"
	"os"
	"testing"

	"github.com/asyncapi-impl/asyncapi-impl/internal/redistest"
)

func TestExample(t *testing.T) {
	before, stdout := exampleURL, os.Stdout
	defer func() { exampleURL, os.Stdout = before, stdout }()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	exampleURL, os.Stdout = redistest.URL(t), w
	Example()
	w.Close()
	if out, err := io.ReadAll(r); err != nil || string(out) != "Hello, Redis!\n" {
		t.Errorf("printed %q, %v", out, err)
	}
}
