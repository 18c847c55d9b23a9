package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/asyncapi-impl/asyncapi-impl/internal/manifest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"asyncapi-impl": main})
}

func TestScripts(t *testing.T) {
	home, cache := t.TempDir(), goEnv(t, "GOCACHE")
	testscript.Run(t, testscript.Params{
		Setup: func(env *testscript.Env) error {
			for name, value := range map[string]string{
				"HOME": home, "GOCACHE": cache, "OLDPATH": env.Getenv("PATH"), "GOTELEMETRY": "off", "GIT_CONFIG_NOSYSTEM": "1",
				"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b",
			} {
				env.Setenv(name, value)
			}
			return nil
		},
		Dir:                 "testdata",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"age":     age,
			"edit":    edit,
			"refuses": refuses,
			"valid":   valid,
		},
		Condition: func(name string) (bool, error) {
			if name == "root" {
				return os.Getuid() == 0, nil
			}
			return false, fmt.Errorf("unknown condition %q", name)
		},
	})
}

func goEnv(t *testing.T, name string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "env", name).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
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
	if slices.Contains(args, "--json") {
		validate(ts, "output", ts.ReadFile("stdout"))
	}
	if after := snapshot(ts, root); !maps.Equal(before, after) {
		for name := range before {
			if after[name] == before[name] {
				delete(before, name)
				delete(after, name)
			}
		}
		ts.Fatalf("the tree was changed:\nbefore %v\nafter  %v", before, after)
	}
}

// valid holds stdout to the JSON Schema of a command, or of what it is told.
//
//	valid NAME
func valid(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: valid NAME")
	}
	validate(ts, args[0], ts.ReadFile("stdout"))
}

func validate(ts *testscript.TestScript, name, document string) {
	text, err := json.Marshal(schemas()[name])
	ts.Check(err)
	schema, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	ts.Check(err)
	compiler := jsonschema.NewCompiler()
	ts.Check(compiler.AddResource("schema.json", schema))
	compiled, err := compiler.Compile("schema.json")
	ts.Check(err)
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(document))
	ts.Check(err)
	ts.Check(compiled.Validate(value))
}

// age makes it look as if a file had been ejected from v0.0.1, with another
// text where the catalog has OLD now.
//
//	age DIR FILE OLD NEW
func age(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 4 {
		ts.Fatalf("usage: age DIR FILE OLD NEW")
	}
	record := filepath.Join(ts.MkAbs(args[0]), manifest.Name)
	m, err := manifest.Decode([]byte(ts.ReadFile(record)))
	ts.Check(err)
	file := filepath.Join(ts.MkAbs(args[0]), args[1])
	text := ts.ReadFile(file)
	if !strings.Contains(text, args[2]) {
		ts.Fatalf("%s has no %q", args[1], args[2])
	}
	text = strings.Replace(text, args[2], args[3], 1)
	ts.Check(os.WriteFile(file, []byte(text), 0o644))
	m.Catalog.Version, m.Catalog.Sum = "v0.0.1", ""
	m.Files[args[1]] = manifest.Describe([]byte(text))
	data, err := m.Encode()
	ts.Check(err)
	ts.Check(os.WriteFile(record, data, 0o644))
}

// edit replaces the first OLD of a file.
//
// In NEW \n is a line's end.
//
//	edit FILE OLD NEW
func edit(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: edit FILE OLD NEW")
	}
	text := ts.ReadFile(args[0])
	if !strings.Contains(text, args[1]) {
		ts.Fatalf("%s has no %q", args[0], args[1])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(strings.Replace(text, args[1], strings.ReplaceAll(args[2], `\n`, "\n"), 1)), 0o644))
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
