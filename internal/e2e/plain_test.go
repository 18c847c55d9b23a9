package e2e

import (
	"context"
	_ "embed"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"text/template"
	"time"

	"github.com/asyncapi-impl/asyncapi-impl/internal/brokers"
)

//go:embed plain.go.tmpl
var plainProgram string

// TestPlainSockets: the listening side of each driver that has nothing below it
// but the system is killed and restarted half-way through 10,000 messages.
func TestPlainSockets(t *testing.T) {
	if !brokers.Real() {
		t.Skip("builds programs of the user's: ASYNCAPI_IMPL_BROKERS=real")
	}
	command := build(t)
	for driver, url := range map[string]string{"http/std": "127.0.0.1:0", "tcp/std": "127.0.0.1:0", "udp/std": "127.0.0.1:0", "ip/std": "127.77.77.77"} {
		t.Run(driver, func(t *testing.T) {
			dir := t.TempDir()
			f, err := os.Create(filepath.Join(dir, "main.go"))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if err := template.Must(template.New("").Parse(plainProgram)).Execute(f, path.Dir(driver)); err != nil {
				t.Fatal(err)
			}
			run(t, dir, "go", "mod", "init", "example.com/app")
			run(t, dir, command, "eject", driver, "./impl")
			run(t, dir, "go", "vet", "./...")
			run(t, dir, "go", "build", "-o", "app", ".")
			count(t, filepath.Join(dir, "app"), url, driver == "http/std")
		})
	}
}

func count(t *testing.T, program, url string, answered bool) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	var halves [2][]int
	listening, lines := start(t, ctx, program, "listen", url)
	if !lines.Scan() {
		t.Fatal("the listening side ended")
	}
	url = lines.Text()
	numbers := func(into *[]int) (ended bool) {
		for lines.Scan() {
			if lines.Text() == "end" {
				return true
			}
			n, err := strconv.Atoi(lines.Text())
			if err != nil {
				t.Error(err)
			}
			*into = append(*into, n)
		}
		return false
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		numbers(&halves[0])
	}()
	dialling, progress := start(t, ctx, program, "dial", url)
	if !progress.Scan() || progress.Text() != "half" {
		t.Fatalf("the program did not reach the middle: %s", progress.Text())
	}
	time.Sleep(outage)
	_ = listening.Process.Kill()
	<-read
	_ = listening.Wait()
	time.Sleep(outage)
	_, lines = start(t, ctx, program, "listen", url)
	if !lines.Scan() || lines.Text() != url {
		t.Fatal("the listening side did not come back")
	}
	if !numbers(&halves[1]) {
		t.Error("the last message did not come")
	}
	if err := dialling.Wait(); err != nil {
		t.Error(err)
	}
	all := append(halves[0], halves[1]...)
	t.Logf("%d came before the restart, %d after it", len(halves[0]), len(halves[1]))
	if answered {
		// Nothing is lost; what was not answered any more can come twice.
		if distinct := slices.Compact(all); len(distinct) != 10_000 || !slices.IsSorted(all) {
			t.Errorf("%d of 10000 messages came, in order: %v", len(distinct), slices.IsSorted(all))
		}
		return
	}
	// What was under way when the listening side was killed, or was sent to
	// nobody, is lost; nothing comes twice or out of order.
	if len(halves[0]) < 5000 || len(halves[1]) < 1000 || !slices.IsSorted(all) || len(slices.Compact(all)) != len(all) {
		t.Errorf("%d and %d messages came, in order: %v", len(halves[0]), len(halves[1]), slices.IsSorted(all))
	}
}
