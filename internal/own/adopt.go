package own

import (
	"context"
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/mod/module"

	"github.com/asyncapi-impl/asyncapi-impl/catalog"
	"github.com/asyncapi-impl/asyncapi-impl/internal/eject"
	"github.com/asyncapi-impl/asyncapi-impl/internal/manifest"
	"github.com/asyncapi-impl/asyncapi-impl/internal/plan"
	"github.com/asyncapi-impl/asyncapi-impl/internal/problem"
	"github.com/asyncapi-impl/asyncapi-impl/internal/txn"
)

// Adoption says how a copy that was adopted stands to the driver.
type Adoption struct {
	Dir     string `json:"dir"`
	Driver  string `json:"driver"`
	Version string `json:"version"`
	// Same, Different and Missing count the driver's files.
	Same      int      `json:"same"`
	Different int      `json:"different"`
	Missing   int      `json:"missing"`
	Notes     []string `json:"notes"`
}

// Adopt gives a directory the manifest of a driver, as if it had been ejected
// there and edited since. The driver may be followed by @ and a version, which
// is fetched.
func (s *Session) Adopt(ctx context.Context, dir, name string) (*Adoption, error) {
	name, version, hasVersion := strings.Cut(name, "@")
	driver := name
	if driver != catalog.Suite {
		d, err := s.Catalog.Find(name)
		if err != nil {
			return nil, err
		}
		driver = d.ID()
	}
	from, source := s.Catalog, s.Source
	if hasVersion && version != source.Version {
		source = manifest.Source{Module: s.Source.Module, Version: version}
		var err error
		if from, source.Sum, err = published(ctx, source, true); err != nil {
			return nil, problem.New(problem.NoBase, "%s@%s: %v", driver, version, err).Because(err).
				WithHint("without @%s the files are compared with this program's, %s", version, s.Source.Version)
		}
	}
	at, err := plan.Locate(s.WorkingDir, dir)
	if err != nil {
		return nil, err
	}
	a := &Adoption{Dir: at.Shown, Driver: driver, Version: source.Version}
	return a, plan.Write(ctx, at.Mod.Root, false, func(root *os.Root, undone []string) ([]txn.Change, error) {
		a.Notes = append([]string{}, undone...)
		m, err := s.adopt(root, at, from, driver, a)
		if err != nil {
			return nil, err
		}
		m.Catalog = source
		text, err := m.Encode()
		return []txn.Change{{Path: path.Join(at.Rel, manifest.Name), Data: text}}, err
	})
}

func (s *Session) adopt(root *os.Root, at plan.Place, from *catalog.Catalog, driver string, a *Adoption) (*manifest.Manifest, error) {
	if m, _, err := plan.ReadManifest(root, at); err != nil {
		return nil, err
	} else if m != nil {
		return nil, problem.NewConflict([]string{at.Shown}, "%s already holds %s %s", at.Shown, m.Driver, m.Catalog.Version).
			WithHint("asyncapi-impl status %s", at.Shown)
	}
	local, name, err := packageFiles(root, at)
	if err != nil {
		return nil, err
	}
	_, tests := local["conformance_test.go"]
	m := &manifest.Manifest{Schema: manifest.Schema, Driver: driver, Package: name, Tests: tests || driver == catalog.Suite}
	var files []eject.File
	var requires []module.Version
	if _, err := fs.Stat(from.FS, driver); err != nil {
		return nil, problem.NewUsage(problem.UnknownDriver, "%s has no %s", a.Version, driver).WithHint("asyncapi-impl list")
	}
	files, requires, err = s.render(from, m, at)
	if err != nil {
		return nil, err
	}
	for _, r := range requires {
		m.Requires = append(m.Requires, manifest.Require{Path: r.Path, Min: r.Version})
	}
	m.Files = map[string]manifest.File{}
	for _, f := range files {
		m.Files[f.Name] = manifest.Describe(f.Data)
		switch data, ok := local[f.Name]; {
		case !ok:
			a.Missing++
		case manifest.Sum(data) == m.Files[f.Name].SHA256:
			a.Same++
		default:
			a.Different++
		}
	}
	if a.Same+a.Different == 0 {
		return nil, problem.NewUsage(problem.NotEjected, "%s has none of the files of %s", at.Shown, driver).
			WithHint("asyncapi-impl eject %s --to %s", driver, path.Dir(at.Shown))
	}
	return m, nil
}

// packageFiles reads a directory's files and finds the name of its package.
func packageFiles(root *os.Root, at plan.Place) (map[string][]byte, string, error) {
	entries, err := fs.ReadDir(root.FS(), at.Rel)
	if err != nil {
		return nil, "", problem.NewUsage(problem.NotEjected, "%s cannot be read: %v", at.Shown, plan.Cause(err)).Because(err).
			WithHint("asyncapi-impl adopt DIR DRIVER wants a directory with a driver's files")
	}
	files := map[string][]byte{}
	var names []string
	for _, e := range entries {
		if !e.Type().IsRegular() {
			continue
		}
		data, err := root.ReadFile(path.Join(at.Rel, e.Name()))
		if err != nil {
			return nil, "", plan.Failure(at.Mod.Root, err)
		}
		files[e.Name()] = data
		f, err := parser.ParseFile(token.NewFileSet(), e.Name(), data, parser.PackageClauseOnly)
		if strings.HasSuffix(e.Name(), ".go") && err == nil {
			names = append(names, strings.TrimSuffix(f.Name.Name, "_test"))
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	if len(names) != 1 {
		found := "no Go package"
		if len(names) > 1 {
			found = fmt.Sprintf("the packages %s", strings.Join(names, ", "))
		}
		return nil, "", problem.NewUsage(problem.NotEjected, "%s holds %s", at.Shown, found).
			WithHint("adopt wants the directory of one package")
	}
	return files, names[0], nil
}
