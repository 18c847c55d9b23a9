package plan

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"

	"github.com/asyncapi-impl/asyncapi-impl/catalog"
	"github.com/asyncapi-impl/asyncapi-impl/internal/gomod"
	"github.com/asyncapi-impl/asyncapi-impl/internal/manifest"
	"github.com/asyncapi-impl/asyncapi-impl/internal/problem"
	"github.com/asyncapi-impl/asyncapi-impl/internal/scaffold"
	"github.com/asyncapi-impl/asyncapi-impl/internal/txn"
)

// NewRequest is what the user wants to begin.
type NewRequest struct {
	Catalog    *catalog.Catalog
	Source     manifest.Source
	WorkingDir string
	Protocol   string
	// To is the directory above the package's, empty for DefaultDir.
	To string
	// Library names what the driver is made of.
	Library string
	// As is the name of the directory and package, instead of the protocol's.
	As     string
	DryRun bool
}

// newGo is the lowest go line that the scaffold and the suite need.
const newGo = "1.23"

var (
	protocolName = regexp.MustCompile(`^[a-z][a-z0-9]*([-_.][a-z0-9]+)*$`)
	libraryName  = regexp.MustCompile(`^[a-z][a-z0-9]*$`)
)

// New begins a driver. In the catalog's own module it goes where drivers go
// there; in the user's the suite comes along, unless it is there already.
func New(ctx context.Context, req NewRequest) (p *Plan, err error) {
	if !protocolName.MatchString(req.Protocol) {
		return nil, problem.NewUsage(problem.Usage, "%q is no protocol's name", req.Protocol).
			WithHint("lower-case letters and digits, as in an AsyncAPI document: ibmmq, pulsar")
	}
	if req.Library != "" && !libraryName.MatchString(req.Library) {
		return nil, problem.NewUsage(problem.Usage, "--lib %q is no library's name", req.Library).
			WithHint("a short word for the library, lower-case letters and digits, such as paho")
	}
	home, err := gomod.Find(req.WorkingDir)
	contributing := err == nil && home.Path == req.Catalog.Module
	to, name := cmp.Or(req.To, DefaultDir), cmp.Or(req.As, req.Protocol)
	if contributing {
		if req.Library == "" || req.To != "" || req.As != "" {
			return nil, problem.NewUsage(problem.Usage, "in the catalog's own module a driver goes to catalog/%s/LIB", req.Protocol).
				WithHint("asyncapi-impl new %s --lib LIB", req.Protocol)
		}
		to, name = filepath.Join(home.Root, "catalog", req.Protocol), req.Library
	}
	if err := checkName("as", name); err != nil {
		return nil, err
	}
	at, err := Locate(req.WorkingDir, filepath.Join(to, name))
	if err != nil {
		return nil, err
	}
	if !at.Mod.Allows(newGo) {
		return nil, problem.New(problem.BadModule, "a driver needs go ≥ %s, go.mod says %s", newGo, at.Mod.Go).
			WithHint("go get go@%s", newGo)
	}
	suite := &Package{Driver: catalog.Suite, Version: req.Source.Version, Name: catalog.Suite, tests: true}
	suite.Import = path.Join(req.Catalog.Path(), catalog.Suite)
	if !contributing {
		if suite.place, err = Locate(req.WorkingDir, filepath.Join(to, catalog.Suite)); err != nil {
			return nil, err
		}
		suite.Dir, suite.Import = suite.place.Shown, suite.place.Import()
	}
	library := cmp.Or(req.Library, "own")
	own := &Package{
		Driver: req.Protocol + "/" + library, Version: req.Source.Version,
		Dir: at.Shown, Import: at.Import(), Name: name, place: at,
	}
	err = Write(ctx, at.Mod.Root, req.DryRun, func(root *os.Root, undone []string) ([]txn.Change, error) {
		p = &Plan{Packages: []*Package{own}, Requires: []gomod.Change{}, Next: []string{}, Notes: append([]string{}, undone...), mod: at.Mod}
		if err := own.begin(root, req.Catalog.Module, scaffold.Driver{
			Protocol: req.Protocol, Library: library, Package: name, Path: own.Import, Suite: suite.Import,
		}); err != nil {
			return nil, err
		}
		if !contributing {
			p.Packages = append(p.Packages, suite)
			whole := &Request{Catalog: req.Catalog, Source: req.Source, OnConflict: Skip}
			if err := suite.plan(whole, root, suite.Import); err != nil {
				return nil, err
			}
		}
		p.Next = append(p.Next, "go test ./"+at.Shown, "asyncapi-impl help own-driver")
		return p.changes(), nil
	})
	return p, err
}

// begin plans the scaffold, which needs a directory of its own.
func (p *Package) begin(root *os.Root, module string, d scaffold.Driver) error {
	there, err := fs.ReadDir(root.FS(), p.place.Rel)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return problem.New(problem.BadTarget, "%s cannot be read: %v", p.Dir, Cause(err)).Because(err)
	}
	if len(there) > 0 {
		return problem.NewConflict([]string{p.Dir}, "%s is not empty", p.Dir).
			WithHint("another name: --as %s2", p.Name)
	}
	files, err := scaffold.Files(module, d)
	if err != nil {
		return problem.New(problem.Internal, "%v", err).Because(err)
	}
	for _, f := range files {
		p.Files = append(p.Files, File{f.Name, Create})
		p.change(f.Name, f.Data)
	}
	return nil
}
