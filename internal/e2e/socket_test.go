package e2e

import (
	"bufio"
	"context"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/asyncapi-impl/asyncapi-impl/internal/brokers"
)

//go:embed socket.go.tmpl
var socketProgram string

// TestSwappedSockets: one program, built on either WebSocket driver; each
// listens to the other and to itself. The listening side is killed and
// restarted half-way through 10,000 messages.
func TestSwappedSockets(t *testing.T) {
	if !brokers.Real() {
		t.Skip("builds programs of the user's: ASYNCAPI_IMPL_BROKERS=real")
	}
	command := build(t)
	binaries := map[string]string{}
	for _, driver := range []string{"ws/coder", "ws/gobwas"} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte(socketProgram), 0o644); err != nil {
			t.Fatal(err)
		}
		run(t, dir, "go", "mod", "init", "example.com/app")
		run(t, dir, command, "eject", driver, "./impl")
		run(t, dir, "go", "mod", "tidy")
		run(t, dir, "go", "vet", "./...")
		binaries[driver] = filepath.Join(dir, "app")
		run(t, dir, "go", "build", "-o", "app", ".")
	}
	for listening, listener := range binaries {
		for dialling, dialler := range binaries {
			t.Run(dialling+" dials "+listening, func(t *testing.T) { talk(t, listener, dialler) })
		}
	}
}

func talk(t *testing.T, listener, dialler string) {
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	defer cancel()
	listen := func(url string) (string, *exec.Cmd) {
		cmd, lines := start(t, ctx, listener, "listen", url)
		if !lines.Scan() {
			t.Fatal("the listening side ended")
		}
		return lines.Text(), cmd
	}
	url, listening := listen("ws://127.0.0.1:0/base")
	dialling, lines := start(t, ctx, dialler, "dial", url)
	if !lines.Scan() || lines.Text() != "half" {
		t.Fatalf("the program did not reach the middle: %s", lines.Text())
	}
	if err := listening.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = listening.Wait()
	time.Sleep(outage)
	_, listening = listen(url)
	var answered, disorder, slowest int
	for lines.Scan() {
		t.Log(lines.Text())
		_, _ = fmt.Sscanf(lines.Text(), "answered %d disorder %d slowest %d:", &answered, &disorder, &slowest)
	}
	if err := dialling.Wait(); err != nil {
		t.Fatal(err)
	}
	_ = listening.Process.Kill()
	_ = listening.Wait()
	if slowest := time.Duration(slowest) * time.Millisecond; slowest < outage/2 {
		t.Errorf("no Send took longer than %v: the outage met none", slowest)
	}
	// What was under way when the listening side was killed is lost.
	if answered < 5000 || disorder != 0 {
		t.Errorf("%d of 10000 messages were answered, %d out of order", answered, disorder)
	}
}

// start runs a program that ends with the test.
func start(t *testing.T, ctx context.Context, name string, args ...string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	cmd := exec.CommandContext(ctx, name, args...)
	var log strings.Builder
	cmd.Stderr = &log
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("log of %s %v:\n%s", name, args, &log)
		}
	})
	return cmd, bufio.NewScanner(out)
}
