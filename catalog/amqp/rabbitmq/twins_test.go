package rabbitmq_test

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var write = flag.Bool("write", false, "write the files of amqp/streadway that stand here too")

// TestTwins holds amqp/streadway, whose library is this one's ancestor, to this
// driver: its files are the same but for the import path. To bring them up to
// date:
//
//	go test ./catalog/amqp/rabbitmq -run TestTwins -write
func TestTwins(t *testing.T) {
	here, there := []string{"twins_test.go"}, []string{"frames.go", "frames_test.go"}
	both := []string{"doc.go", "library.go"} // but not the same
	replace := strings.NewReplacer(
		"package rabbitmq", "package streadway", "amqp/rabbitmq", "amqp/streadway", "github.com/rabbitmq/amqp091-go", "github.com/streadway/amqp",
	)
	var want []string
	for _, name := range list(t, ".") {
		if slices.Contains(here, name) {
			continue
		}
		want = append(want, name)
		if slices.Contains(both, name) {
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		twin := filepath.Join("../streadway", name)
		expected := replace.Replace(string(text))
		if got, err := os.ReadFile(twin); err == nil && string(got) == expected {
			continue
		}
		if !*write {
			t.Errorf("amqp/streadway/%s differs: edit amqp/rabbitmq/%[1]s, then go test ./catalog/amqp/rabbitmq -run TestTwins -write", name)
		} else if err := os.WriteFile(twin, []byte(expected), 0o644); err != nil {
			t.Error(err)
		}
	}
	for _, name := range list(t, "../streadway") {
		if !slices.Contains(append(want, there...), name) {
			t.Errorf("amqp/streadway/%s is not in amqp/rabbitmq", name)
		}
	}
}

func list(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no files in %s: %v", dir, err)
	}
	for i, file := range files {
		files[i] = filepath.Base(file)
	}
	return files
}
