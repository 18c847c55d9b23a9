package e2e

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/asyncapi-impl/asyncapi-impl/internal/kafkatest"
)

// TestSwappedDriver puts another driver of the protocol into the directory of
// the first. The program stays as it is, and its group goes on where it was.
func TestSwappedDriver(t *testing.T) {
	command, url := build(t), kafkatest.URL(t)
	binary := kafka.by("kafka/segmentio").build(t, command)
	dir := filepath.Dir(binary)
	source, err := os.ReadFile(filepath.Join(dir, "main.go"))
	if err != nil {
		t.Fatal(err)
	}
	works := func() {
		t.Helper()
		var log strings.Builder
		cmd := exec.Command(binary, url)
		cmd.Stderr = &log
		out, err := cmd.Output()
		if err != nil || !strings.Contains(string(out), "sent 10000 ") || !strings.Contains(string(out), "received 10000 twice 0 disorder 0: ") {
			t.Fatalf("%v\n%s\n%s", err, out, &log)
		}
	}
	works()
	for _, driver := range []string{"kafka/franz", "kafka/segmentio"} {
		if err := os.RemoveAll(filepath.Join(dir, "impl")); err != nil {
			t.Fatal(err)
		}
		run(t, dir, command, "eject", driver, "./impl")
		run(t, dir, "go", "mod", "tidy")
		run(t, dir, "go", "vet", "./...")
		run(t, dir, "go", "build", "-o", "program", ".")
		works()
	}
	if now, err := os.ReadFile(filepath.Join(dir, "main.go")); err != nil || !bytes.Equal(now, source) {
		t.Errorf("the program was changed: %v", err)
	}
}
