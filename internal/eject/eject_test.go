package eject_test

import (
	"bytes"
	"go/format"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/asyncapi-impl/asyncapi-impl/catalog"
	"github.com/asyncapi-impl/asyncapi-impl/internal/eject"
)

var fixture = fstest.MapFS{
	"p/lib/doc.go":              {Data: []byte("// Package lib talks. Package lib stays here.\npackage lib\n")},
	"p/lib/odd.go":              {Data: []byte("package   lib // package lib\n\nimport (\n\"fmt\"\n\t\"x.org/y/z\"\n)\n\nvar   lib = fmt.Sprint(z.Z)\n")},
	"p/lib/prefix.go":           {Data: []byte("// Package library is another word.\npackage lib\n")},
	"p/lib/conformance_test.go": {Data: []byte("package lib_test\n\nimport (\n\t\"m/catalog/conformance\"\n\t\"m/catalog/p/lib\"\n)\n\nvar _ = lib.X\n")},
	"p/lib/example_test.go":     {Data: []byte("package lib_test\n\nimport impl \"m/catalog/p/lib\"\n")},
	"p/lib/broker_test.go":      {Data: []byte("package lib\n\nimport \"x.org/broker\"\n")},
	"p/lib/send_test.go":        {Data: []byte("package lib\n\nimport \"m/internal/x\"\n")},
}

func TestPackage(t *testing.T) {
	got, imports := render(t, fixture, "p/lib", "m/catalog", to("user"))
	want := map[string]string{
		"doc.go":              "// Package user talks. Package lib stays here.\npackage user\n",
		"odd.go":              "package   user // package lib\n\nimport (\n\"fmt\"\n\t\"x.org/y/z\"\n)\n\nvar   lib = fmt.Sprint(z.Z)\n",
		"prefix.go":           "// Package library is another word.\npackage user\n",
		"conformance_test.go": "package user_test\n\nimport (\n\t\"u/impl/conformance\"\n\tlib \"u/impl/dir\"\n)\n\nvar _ = lib.X\n",
		"example_test.go":     "package user_test\n\nimport impl \"u/impl/dir\"\n",
	}
	for name, text := range want {
		if got[name] != text {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got[name], text)
		}
	}
	if len(got) != len(want) {
		t.Errorf("got %d files, want %d", len(got), len(want))
	}
	if !slices.Equal(imports, []string{"fmt", "x.org/y/z"}) {
		t.Errorf("got imports %v", imports)
	}

	without := to("user")
	without.Tests = false
	if got, _ := render(t, fixture, "p/lib", "m/catalog", without); len(got) != 3 {
		t.Errorf("without tests: got %d files, want 3", len(got))
	}
}

func TestRefuses(t *testing.T) {
	for name, src := range map[string]string{
		"not Go":          "package",
		"another package": "package other\n",
		"not ejected":     "package lib\n\nimport _ \"m/catalog/q/lib\"\n",
		"not in FS":       "package lib\n\nimport _ \"m/internal/x\"\n",
	} {
		fsys := fstest.MapFS{"p/lib/x.go": {Data: []byte(src)}}
		if _, _, err := eject.Package(eject.From{FS: fsys, Dir: "p/lib", Module: "m", Path: "m/catalog"}, to("user")); err == nil {
			t.Errorf("%s: want an error", name)
		}
	}
}

// TestOnlyTheName holds every file of the catalog to the promise, found in
// another way than the package finds it: line by line.
func TestOnlyTheName(t *testing.T) {
	c, err := catalog.Load()
	if err != nil {
		t.Fatal(err)
	}
	dirs := []string{catalog.Suite}
	for _, d := range c.Drivers {
		dirs = append(dirs, d.ID())
	}
	for _, dir := range dirs {
		for _, name := range []string{"kafka", "a", "averyveryverylongpackagename", path.Base(dir)} {
			got, _ := render(t, c.FS, dir, c.Path(), to(name))
			for file, text := range got {
				src, err := fs.ReadFile(c.FS, path.Join(dir, file))
				if err != nil {
					t.Fatal(err)
				}
				differ(t, path.Join(dir, file), string(src), text, path.Base(dir), name, c.Path())
				if formatted, err := format.Source([]byte(text)); err != nil || !bytes.Equal(formatted, []byte(text)) {
					t.Errorf("%s/%s as %s is not formatted: %v", dir, file, name, err)
				}
			}
		}
	}
}

func differ(t *testing.T, file, src, got, old, name, home string) {
	t.Helper()
	a, b := strings.Split(src, "\n"), strings.Split(got, "\n")
	if len(a) != len(b) {
		t.Errorf("%s as %s has %d lines, want %d", file, name, len(b), len(a))
		return
	}
	clause := regexp.MustCompile(`^(package |// Package )` + old + `((_test)?$|[ ,.:;].*)`)
	imported := regexp.MustCompile(`^(import |\t)(\w+ )?"` + regexp.QuoteMeta(home) + `/.*"$`)
	for i := range a {
		switch {
		case a[i] == b[i]:
		case clause.MatchString(a[i]) && clause.ReplaceAllString(a[i], "${1}"+name+"${2}") == b[i]:
		case strings.HasSuffix(file, "_test.go") && imported.MatchString(a[i]):
		default:
			t.Errorf("%s:%d as %s: %q became %q", file, i+1, name, a[i], b[i])
		}
	}
}

func to(name string) eject.To {
	return eject.To{
		Package: name, Path: "u/impl/dir", Tests: true,
		Imports: map[string]string{"conformance": "u/impl/conformance"},
	}
}

func render(t *testing.T, fsys fs.FS, dir, home string, to eject.To) (map[string]string, []string) {
	t.Helper()
	files, imports, err := eject.Package(eject.From{FS: fsys, Dir: dir, Module: path.Dir(home), Path: home}, to)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, f := range files {
		got[f.Name] = string(f.Data)
	}
	return got, imports
}
