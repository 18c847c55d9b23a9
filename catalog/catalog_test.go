package catalog_test

import (
	"errors"
	"go/version"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"golang.org/x/mod/modfile"

	"github.com/asyncapi-impl/asyncapi-impl/catalog"
	"github.com/asyncapi-impl/asyncapi-impl/internal/problem"
)

// stays tells which files nobody can eject.
func stays(name string) bool {
	return strings.HasSuffix(name, "_test.go") && name != "conformance_test.go" && name != "example_test.go"
}

// TestEmbedded: go:embed drops what it does not like, such as a directory with
// a go.mod, without a word.
func TestEmbedded(t *testing.T) {
	c := load(t)
	disk := os.DirFS(".")
	var want []string
	for _, pattern := range []string{"*/*/*", catalog.Suite + "/*"} {
		names, err := fs.Glob(disk, pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if info, err := fs.Stat(disk, name); err != nil {
				t.Fatal(err)
			} else if !info.IsDir() && !stays(path.Base(name)) {
				want = append(want, name)
			}
		}
	}
	var got []string
	err := fs.WalkDir(c.FS, ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		got = append(got, name)
		embedded, err := fs.ReadFile(c.FS, name)
		if err != nil {
			return err
		}
		onDisk, err := fs.ReadFile(disk, name)
		if string(embedded) != string(onDisk) {
			t.Errorf("%s is embedded with another text than on the disk", name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(want)
	want = slices.Compact(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("embedded %v\non disk  %v", got, want)
	}
}

func TestEntries(t *testing.T) {
	c := load(t)
	var dirs []string
	for _, d := range c.Drivers {
		dirs = append(dirs, d.ID())
		if _, err := c.Summary(d); err != nil {
			t.Error(err)
		}
		if _, ok := c.Requirement(d.Import); !ok && d.Import != "" {
			t.Errorf("%s: go.mod does not require %s", d.ID(), d.Import)
		}
	}
	slices.Sort(dirs)
	found, err := fs.Glob(c.FS, "*/*")
	if err != nil {
		t.Fatal(err)
	}
	found = slices.DeleteFunc(found, func(name string) bool {
		info, err := fs.Stat(c.FS, name)
		return err != nil || !info.IsDir() || path.Dir(name) == catalog.Suite
	})
	if !slices.Equal(dirs, found) {
		t.Errorf("entries     %v\ndirectories %v", dirs, found)
	}
	for _, p := range c.Protocols() {
		n := 0
		for _, d := range c.Of(p) {
			if d.Default {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%s has %d default drivers, want one", p, n)
		}
	}
}

// lowest is the Go of log/slog, which every driver's Options mention, however
// old its library is.
const lowest = "1.21"

// TestVersions holds what is shown to what go.mod on the disk says, and the
// entries' go lines to those of their libraries.
func TestVersions(t *testing.T) {
	c := load(t)
	text, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	mod, err := modfile.Parse("go.mod", text, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{}
	for _, r := range mod.Require {
		want[r.Mod.Path] = r.Mod.Version
	}
	for _, d := range c.Drivers {
		m, ok := c.Requirement(d.Import)
		if !ok {
			continue
		}
		if m.Version != want[m.Path] {
			t.Errorf("%s: %s, go.mod has %s", m.Path, m.Version, want[m.Path])
		}
		out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.GoVersion}}", m.Path).Output()
		if err != nil {
			t.Fatal(err)
		}
		need := strings.TrimSpace(string(out))
		if version.Compare("go"+need, "go"+lowest) < 0 {
			need = lowest
		}
		if need != d.Go {
			t.Errorf("%s: the entry says go %s, %s needs %s", d.ID(), d.Go, m.Path, need)
		}
	}
}

func TestFind(t *testing.T) {
	c := fixture(t)
	for name, want := range map[string]string{
		"kafka":                          "kafka/franz",
		"kafka/segmentio":                "kafka/segmentio",
		"github.com/segmentio/kafka-go":  "kafka/segmentio",
		"nats":                           "nats/natsgo",
		"github.com/nats-io/nats.go":     "nats/natsgo",
		"http":                           "http/std",
		"github.com/twmb/franz-go/pkg/x": "",
	} {
		d, err := c.Find(name)
		if want == "" {
			if err == nil {
				t.Errorf("%s: got %s, want an error", name, d.ID())
			}
			continue
		}
		if err != nil || d.ID() != want {
			t.Errorf("%s: got %s, %v, want %s", name, d.ID(), err, want)
		}
	}
}

func TestDidYouMean(t *testing.T) {
	c := fixture(t)
	for name, want := range map[string]string{
		"kafka/segmentoi":               "did you mean kafka/segmentio? (kafka has: segmentio, franz)",
		"kafak":                         "did you mean kafka?",
		"franz":                         "did you mean kafka/franz?",
		"Kafka":                         "did you mean kafka?",
		"github.com/segmentio/kafka":    "did you mean github.com/segmentio/kafka-go?",
		"kafka/zzzzzzzzzzzzzzzzzzzzzzz": "choose another (kafka has: segmentio, franz)",
		"impl":                          "./impl",
	} {
		_, err := c.Find(name)
		var p *problem.Error
		if !errors.As(err, &p) || p.Exit != problem.ExitUsage || !strings.Contains(p.Hint, want) {
			t.Errorf("%s: got %+v, want a hint with %q", name, p, want)
		}
	}
}

func load(t *testing.T) *catalog.Catalog {
	t.Helper()
	c, err := catalog.Load()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func fixture(t *testing.T) *catalog.Catalog {
	t.Helper()
	c, err := catalog.New(fstest.MapFS{}, []byte(`module example.com/catalog
require (
	github.com/segmentio/kafka-go v1.0.0
	github.com/twmb/franz-go v1.0.0
	github.com/nats-io/nats.go v1.0.0
)`), []catalog.Driver{
		{Protocol: "kafka", Library: "segmentio", Import: "github.com/segmentio/kafka-go"},
		{Protocol: "kafka", Library: "franz", Import: "github.com/twmb/franz-go/pkg/kgo", Default: true},
		{Protocol: "nats", Library: "natsgo", Import: "github.com/nats-io/nats.go", Default: true},
		{Protocol: "nats", Library: "jetstream", Import: "github.com/nats-io/nats.go/jetstream"},
		{Protocol: "http", Library: "std", Default: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}
