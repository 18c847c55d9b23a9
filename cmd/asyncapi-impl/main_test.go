package main

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"

	"github.com/asyncapi-impl/asyncapi-impl/internal/problem"
)

func TestFlagsFirst(t *testing.T) {
	parser, err := new(cli).parser(io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ args, want string }{
		{"", ""},
		{"list kafka --names amqp", "list --names kafka amqp"},
		{"-C dir eject kafka --to x --tests amqp", "eject -C dir --to x --tests kafka amqp"},
		{"eject kafka --to=x ./y", "eject --to=x kafka ./y"},
		{"eject kafka -n -- --odd -x", "eject -n kafka -- --odd -x"},
		{"eject kafka --to", "eject --to kafka"},
		{"--help", "--help"},
	} {
		if got := strings.Join(flagsFirst(parser.Model, strings.Fields(c.args)), " "); got != c.want {
			t.Errorf("%q: got %q, want %q", c.args, got, c.want)
		}
	}
}

// TestCompletion holds the scripts to the commands and flags that there are.
func TestCompletion(t *testing.T) {
	parser, err := new(cli).parser(io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	for _, shell := range []string{"bash", "zsh", "fish"} {
		script, err := completions.ReadFile("completion/asyncapi-impl." + shell)
		if err != nil {
			t.Fatal(err)
		}
		words := strings.FieldsFunc(string(script), func(r rune) bool { return strings.ContainsRune(" \t\n\"'()[]{},|", r) })
		dashes := "--"
		if shell == "fish" {
			dashes = ""
		}
		want := func(node *kong.Node) {
			for _, f := range node.Flags {
				if !slices.Contains(words, dashes+f.Name) {
					t.Errorf("%s: --%s is missing", shell, f.Name)
				}
			}
		}
		want(parser.Model.Node)
		for _, command := range parser.Model.Children {
			if !slices.Contains(words, command.Name) {
				t.Errorf("%s: %s is missing", shell, command.Name)
			}
			want(command)
		}
		if path, err := exec.LookPath(shell); err == nil {
			cmd := exec.CommandContext(t.Context(), path, "-n")
			cmd.Stdin = strings.NewReader(string(script))
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%s: %v\n%s", shell, err, out)
			}
		}
	}
}

// TestHelp holds the help to the codes that there are, and every command's
// document to a schema.
func TestHelp(t *testing.T) {
	words, err := helpTexts.ReadFile("help/exit-codes.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, code := range problem.Codes {
		if !strings.Contains(string(words), "\n  "+code+" ") {
			t.Errorf("help exit-codes lacks %s", code)
		}
	}
	parser, err := new(cli).parser(io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	for _, command := range parser.Model.Children {
		if _, ok := outputs[command.Name]; !ok && command.Name != "schema" {
			t.Errorf("%s has no schema", command.Name)
		}
	}
}

const (
	maxBinary = 8 << 20
	// The bound for a whole process is 20 ms on a quiet machine; a busy one
	// must not fail the test.
	maxProcess = 60 * time.Millisecond
)

func TestBinary(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "asyncapi-impl")
	command(t, ".", "go", "build", "-ldflags=-s -w", "-o", binary, ".")
	info, err := os.Stat(binary)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d bytes", info.Size())
	if info.Size() > maxBinary {
		t.Errorf("the binary has %d bytes, more than %d", info.Size(), maxBinary)
	}

	best := func(args ...string) time.Duration {
		least := time.Hour
		for range 5 {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module m\n\ngo 1.26\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			state := command(t, dir, binary, args...)
			least = min(least, state.UserTime()+state.SystemTime())
		}
		return least
	}
	for _, args := range [][]string{{"list"}, {"eject", "kafka/segmentio"}} {
		took := best(args...)
		t.Logf("%s: %v user+system", args[0], took)
		if took > maxProcess {
			t.Errorf("%s takes %v of user and system time, more than %v", args[0], took, maxProcess)
		}
	}
}

// TestDependencies: the drivers' libraries belong to the user's program.
func TestDependencies(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	modules := slices.Compact(strings.Fields(string(out)))
	for _, m := range modules {
		switch m {
		case "github.com/alecthomas/kong", "github.com/rogpeppe/go-internal", "go.yaml.in/yaml/v4", "golang.org/x/mod", "golang.org/x/sys", "golang.org/x/term", "github.com/asyncapi-impl/asyncapi-impl":
		default:
			t.Errorf("%s is linked into the command", m)
		}
	}
}

func command(t *testing.T, dir, name string, args ...string) *os.ProcessState {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return cmd.ProcessState
}
