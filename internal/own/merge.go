package own

import (
	"bytes"
	"context"
	"errors"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/asyncapi-impl/asyncapi-impl/internal/manifest"
	"github.com/asyncapi-impl/asyncapi-impl/internal/problem"
)

// Whose lines a conflict gets without being asked about.
const (
	Ask    = ""
	Ours   = "ours"
	Theirs = "theirs"
)

// errNotGo means that the texts merge, but not into Go.
var errNotGo = errors.New("the merged text is no Go")

// merge brings the user's text and the catalog's together. Line endings are
// those of the user's.
func merge(ctx context.Context, name string, yours, base, theirs []byte, labels [3]string, favour string) ([]byte, error) {
	dir, err := os.MkdirTemp("", "asyncapi-impl-merge-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	args := []string{"merge-file", "-p", "--diff3"}
	if favour != Ask {
		args = append(args, "--"+favour)
	}
	var files []string
	for i, text := range [][]byte{yours, base, theirs} {
		file := filepath.Join(dir, string(rune('0'+i)))
		if err := os.WriteFile(file, manifest.LF(text), 0o600); err != nil {
			return nil, err
		}
		args = append(args, "-L", labels[i])
		files = append(files, file)
	}
	cmd := exec.CommandContext(ctx, "git", append(args, files...)...)
	cmd.Dir = dir
	out, err := cmd.Output()
	var exit *exec.ExitError
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return nil, problem.New(problem.NoGit, "%s was changed here and in the catalog, and git, which merges them, is not on PATH", name).
			WithHint("install git, or choose one side with --ours or --theirs")
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case errors.As(err, &exit) && exit.ExitCode() > 0 && exit.ExitCode() < 128:
		// The status is the number of conflicts; the markers are in the text.
		return endings(yours, out), nil
	case errors.As(err, &exit):
		return nil, errNotGo
	case err != nil:
		return nil, err
	}
	if !parses(name, out) {
		return nil, errNotGo
	}
	return endings(yours, out), nil
}

// parses says whether a Go file can be read as such.
func parses(name string, src []byte) bool {
	if filepath.Ext(name) != ".go" {
		return true
	}
	_, err := parser.ParseFile(token.NewFileSet(), name, src, parser.SkipObjectResolution)
	return err == nil
}

// endings gives a text the line endings of another, if those are all CRLF.
func endings(like, text []byte) []byte {
	lines := bytes.Count(like, []byte("\n"))
	if lines == 0 || bytes.Count(like, []byte("\r\n")) != lines {
		return text
	}
	return bytes.ReplaceAll(manifest.LF(text), []byte("\n"), []byte("\r\n"))
}

// markers gives the lines at which conflicts begin that were left in a file.
func markers(src []byte) []int {
	if !bytes.Contains(src, []byte("<<<<<<< ")) {
		return nil
	}
	var lines []int
	start, middle := 0, false
	for i, line := range strings.Split(string(manifest.LF(src)), "\n") {
		switch {
		case strings.HasPrefix(line, "<<<<<<< "):
			start, middle = i+1, false
		case line == "=======":
			middle = true
		case strings.HasPrefix(line, ">>>>>>> ") && start > 0 && middle:
			lines = append(lines, start)
			start = 0
		}
	}
	return lines
}
