package plan_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/asyncapi-impl/asyncapi-impl/catalog"
	"github.com/asyncapi-impl/asyncapi-impl/internal/gomod"
	"github.com/asyncapi-impl/asyncapi-impl/internal/manifest"
	"github.com/asyncapi-impl/asyncapi-impl/internal/plan"
	"github.com/asyncapi-impl/asyncapi-impl/internal/problem"
)

func fixture(t *testing.T) *catalog.Catalog {
	t.Helper()
	src := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	c, err := catalog.New(fstest.MapFS{
		"kafka/one/doc.go":              src("// Package one talks.\npackage one\n"),
		"kafka/one/one.go":              src("package one\n\nimport _ \"example.com/one/sub\"\n"),
		"kafka/one/conformance_test.go": src("package one\n\nimport (\n\t_ \"example.com/c/catalog/conformance\"\n\t_ \"example.com/check\"\n)\n"),
		"kafka/two/doc.go":              src("// Package two talks.\npackage two\n\nimport _ \"example.com/two\"\n"),
		"http/std/doc.go":               src("// Package std talks.\npackage std\n\nimport _ \"net/http\"\n"),
		"conformance/doc.go":            src("// Package conformance checks.\npackage conformance\n"),
	}, []byte("module example.com/c\nrequire (\nexample.com/one v1.2.0\nexample.com/two v1.0.0\nexample.com/check v1.0.0\n)\n"),
		[]catalog.Driver{
			{Protocol: "kafka", Library: "one", Import: "example.com/one", Go: "1.23", Default: true},
			{Protocol: "kafka", Library: "two", Import: "example.com/two", Go: "1.26.0"},
			{Protocol: "http", Library: "std", Go: "1.23", Default: true},
		})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func module(t *testing.T, gomod string) string {
	t.Helper()
	dir := t.TempDir()
	put(t, filepath.Join(dir, "go.mod"), gomod)
	return dir
}

func put(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func request(c *catalog.Catalog, dir string, names ...string) plan.Request {
	return plan.Request{
		Catalog: c, Source: manifest.Source{Module: c.Module, Version: "v1.0.0"}, WorkingDir: dir, Names: names,
		Deps: plan.DepsEdit, OnConflict: plan.Fail,
	}
}

func TestSeveral(t *testing.T) {
	dir := module(t, "module m\n\ngo 1.26\n")
	req := request(fixture(t), dir, "kafka", "http", "./x")
	req.Tests = true
	p, err := plan.Eject(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{
		"x/kafka/one.go", "x/kafka/conformance_test.go", "x/http/doc.go", "x/conformance/doc.go", "x/conformance/.asyncapi-impl.json",
	} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}
	text, err := os.ReadFile(filepath.Join(dir, "x/kafka/conformance_test.go"))
	if err != nil || !strings.Contains(string(text), `"m/x/conformance"`) {
		t.Errorf("the suite's import is wrong: %s %v", text, err)
	}
	want := []gomod.Change{
		{Action: gomod.Add, Path: "example.com/check", Want: "v1.0.0"},
		{Action: gomod.Add, Path: "example.com/one", Want: "v1.2.0"},
	}
	if !slices.Equal(p.Requires, want) {
		t.Errorf("got %v, want %v", p.Requires, want)
	}
	if want := []string{"go get -t ./x/kafka ./x/http"}; !slices.Equal(p.Next, want) {
		t.Errorf("got %v, want %v", p.Next, want)
	}
}

func TestStandardLibraryNeedsNothing(t *testing.T) {
	dir := module(t, "module m\n\ngo 1.23\n")
	p, err := plan.Eject(t.Context(), request(fixture(t), dir, "http"))
	if err != nil || len(p.Requires) != 0 || len(p.Next) != 0 {
		t.Errorf("got %v, %v, %v", p.Requires, p.Next, err)
	}
}

func TestRefused(t *testing.T) {
	for _, c := range []struct {
		name, message string
		exit          int
		change        func(*plan.Request)
	}{
		{"one directory", "kafka/one and kafka/two both go to impl/kafka", 2, func(r *plan.Request) { r.Names = []string{"kafka/one", "kafka/two"} }},
		{"as for two", "--as names one driver, not 2", 2, func(r *plan.Request) { r.Names, r.As = []string{"kafka", "http"}, "x" }},
		{"package for two", "--package names one driver, not 2", 2, func(r *plan.Request) { r.Names, r.Package = []string{"kafka", "http"}, "x" }},
		{"go line", "kafka/two needs go ≥ 1.26.0, go.mod says 1.23", 1, func(r *plan.Request) { r.Names = []string{"http", "kafka/two"} }},
	} {
		t.Run(c.name, func(t *testing.T) {
			goLine := "1.23"
			if c.exit == 2 {
				goLine = "1.26.0"
			}
			dir := module(t, "module m\n\ngo "+goLine+"\n")
			req := request(fixture(t), dir)
			c.change(&req)
			_, err := plan.Eject(t.Context(), req)
			var p *problem.Error
			if !errors.As(err, &p) || p.Message != c.message || p.Exit != c.exit || p.Hint == "" {
				t.Errorf("got %+v, want %q", p, c.message)
			}
			if entries, _ := os.ReadDir(dir); len(entries) != 1 {
				t.Errorf("something was written: %v", entries)
			}
		})
	}
}

// TestDifferentModules: what goes to two modules cannot be written as one.
func TestDifferentModules(t *testing.T) {
	dir := module(t, "module m\n\ngo 1.26\n")
	put(t, filepath.Join(dir, "impl/http/go.mod"), "module m/impl/http\n\ngo 1.26\n")
	_, err := plan.Eject(t.Context(), request(fixture(t), dir, "kafka", "http"))
	if err == nil || !strings.Contains(err.Error(), "are in different modules") {
		t.Errorf("got %v", err)
	}
	p, err := plan.Eject(t.Context(), request(fixture(t), dir, "http"))
	if err != nil || p.Packages[0].Import != "m/impl/http" {
		t.Errorf("got %+v, %v", p, err)
	}
}

// TestAtOnce: of several runs for one directory all succeed, and what they
// leave is what one leaves.
func TestAtOnce(t *testing.T) {
	dir := module(t, "module m\n\ngo 1.26\n")
	c := fixture(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, err := plan.Eject(t.Context(), request(c, dir, "kafka", "http")); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	alone := module(t, "module m\n\ngo 1.26\n")
	if _, err := plan.Eject(t.Context(), request(c, alone, "kafka", "http")); err != nil {
		t.Fatal(err)
	}
	if err := sameTree(os.DirFS(alone), os.DirFS(dir)); err != nil {
		t.Error(err)
	}
}

func sameTree(a, b fs.FS) error {
	count := func(fsys fs.FS) (n int) {
		_ = fs.WalkDir(fsys, ".", func(string, fs.DirEntry, error) error { n++; return nil })
		return n
	}
	if count(a) != count(b) {
		return errors.New("one tree has more files")
	}
	return fs.WalkDir(a, ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		want, err := fs.ReadFile(a, name)
		if err != nil {
			return err
		}
		got, err := fs.ReadFile(b, name)
		if string(got) != string(want) {
			return errors.Join(err, errors.New(name+" differs"))
		}
		return err
	})
}
