package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"asyncapi-impl": main})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"refuses": refuses,
		},
		Condition: func(name string) (bool, error) {
			if name == "root" {
				return os.Getuid() == 0, nil
			}
			return false, fmt.Errorf("unknown condition %q", name)
		},
	})
}

// refuses runs asyncapi-impl and holds it to what is promised of a failure:
// the exit status, nothing on stdout (with --json the one document) and a tree
// that is as it was.
//
//	refuses STATUS ARG...
func refuses(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: refuses STATUS ARG...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	root := ts.Getenv("WORK")
	before := snapshot(ts, root)

	var exit *exec.ExitError
	err = ts.Exec("asyncapi-impl", args[1:]...)
	if !errors.As(err, &exit) || exit.ExitCode() != want {
		ts.Fatalf("got %v, want exit status %d", err, want)
	}
	if out := ts.ReadFile("stdout"); out != "" && !slices.Contains(args, "--json") {
		ts.Fatalf("stdout is not empty:\n%s", out)
	}
	if after := snapshot(ts, root); !maps.Equal(before, after) {
		ts.Fatalf("the tree was changed:\nbefore %v\nafter  %v", before, after)
	}
}

// snapshot says of everything below a directory what it is.
func snapshot(ts *testscript.TestScript, root string) map[string]string {
	tree := map[string]string{}
	ts.Check(filepath.WalkDir(root, func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		what := info.Mode().String()
		switch {
		case info.Mode().IsRegular():
			data, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			what += fmt.Sprintf(" %x %s", sha256.Sum256(data), info.ModTime())
		case info.Mode()&fs.ModeSymlink != 0:
			target, err := os.Readlink(name)
			if err != nil {
				return err
			}
			what += " " + target
		}
		tree[name] = what
		return nil
	}))
	return tree
}
