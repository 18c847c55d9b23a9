// Package own looks after packages that were ejected: what was changed in them,
// what has changed in the catalog since, and how the two come together.
package own

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/module"
	"golang.org/x/mod/semver"

	"github.com/asyncapi-impl/asyncapi-impl/catalog"
	"github.com/asyncapi-impl/asyncapi-impl/internal/eject"
	"github.com/asyncapi-impl/asyncapi-impl/internal/gomod"
	"github.com/asyncapi-impl/asyncapi-impl/internal/manifest"
	"github.com/asyncapi-impl/asyncapi-impl/internal/plan"
	"github.com/asyncapi-impl/asyncapi-impl/internal/problem"
)

// Session is where a command runs and what it compares with.
type Session struct {
	Catalog *catalog.Catalog
	Source  manifest.Source
	// WorkingDir is absolute.
	WorkingDir string
}

// The states of a file: how the user's stands to the ejected one, and the
// catalog's to that.
const (
	Pristine        = "pristine"         // nobody changed it
	Outdated        = "outdated"         // the catalog did
	Modified        = "modified"         // the user did
	Converged       = "converged"        // both did, and agree
	Diverged        = "diverged"         // both did
	Deleted         = "deleted"          // the user took it away
	Dropped         = "dropped"          // the catalog took it away
	DroppedModified = "dropped_modified" // and the user had changed it
	New             = "new"              // the catalog has added it
	InTheWay        = "in_the_way"       // and the user has another of that name
	Own             = "own"              // the user's alone
)

// File is one file of a copy.
type File struct {
	Name  string `json:"name"`
	State string `json:"state"`
	// Markers are the lines that begin the conflicts left in it.
	Markers []int `json:"markers,omitempty"`

	local []byte // as it is on the disk, nil if it is not there
	link  bool
	entry manifest.File
	next  []byte // the catalog's, nil if it has none
}

// Copy is an ejected package.
type Copy struct {
	// Dir is relative to the working directory.
	Dir     string `json:"dir"`
	Driver  string `json:"driver"`
	Version string `json:"version"`
	// Latest is the version of the running program's catalog.
	Latest string `json:"latest"`
	// Gone says that the catalog has the driver no longer.
	Gone  bool   `json:"gone"`
	Files []File `json:"files"`

	place    plan.Place
	manifest *manifest.Manifest
	text     []byte // the manifest's
	requires []module.Version
	bases    map[string][]byte // in manifest.Bases, by blob id
	session  *Session
}

// Broken is a manifest that cannot be read, or a copy in a module that cannot.
type Broken struct {
	Dir string
	Err error
}

// Find gives the copies in the directories and below them; without one, all
// of the module. A copy that cannot be read is an error.
func (s *Session) Find(dirs []string) ([]*Copy, error) {
	copies, broken, err := s.Survey(dirs)
	if err == nil && len(broken) > 0 {
		err = broken[0].Err
	}
	if err != nil {
		return nil, err
	}
	if len(copies) == 0 && len(dirs) == 0 {
		return nil, problem.NewUsage(problem.NotEjected, "nothing is ejected here").
			WithHint("asyncapi-impl eject, or asyncapi-impl adopt DIR DRIVER for a copy without a manifest")
	}
	return copies, nil
}

// Survey is Find for those who look for what is broken.
func (s *Session) Survey(dirs []string) ([]*Copy, []Broken, error) {
	found, err := s.search(dirs)
	if err != nil {
		return nil, nil, err
	}
	var copies []*Copy
	var broken []Broken
	for _, dir := range found {
		c, err := s.load(dir)
		if err != nil {
			shown := dir
			if rel, err := filepath.Rel(s.WorkingDir, dir); err == nil {
				shown = filepath.ToSlash(rel)
			}
			broken = append(broken, Broken{shown, err})
			continue
		}
		copies = append(copies, c)
	}
	return copies, broken, nil
}

// search gives the directories that hold a manifest.
func (s *Session) search(dirs []string) ([]string, error) {
	if len(dirs) == 0 {
		top, err := s.top()
		if err != nil {
			return nil, err
		}
		return walk(top)
	}
	var found []string
	for _, dir := range dirs {
		full := dir
		if !filepath.IsAbs(dir) {
			full = filepath.Join(s.WorkingDir, dir)
		}
		if info, err := os.Stat(full); err != nil || !info.IsDir() {
			return nil, problem.NewUsage(problem.NotEjected, "%s is no directory", dir).WithHint("asyncapi-impl status")
		}
		below, err := walk(full)
		if err != nil {
			return nil, err
		}
		if len(below) == 0 {
			return nil, notEjected(dir)
		}
		found = append(found, below...)
	}
	slices.Sort(found)
	return slices.Compact(found), nil
}

// walk finds the manifests below a directory. It follows a link to there, which
// WalkDir does not, and none below.
func walk(top string) ([]string, error) {
	real, err := filepath.EvalSymlinks(top)
	if err != nil {
		return nil, err
	}
	var found []string
	err = filepath.WalkDir(real, func(name string, e fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrPermission):
			return nil
		case err != nil:
			return err
		case e.IsDir() && name != real && ignored(e.Name()):
			return fs.SkipDir
		case e.Name() == manifest.Name:
			found = append(found, top+strings.TrimPrefix(filepath.Dir(name), real))
		}
		return nil
	})
	return found, err
}

// load reads a copy and works out the state of every file.
func (s *Session) load(dir string) (*Copy, error) {
	at, err := plan.Locate(s.WorkingDir, dir)
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(at.Mod.Root)
	if err != nil {
		return nil, plan.Failure(at.Mod.Root, err)
	}
	defer root.Close()
	return s.read(root, at)
}

func (s *Session) read(root *os.Root, at plan.Place) (*Copy, error) {
	m, text, err := plan.ReadManifest(root, at)
	if err != nil {
		return nil, err
	}
	if m == nil {
		return nil, notEjected(at.Shown)
	}
	c := &Copy{
		Dir: at.Shown, Driver: m.Driver, Version: m.Catalog.Version, Latest: s.Source.Version,
		place: at, manifest: m, text: text, session: s,
	}
	next := map[string][]byte{}
	if _, err := fs.Stat(s.Catalog.FS, m.Driver); err != nil {
		c.Gone = true
	} else {
		files, requires, err := s.render(s.Catalog, m, at)
		if err != nil {
			return nil, err
		}
		for _, f := range files {
			next[f.Name] = f.Data
		}
		c.requires = requires
	}
	if err := c.readBases(root); err != nil {
		return nil, plan.Failure(at.Mod.Root, err)
	}
	return c, c.compare(root, next)
}

// render gives the files that a catalog has for a copy. The suite is looked for
// beside it, where eject puts it.
func (s *Session) render(c *catalog.Catalog, m *manifest.Manifest, at plan.Place) ([]eject.File, []module.Version, error) {
	suite := plan.Place{Mod: at.Mod, Rel: path.Join(path.Dir(at.Rel), catalog.Suite)}
	return plan.Render(c, m.Driver, eject.To{
		Package: m.Package, Path: at.Import(), Tests: m.Tests,
		Imports: map[string]string{catalog.Suite: suite.Import()},
	})
}

// compare works out the states.
func (c *Copy) compare(root *os.Root, next map[string][]byte) error {
	entries, err := fs.ReadDir(root.FS(), c.place.Rel)
	if err != nil {
		return plan.Failure(c.place.Mod.Root, err)
	}
	there := map[string]fs.DirEntry{}
	var names []string
	for _, e := range entries {
		if e.IsDir() || e.Name() == manifest.Name {
			continue
		}
		there[e.Name()] = e
		names = append(names, e.Name())
	}
	for name := range next {
		names = append(names, name)
	}
	for name := range c.manifest.Files {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		f := File{Name: name, next: next[name]}
		if e := there[name]; e != nil {
			if f.local, f.link, err = content(root, path.Join(c.place.Rel, name), e); err != nil {
				return plan.Failure(c.place.Mod.Root, err)
			}
			f.Markers = markers(f.local)
		} else if other := otherCase(there, name); other != "" {
			// Both names together are none that Go takes, nor every file system.
			f.local, f.link = []byte(other), true
		} else if _, err := root.Lstat(path.Join(c.place.Rel, name)); err == nil {
			f.local, f.link = []byte{}, true // a directory
		}
		var known bool
		f.entry, known = c.manifest.Files[name]
		f.State = c.state(f, known)
		c.Files = append(c.Files, f)
	}
	return nil
}

// otherCase gives the file whose name differs by case alone.
func otherCase(there map[string]fs.DirEntry, name string) string {
	for other := range there {
		if strings.EqualFold(other, name) {
			return other
		}
	}
	return ""
}

// content gives a file's bytes; of a link, which is never written through, its
// target.
func content(root *os.Root, name string, e fs.DirEntry) ([]byte, bool, error) {
	if e.Type()&fs.ModeSymlink != 0 {
		target, err := root.Readlink(name)
		return []byte(target), true, err
	}
	if !e.Type().IsRegular() {
		return []byte{}, true, nil
	}
	data, err := root.ReadFile(name)
	if data == nil {
		data = []byte{}
	}
	return data, false, err
}

func (c *Copy) state(f File, known bool) string {
	changed := f.local != nil && (f.link || manifest.Sum(f.local) != f.entry.SHA256)
	converged := f.local != nil && !f.link && f.next != nil && manifest.Sum(f.local) == manifest.Sum(f.next)
	// A driver that the catalog has no longer is compared with nothing.
	same := c.Gone || f.next != nil && manifest.Sum(f.next) == f.entry.SHA256
	dropped := !c.Gone && f.next == nil
	switch {
	case !known && f.next == nil:
		return Own
	case !known && f.local == nil:
		return New
	case !known && converged:
		return Converged
	case !known:
		return InTheWay
	case f.local == nil:
		return Deleted
	case dropped && changed:
		return DroppedModified
	case dropped:
		return Dropped
	case !changed && same:
		return Pristine
	case !changed:
		return Outdated
	case same:
		return Modified
	case converged:
		return Converged
	}
	return Diverged
}

// Count gives the number of files in any of the states.
func (c *Copy) Count(states ...string) int {
	n := 0
	for _, f := range c.Files {
		if slices.Contains(states, f.State) {
			n++
		}
	}
	return n
}

// Behind says whether an update would bring something.
func (c *Copy) Behind() bool {
	return !c.Gone && !c.Ahead() && (c.Version != c.Latest ||
		c.Count(Outdated, Converged, Diverged, Dropped, DroppedModified, New, InTheWay) > 0)
}

// Ahead says whether the copy came from a newer catalog than the program's.
func (c *Copy) Ahead() bool {
	return semver.IsValid(c.Version) && semver.IsValid(c.Latest) && semver.Compare(c.Version, c.Latest) > 0
}

func (c *Copy) path(name string) string { return path.Join(c.Dir, name) }

func (c *Copy) paths(names []string) []string {
	var paths []string
	for _, n := range names {
		paths = append(paths, c.path(n))
	}
	return paths
}

func notEjected(dir string) error {
	return problem.NewUsage(problem.NotEjected, "%s holds no ejected driver", dir).
		WithHint("asyncapi-impl status lists them; for a copy without a manifest: asyncapi-impl adopt %s DRIVER", dir)
}

// top is where a search without directories begins.
func (s *Session) top() (string, error) {
	wd, err := filepath.EvalSymlinks(s.WorkingDir)
	if err != nil {
		return "", problem.NewUsage(problem.BadTarget, "%v", err).Because(err)
	}
	m, err := gomod.Find(wd)
	var p *problem.Error
	if errors.As(err, &p) && p.Code == problem.NotAModule {
		return wd, nil // a workspace of several modules
	}
	if err != nil {
		return "", err
	}
	return m.Root, nil
}

// ignored says of a directory that the go command does not look into it.
func ignored(name string) bool {
	return name == "vendor" || name == "testdata" || name == "node_modules" ||
		strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_")
}
