package plan_test

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/asyncapi-impl/asyncapi-impl/catalog"
	"github.com/asyncapi-impl/asyncapi-impl/internal/plan"
)

var all = flag.Bool("all", false, "try every driver in every kind of module, not only the first")

// TestModules ejects every driver into a module of its own, outside this
// repository, that has the lowest go line the driver needs, and builds, vets
// and tests it there.
func TestModules(t *testing.T) {
	c, err := catalog.Load()
	if err != nil {
		t.Fatal(err)
	}
	for i, d := range c.Drivers {
		t.Run(d.ID(), func(t *testing.T) {
			dir := module(t, "module example.com/user\n\ngo "+d.Go+"\n")
			req := request(c, dir, d.ID())
			req.Tests = true
			try(t, req, dir, "./impl/...")
			// A driver without a server has one in its tests: the whole suite runs
			// in the catalog, here it is enough that it can.
			golang(t, dir, "test", "-run=Example|TestConformance/^round-trip$", "./...")
		})
		if testing.Short() || i > 0 && !*all {
			continue
		}
		for name, variant := range variants {
			t.Run(d.ID()+"/"+name, func(t *testing.T) { variant(t, c, d) })
		}
	}
}

var variants = map[string]func(*testing.T, *catalog.Catalog, catalog.Driver){
	"without tests": func(t *testing.T, c *catalog.Catalog, d catalog.Driver) {
		dir := module(t, "module example.com/user\n\ngo "+d.Go+"\n")
		try(t, request(c, dir, d.ID()), dir, "./...")
	},
	"as": func(t *testing.T, c *catalog.Catalog, d catalog.Driver) {
		dir := module(t, "module example.com/user\n\ngo "+d.Go+"\n")
		req := request(c, dir, d.ID(), "./internal/deep")
		req.As, req.Tests = "events", true
		try(t, req, dir, "./...")
	},
	"package": func(t *testing.T, c *catalog.Catalog, d catalog.Driver) {
		dir := module(t, "module example.com/user\n\ngo "+d.Go+"\n")
		req := request(c, dir, d.ID())
		req.Package, req.Tests = "events", true
		try(t, req, dir, "./...")
	},
	"nested module": func(t *testing.T, c *catalog.Catalog, d catalog.Driver) {
		dir := module(t, "module example.com/outer\n\ngo 1.21\n")
		put(t, filepath.Join(dir, "inner/go.mod"), "module example.com/inner\n\ngo "+d.Go+"\n")
		try(t, request(c, dir, d.ID(), "./inner/impl"), filepath.Join(dir, "inner"), "./...")
	},
	"workspace": func(t *testing.T, c *catalog.Catalog, d catalog.Driver) {
		dir := t.TempDir()
		put(t, filepath.Join(dir, "go.work"), "go "+d.Go+"\n\nuse ./member\n")
		put(t, filepath.Join(dir, "member/go.mod"), "module example.com/member\n\ngo "+d.Go+"\n")
		try(t, request(c, dir, d.ID(), "./member/impl"), dir, "./member/impl/...")
	},
	"vendor": func(t *testing.T, c *catalog.Catalog, d catalog.Driver) {
		dir := module(t, "module example.com/user\n\ngo "+d.Go+"\n")
		put(t, filepath.Join(dir, "vendor/modules.txt"), "")
		p := try(t, request(c, dir, d.ID()), dir, "./...")
		if d.Import != "" && !slices.Contains(p.Next, "go mod vendor") {
			t.Errorf("go mod vendor is not among %v", p.Next)
		}
	},
}

// try ejects, runs the commands that eject names, and builds and vets.
func try(t *testing.T, req plan.Request, dir, pattern string) *plan.Plan {
	t.Helper()
	p, err := plan.Eject(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	for _, next := range p.Next {
		args := strings.Fields(next)
		cmd := command(t, req.WorkingDir, args[1:]...)
		out, err := cmd.CombinedOutput()
		for _, sign := range []string{"dial tcp", "module lookup disabled", "no such host"} {
			if strings.Contains(string(out), sign) {
				t.Skipf("SKIPPED: the driver's modules are neither in the module cache nor to be had:\n%s", out)
			}
		}
		if err != nil {
			t.Fatalf("%s: %v\n%s", next, err, out)
		}
	}
	golang(t, dir, "build", pattern)
	golang(t, dir, "vet", pattern)
	return p
}

func golang(t *testing.T, dir string, args ...string) {
	t.Helper()
	if out, err := command(t, dir, args...).CombinedOutput(); err != nil {
		t.Fatalf("go %v: %v\n%s", args, err, out)
	}
}

// command runs go as the user would, without a broker for the ejected tests.
func command(t *testing.T, dir string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = dir
	for _, v := range os.Environ() {
		name, _, _ := strings.Cut(v, "=")
		if !strings.HasSuffix(name, "_URL") && name != "GOWORK" && !strings.HasPrefix(name, "ASYNCAPI_IMPL_") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	return cmd
}
