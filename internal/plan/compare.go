package plan

import (
	"encoding/json"
	"errors"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/mod/module"

	"github.com/asyncapi-impl/asyncapi-impl/catalog"
	"github.com/asyncapi-impl/asyncapi-impl/internal/eject"
	"github.com/asyncapi-impl/asyncapi-impl/internal/manifest"
	"github.com/asyncapi-impl/asyncapi-impl/internal/problem"
	"github.com/asyncapi-impl/asyncapi-impl/internal/txn"
)

// plan renders the package and compares it with what is on the disk.
func (p *Package) plan(req *Request, root *os.Root, suite string) error {
	there, err := p.list(root)
	if err != nil {
		return err
	}
	old, oldText, err := ReadManifest(root, p.place)
	if err != nil {
		return err
	}
	if old != nil {
		if err := p.own(old); err != nil {
			return err
		}
		p.tests = p.tests || old.Tests
	}

	var files []eject.File
	files, p.requires, err = Render(req.Catalog, p.Driver, eject.To{
		Package: p.Name,
		Path:    p.Import,
		Imports: map[string]string{catalog.Suite: suite},
		Tests:   p.tests,
	})
	if err != nil {
		return err
	}
	if err := p.neighbours(root, there, files); err != nil {
		return err
	}
	if err := p.compare(req, root, there, files, old, oldText); err != nil {
		return err
	}

	text, err := p.newManifest(req, files).Encode()
	if err != nil {
		return err
	}
	if p.fresh {
		dir := map[string][]byte{manifest.Name: text}
		for _, f := range files {
			dir[f.Name] = f.Data
		}
		p.changes = []txn.Change{{Path: p.place.Rel, Files: dir}}
		return nil
	}
	if string(text) != string(oldText) {
		p.change(manifest.Name, text)
	}
	return nil
}

func (p *Package) change(name string, data []byte) {
	p.changes = append(p.changes, txn.Change{Path: path.Join(p.place.Rel, name), Data: data})
}

// Render gives a package's files as the catalog has them and the modules that
// it needs: those that its files import and, though no file may do so, that of
// its library.
func Render(c *catalog.Catalog, driver string, to eject.To) ([]eject.File, []module.Version, error) {
	files, imports, err := eject.Package(eject.From{FS: c.FS, Dir: driver, Module: c.Module, Path: c.Path()}, to)
	if err != nil {
		return nil, nil, problem.New(problem.Internal, "%v", err).Because(err)
	}
	if d, err := c.Find(driver); err == nil && d.Import != "" {
		imports = append(imports, d.Import)
	}
	var requires []module.Version
	for _, i := range imports {
		if m, ok := c.Requirement(i); ok && !slices.Contains(requires, m) {
			requires = append(requires, m)
		}
	}
	module.Sort(requires)
	return files, requires, nil
}

// list gives what is in the package's directory.
func (p *Package) list(root *os.Root) ([]fs.DirEntry, error) {
	entries, err := fs.ReadDir(root.FS(), p.place.Rel)
	if errors.Is(err, fs.ErrNotExist) {
		p.fresh = true
		return nil, nil
	}
	if err != nil {
		return nil, problem.New(problem.BadTarget, "%s cannot be read: %v", p.Dir, Cause(err)).Because(err)
	}
	return entries, nil
}

// ReadManifest reads the manifest of the package at a place, nil if it has
// none, and gives its text too.
func ReadManifest(root *os.Root, at Place) (*manifest.Manifest, []byte, error) {
	name := path.Join(at.Rel, manifest.Name)
	text, err := root.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	var m *manifest.Manifest
	if err == nil {
		m, err = manifest.Decode(text)
	}
	if err != nil {
		e := problem.New(problem.BadManifest, "%s: %v", path.Join(at.Shown, manifest.Name), Cause(err)).Because(err)
		var newer *manifest.NewerError
		if errors.As(err, &newer) {
			return nil, nil, e.WithHint("use the newer asyncapi-impl that wrote it")
		}
		return nil, nil, e.WithHint("restore it from your version control, or eject to another directory with --as")
	}
	return m, text, nil
}

// own refuses a directory that holds something else.
func (p *Package) own(old *manifest.Manifest) error {
	if old.Driver != p.Driver {
		return problem.NewConflict([]string{p.Dir}, "%s holds %s", p.Dir, old.Driver).
			WithHint("asyncapi-impl remove %s, or --as %s", p.Dir, strings.ReplaceAll(p.Driver, "/", ""))
	}
	if old.Package != p.Name {
		return problem.NewConflict([]string{p.Dir}, "%s holds package %s, not %s", p.Dir, old.Package, p.Name).
			WithHint("--package %s", old.Package)
	}
	return nil
}

// neighbours refuses a directory that has files of another package, which
// would keep both from compiling.
func (p *Package) neighbours(root *os.Root, there []fs.DirEntry, files []eject.File) error {
	for _, e := range there {
		name := e.Name()
		ours := slices.ContainsFunc(files, func(f eject.File) bool { return f.Name == name })
		if ours || !e.Type().IsRegular() || !strings.HasSuffix(name, ".go") {
			continue
		}
		src, err := root.ReadFile(path.Join(p.place.Rel, name))
		if err != nil {
			return problem.New(problem.BadTarget, "%s cannot be read: %v", path.Join(p.Dir, name), Cause(err)).Because(err)
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, src, parser.PackageClauseOnly)
		constrained := strings.Contains(string(src), "//go:build ")
		if err != nil || constrained || strings.TrimSuffix(f.Name.Name, "_test") == p.Name {
			continue
		}
		return problem.NewConflict([]string{path.Join(p.Dir, name)}, "%s holds package %s (%s)", p.Dir, f.Name.Name, name).
			WithHint("another directory: --as, or --package %s", f.Name.Name)
	}
	return nil
}

// compare decides about every file.
func (p *Package) compare(req *Request, root *os.Root, there []fs.DirEntry, files []eject.File, old *manifest.Manifest, oldText []byte) error {
	var differ, outdated []string
	originals := map[string][]byte{}
	for _, f := range files {
		data, kind, err := p.read(root, there, f.Name)
		if err != nil {
			return err
		}
		entry, known := manifest.File{}, false
		if old != nil {
			entry, known = old.Files[f.Name]
		}
		action := Create
		switch {
		case kind == missing && known && req.OnConflict != Overwrite:
			action = Deleted
		case kind == missing:
		case kind == regular && string(manifest.LF(data)) == string(f.Data):
			action = Identical
		case known && entry.SHA256 != manifest.Sum(f.Data):
			outdated = append(outdated, f.Name)
		case req.OnConflict == Skip:
			action = Skipped
		case req.OnConflict == Overwrite:
			action = Overwrote
			originals[f.Name] = data
		default:
			if kind == symlink {
				differ = append(differ, f.Name+" (symlink)")
			} else {
				differ = append(differ, f.Name)
			}
		}
		p.Files = append(p.Files, File{f.Name, action})
		if !p.fresh && (action == Create || action == Overwrote) {
			p.change(f.Name, f.Data)
		}
	}
	if len(outdated) > 0 {
		return problem.NewConflict(p.paths(outdated), "%s already holds %s %s, and this is another version of it",
			p.Dir, p.Driver, old.Catalog.Version).WithHint("asyncapi-impl update %s", p.Dir)
	}
	if len(differ) > 0 {
		adopt := ""
		if old == nil {
			adopt = "; a manifest for this copy: asyncapi-impl adopt " + p.Dir + " " + p.Driver
		}
		return problem.NewConflict(p.paths(differ), "%d %s in %s exist and differ: %s",
			len(differ), plural(len(differ), "file"), p.Dir, strings.Join(differ, ", ")).
			WithHint("--on-conflict=skip or overwrite; another directory: --as %s%s", p.Name+"2", adopt)
	}
	if len(originals) == 0 {
		return nil
	}
	for _, f := range p.Files {
		if f.Action == Create {
			originals[f.Name] = nil
		}
	}
	originals[manifest.Name] = oldText
	changes, err := Keep(root, p.place, originals)
	if err != nil {
		return err
	}
	p.changes = append(changes, p.changes...)
	p.Undo = path.Join(p.Dir, manifest.Undo)
	return nil
}

// Keep gives the changes that keep a package's files as they are now, in place
// of what an earlier run kept. The value of a file that is not there is nil.
func Keep(root *os.Root, at Place, originals map[string][]byte) ([]txn.Change, error) {
	dir := path.Join(at.Rel, manifest.Undo)
	stale, err := fs.ReadDir(root.FS(), dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, problem.New(problem.BadTarget, "%s cannot be read: %v", path.Join(at.Shown, manifest.Undo), Cause(err)).Because(err)
	}
	kept := map[string][]byte{".gitignore": []byte("*\n")}
	record := manifest.UndoRecord{Schema: manifest.Schema, Files: map[string]bool{}}
	for name, data := range originals {
		record.Files[name] = data != nil
		if data != nil {
			kept[name] = data
		}
	}
	if kept[manifest.UndoName], err = json.MarshalIndent(record, "", "  "); err != nil {
		return nil, err
	}
	var changes []txn.Change
	for _, e := range stale {
		if _, again := kept[e.Name()]; !again {
			changes = append(changes, txn.Change{Path: path.Join(dir, e.Name()), Remove: true})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(kept)) {
		changes = append(changes, txn.Change{Path: path.Join(dir, name), Data: kept[name]})
	}
	return changes, nil
}

type kind int

const (
	missing kind = iota
	regular
	symlink
)

// read gives a file's content and what it is.
func (p *Package) read(root *os.Root, there []fs.DirEntry, name string) ([]byte, kind, error) {
	i := slices.IndexFunc(there, func(e fs.DirEntry) bool { return e.Name() == name })
	full := path.Join(p.place.Rel, name)
	if i < 0 {
		// The go command refuses two names that differ by case alone, and some
		// file systems cannot have both.
		other := slices.IndexFunc(there, func(e fs.DirEntry) bool { return strings.EqualFold(e.Name(), name) })
		if _, err := root.Lstat(full); other < 0 && errors.Is(err, fs.ErrNotExist) {
			return nil, missing, nil
		}
		return nil, missing, problem.NewConflict([]string{path.Join(p.Dir, name)},
			"%s exists in another case", path.Join(p.Dir, name)).WithHint("rename it, or another directory: --as")
	}
	switch mode := there[i].Type(); {
	case mode.IsRegular():
		data, err := root.ReadFile(full)
		if err != nil {
			return nil, regular, problem.New(problem.BadTarget, "%s cannot be read: %v", path.Join(p.Dir, name), Cause(err)).Because(err)
		}
		return data, regular, nil
	case mode&fs.ModeSymlink != 0:
		target, err := root.Readlink(full)
		return []byte(target + "\n"), symlink, err
	}
	return nil, missing, problem.NewConflict([]string{path.Join(p.Dir, name)},
		"%s is in the way and is not a file", path.Join(p.Dir, name)).WithHint("another directory: --as")
}

func (p *Package) newManifest(req *Request, files []eject.File) *manifest.Manifest {
	m := &manifest.Manifest{
		Schema:  manifest.Schema,
		Driver:  p.Driver,
		Catalog: req.Source,
		Package: p.Name,
		Tests:   p.tests,
		Files:   map[string]manifest.File{},
	}
	for _, r := range p.requires {
		m.Requires = append(m.Requires, manifest.Require{Path: r.Path, Min: r.Version})
	}
	for _, f := range files {
		m.Files[f.Name] = manifest.Describe(f.Data)
	}
	return m
}

func (p *Package) paths(names []string) []string {
	var paths []string
	for _, n := range names {
		paths = append(paths, path.Join(p.Dir, strings.TrimSuffix(n, " (symlink)")))
	}
	return paths
}

func plural(n int, word string) string {
	if n == 1 {
		return word
	}
	return word + "s"
}

// Cause is the error below a path that the message names itself.
func Cause(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}
