// Package plan works out what an eject does, checks it against the disk and
// carries it out: all of it or nothing.
package plan

import (
	"cmp"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/module"

	"github.com/asyncapi-impl/asyncapi-impl/catalog"
	"github.com/asyncapi-impl/asyncapi-impl/internal/gomod"
	"github.com/asyncapi-impl/asyncapi-impl/internal/manifest"
	"github.com/asyncapi-impl/asyncapi-impl/internal/problem"
	"github.com/asyncapi-impl/asyncapi-impl/internal/txn"
)

// What to do with the module's requirements.
const (
	DepsEdit  = "edit"
	DepsPrint = "print"
	DepsNone  = "none"
)

// What to do with files that are in the way.
const (
	Fail      = "fail"
	Skip      = "skip"
	Overwrite = "overwrite"
)

// DefaultDir is where drivers go if nothing else is said.
const DefaultDir = "./impl"

// Request is what the user asked for.
type Request struct {
	Catalog *catalog.Catalog
	Source  manifest.Source
	// WorkingDir is absolute.
	WorkingDir string
	// Names are drivers in any form that the catalog finds; the last may be
	// the directory.
	Names []string
	// To is the directory, empty for DefaultDir.
	To string
	// As is the name of the one driver's directory and package.
	As string
	// Package is the name of the one driver's package alone.
	Package    string
	Tests      bool
	Deps       string
	OnConflict string
	DryRun     bool
}

// Plan is what will be done, or was.
type Plan struct {
	Packages []*Package     `json:"packages"`
	Requires []gomod.Change `json:"requires"`
	// Next are the commands to run now.
	Next []string `json:"next"`
	// Notes are things to know that are no failures.
	Notes []string `json:"notes"`

	mod   *gomod.Module
	goMod []byte // nil if it stays
}

// Package is one package of the plan.
type Package struct {
	Driver  string `json:"driver"`
	Version string `json:"version"`
	Default bool   `json:"default"`
	// Dir is relative to the working directory.
	Dir    string `json:"dir"`
	Import string `json:"import"`
	Name   string `json:"package"`
	Files  []File `json:"files"`
	// Undo is the directory that keeps what was overwritten, if anything was.
	Undo string `json:"undo,omitempty"`

	place    Place
	tests    bool
	fresh    bool
	changes  []txn.Change
	requires []module.Version
}

// What becomes of a file.
const (
	Create    = "create"
	Identical = "identical"
	Overwrote = "overwrite"
	Skipped   = "skip"
	Deleted   = "deleted" // by the user, and it stays so
)

// File is one file of the plan.
type File struct {
	Name   string `json:"name"`
	Action string `json:"action"`
}

// Count gives the number of files with an action.
func (p *Package) Count(action string) int {
	n := 0
	for _, f := range p.Files {
		if f.Action == action {
			n++
		}
	}
	return n
}

// targets finds the drivers and their places: everything that can be refused
// without a look at the files.
func targets(req *Request) ([]*Package, error) {
	names, to, err := Split(req.Names, req.To)
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, problem.NewUsage(problem.Usage, "choose a driver").
			WithHint("asyncapi-impl eject %s; all drivers: asyncapi-impl list", req.Catalog.Drivers[0].ID())
	}
	var drivers []catalog.Driver
	for _, name := range names {
		d, err := req.Catalog.Find(name)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(drivers, d) {
			drivers = append(drivers, d)
		}
	}
	for _, flag := range []struct{ name, value string }{{"as", req.As}, {"package", req.Package}} {
		if flag.value == "" {
			continue
		}
		if len(drivers) > 1 {
			return nil, problem.NewUsage(problem.Usage, "--%s names one driver, not %d", flag.name, len(drivers)).
				WithHint("eject them one by one")
		}
		if err := checkName(flag.name, flag.value); err != nil {
			return nil, err
		}
	}

	to = cmp.Or(to, DefaultDir)
	var packages []*Package
	for _, d := range drivers {
		dir := cmp.Or(req.As, d.Protocol)
		pl, err := Locate(req.WorkingDir, filepath.Join(to, dir))
		if err != nil {
			return nil, err
		}
		if !pl.Mod.Allows(d.Go) {
			return nil, problem.New(problem.BadModule, "%s needs go ≥ %s, go.mod says %s", d.ID(), d.Go, pl.Mod.Go).
				WithHint("go get go@%s", d.Go)
		}
		packages = append(packages, &Package{
			Driver: d.ID(), Version: req.Source.Version, Default: d.Default,
			Dir: pl.Shown, Import: pl.Import(), Name: cmp.Or(req.Package, dir),
			place: pl, tests: req.Tests,
		})
	}
	suite, err := Locate(req.WorkingDir, filepath.Join(to, catalog.Suite))
	if err != nil {
		return nil, err
	}
	packages = append(packages, &Package{
		Driver: catalog.Suite, Version: req.Source.Version,
		Dir: suite.Shown, Import: suite.Import(), Name: catalog.Suite,
		place: suite, tests: true,
	})
	return packages, apart(packages)
}

// apart refuses packages in one directory or in several modules.
func apart(packages []*Package) error {
	for i, p := range packages {
		for _, q := range packages[:i] {
			if strings.EqualFold(p.place.Rel, q.place.Rel) && p.place.Mod.Root == q.place.Mod.Root {
				return problem.NewUsage(problem.Usage, "%s and %s both go to %s", q.Driver, p.Driver, p.Dir).
					WithHint("eject one of them with --as")
			}
			if p.place.Mod.Root != q.place.Mod.Root && p.Driver != catalog.Suite {
				return problem.NewUsage(problem.Usage, "%s and %s are in different modules", q.Dir, p.Dir).
					WithHint("eject them one by one")
			}
		}
	}
	return nil
}

// Split takes the directory off the end of the arguments, if there is one.
func Split(args []string, to string) (names []string, dir string, err error) {
	last := len(args) - 1
	if last < 0 || !isDir(args[last]) {
		return args, to, nil
	}
	if to != "" {
		return nil, "", problem.NewUsage(problem.Usage, "two directories: %s and --to %s", args[last], to).
			WithHint("leave one of them out")
	}
	return args[:last], args[last], nil
}

func isDir(arg string) bool { return strings.HasPrefix(arg, ".") || filepath.IsAbs(arg) }

func checkName(flag, name string) error {
	e := problem.NewUsage(problem.Usage, "%q is no package name", name)
	plain := strings.Map(func(r rune) rune {
		if r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' {
			return r
		}
		return -1
	}, strings.ToLower(strings.TrimSuffix(name, "_test")))
	switch {
	case token.IsIdentifier(name) && name != "_" && name != "main" && !strings.HasSuffix(name, "_test"):
		return nil
	case token.IsIdentifier(plain) && plain != "main":
		return e.WithHint("--%s %s", flag, plain)
	}
	return e.WithHint("letters and digits, not a keyword and not main")
}

// build works the plan out. Nothing is written.
func build(req *Request, root *os.Root, mod *gomod.Module, packages []*Package) (*Plan, error) {
	p := &Plan{Packages: packages, Requires: []gomod.Change{}, Next: []string{}, Notes: []string{}, mod: mod}
	suite := packages[len(packages)-1]
	if !req.Tests {
		p.Packages = packages[:len(packages)-1]
	}
	var want []module.Version
	for _, pkg := range p.Packages {
		if err := pkg.plan(req, root, suite.Import); err != nil {
			return nil, err
		}
		want = append(want, pkg.requires...)
	}
	slices.SortFunc(want, func(a, b module.Version) int { return cmp.Compare(a.Path, b.Path) })
	if req.Deps == DepsNone {
		return p, nil
	}
	changes, text, err := Raise(root, mod, slices.Compact(want))
	if err != nil && (req.Deps == DepsEdit || changes == nil) {
		return nil, err
	}
	if changes != nil {
		p.Requires = changes
	}
	if req.Deps == DepsEdit {
		p.goMod = text
	}
	if text != nil {
		p.next(req)
	}
	return p, nil
}

// Raise works out go.mod's requirements, and its new text if they change. A
// go.mod that cannot be replaced is an error.
func Raise(root *os.Root, mod *gomod.Module, want []module.Version) ([]gomod.Change, []byte, error) {
	changes, text, err := mod.Require(want)
	if err != nil {
		return nil, nil, problem.New(problem.Deps, "go.mod: %v", err).Because(err).
			WithHint("--deps=print leaves go.mod alone")
	}
	if text == nil {
		return changes, nil, nil
	}
	// A link is not written through, and not replaced.
	if info, err := root.Lstat("go.mod"); err != nil || !info.Mode().IsRegular() {
		return changes, text, problem.New(problem.Deps, "go.mod is not a regular file").Because(err).
			WithHint("--deps=print leaves go.mod alone")
	}
	return changes, text, nil
}

// next names the commands that make the module build. Where the working
// directory is not in the module, the go command must be told to go there.
func (p *Plan) next(req *Request) {
	command, base := goCommand(p.mod, req.WorkingDir)
	if req.Deps == DepsPrint {
		for _, c := range p.Requires {
			if c.Action != gomod.Keep {
				p.Next = append(p.Next, command+"get "+c.Path+"@"+c.Want)
			}
		}
	}
	get := command + "get"
	if req.Tests {
		get += " -t"
	}
	for _, pkg := range p.Packages {
		if pkg.Driver == catalog.Suite {
			continue
		}
		get += " " + pkg.place.from(base)
	}
	p.Next = append(p.Next, get)
	if p.mod.Vendor {
		p.Next = append(p.Next, command+"mod vendor")
	}
}

// goCommand gives the go command for a module with a space after it, and the
// directory that it runs in.
func goCommand(mod *gomod.Module, wd string) (command, dir string) {
	if real, err := filepath.EvalSymlinks(wd); err == nil {
		wd = real
	}
	if inside(mod.Root, wd) {
		return "go ", wd
	}
	rel, err := filepath.Rel(wd, mod.Root)
	if err != nil {
		rel = mod.Root
	}
	return "go -C " + filepath.ToSlash(rel) + " ", mod.Root
}

// from is the place as the go command wants it in a directory.
func (p Place) from(dir string) string {
	rel, err := filepath.Rel(dir, filepath.Join(p.Mod.Root, p.Rel))
	if err != nil {
		return p.Import()
	}
	if rel = filepath.ToSlash(rel); strings.HasPrefix(rel, "..") {
		return rel
	}
	return "./" + rel
}

// Go is a command line of the go command's about the package.
func (p Place) Go(wd, verb string) string {
	command, dir := goCommand(p.Mod, wd)
	return command + verb + " " + p.from(dir)
}

// Vendor is the command that brings vendor/ up to go.mod, empty without vendor/.
func (p Place) Vendor(wd string) string {
	if !p.Mod.Vendor {
		return ""
	}
	command, _ := goCommand(p.Mod, wd)
	return command + "mod vendor"
}

// changes are the plan's changes on the disk.
func (p *Plan) changes() []txn.Change {
	var all []txn.Change
	for _, pkg := range p.Packages {
		all = append(all, pkg.changes...)
	}
	if p.goMod != nil {
		all = append(all, txn.Change{Path: "go.mod", Data: p.goMod})
	}
	return all
}
