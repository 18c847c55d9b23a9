package streadway_test

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var write = flag.Bool("write", false, "write the files that stand in amqp/rabbitmq too")

// own are the files that differ from those of amqp/rabbitmq by more than the
// library's import path.
var own = []string{"doc.go", "library.go", "frames.go", "frames_test.go", "twins_test.go"}

// TestTwins holds the other files to those of amqp/rabbitmq. To change one,
// edit it there and run
//
//	go test ./catalog/amqp/streadway -run TestTwins -write
func TestTwins(t *testing.T) {
	replace := strings.NewReplacer(
		"package rabbitmq", "package streadway", "amqp/rabbitmq", "amqp/streadway", "github.com/rabbitmq/amqp091-go", "github.com/streadway/amqp",
	)
	originals, err := filepath.Glob("../rabbitmq/*.go")
	if err != nil || len(originals) == 0 {
		t.Fatalf("no originals: %v", err)
	}
	names := own
	for _, original := range originals {
		name := filepath.Base(original)
		if slices.Contains(own, name) {
			continue
		}
		names = append(names, name)
		text, err := os.ReadFile(original)
		if err != nil {
			t.Fatal(err)
		}
		want := replace.Replace(string(text))
		if got, err := os.ReadFile(name); err == nil && string(got) == want {
			continue
		}
		if !*write {
			t.Errorf("%s is not as in amqp/rabbitmq: edit it there, then go test ./catalog/amqp/streadway -run TestTwins -write", name)
		} else if err := os.WriteFile(name, []byte(want), 0o644); err != nil {
			t.Error(err)
		}
	}
	here, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range here {
		if !slices.Contains(names, name) {
			t.Errorf("%s is neither this driver's own nor in amqp/rabbitmq", name)
		}
	}
}
