package scaffold_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/asyncapi-impl/asyncapi-impl/catalog"
	"github.com/asyncapi-impl/asyncapi-impl/internal/manifest"
	"github.com/asyncapi-impl/asyncapi-impl/internal/plan"
)

// TestOwnDriver begins a driver, and then implements it as help own-driver says:
// with the files in testdata, which talk within the process.
func TestOwnDriver(t *testing.T) {
	c, err := catalog.Load()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	put(t, filepath.Join(dir, "go.mod"), []byte("module example.com/app\n\ngo 1.23\n"))
	if _, err := plan.New(t.Context(), plan.NewRequest{
		Catalog: c, Source: manifest.Source{Module: c.Module, Version: "(devel)"}, WorkingDir: dir, Protocol: "mem",
	}); err != nil {
		t.Fatal(err)
	}

	// As it is written it builds, says what is missing, and is gofmt's.
	golang(t, dir, true, nil, "vet", "./...")
	if out := golang(t, dir, true, nil, "test", "-v", "./impl/mem"); !strings.Contains(out, "set MEM_URL to the server") {
		t.Errorf("the suite must be skipped with a word why:\n%s", out)
	}
	out := golang(t, dir, false, []string{"MEM_URL=mem://127.0.0.1:9"}, "test", "-v", "./impl/mem")
	if n := strings.Count(out, "not implemented yet"); n < 20 {
		t.Errorf("every check must say what is missing, %d did:\n%s", n, out)
	}
	if strings.Contains(out, "    --- PASS: TestConformance/round") {
		t.Errorf("nothing can pass yet:\n%s", out)
	}
	formatted, err := exec.CommandContext(t.Context(), "gofmt", "-l", filepath.Join(dir, "impl")).CombinedOutput()
	if err != nil || len(formatted) > 0 {
		t.Errorf("gofmt: %v\n%s", err, formatted)
	}

	for _, name := range []string{"hub.go", "producer.go", "consumer.go", "conformance_test.go"} {
		data, err := os.ReadFile(filepath.Join("testdata/mem", name))
		if err != nil {
			t.Fatal(err)
		}
		put(t, filepath.Join(dir, "impl/mem", name), data)
	}
	golang(t, dir, true, nil, "vet", "./...")
	out = golang(t, dir, true, nil, "test", "-v", "./impl/mem")
	passed := strings.Count(out, "    --- PASS")
	t.Logf("%d checks passed, %d do not apply", passed, strings.Count(out, "    --- SKIP"))
	if passed < 40 {
		t.Errorf("only %d checks ran:\n%s", passed, out)
	}
}

func put(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(name, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

func golang(t *testing.T, dir string, succeeds bool, env []string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if (err == nil) != succeeds {
		t.Fatalf("go %v: %v\n%s", args, err, out)
	}
	return string(out)
}
