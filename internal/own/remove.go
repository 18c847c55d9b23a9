package own

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/asyncapi-impl/asyncapi-impl/internal/manifest"
	"github.com/asyncapi-impl/asyncapi-impl/internal/plan"
	"github.com/asyncapi-impl/asyncapi-impl/internal/problem"
	"github.com/asyncapi-impl/asyncapi-impl/internal/txn"
)

// Removal is what was removed of a copy, or would be.
type Removal struct {
	Dir    string `json:"dir"`
	Driver string `json:"driver"`
	// Removed and Left are names of files.
	Removed []string `json:"removed"`
	Left    []string `json:"left"`
	// ImportedBy are packages that will not build any more.
	ImportedBy []string `json:"importedBy"`
	Notes      []string `json:"notes"`
}

// What becomes of edited files.
const (
	Refuse       = ""
	Force        = "force"
	KeepModified = "keep-modified"
)

// Remove takes the copies away, but for the files that are the user's.
func (s *Session) Remove(ctx context.Context, dirs []string, edited string, dryRun bool) ([]*Removal, error) {
	copies, err := s.Find(dirs)
	if err != nil {
		return nil, err
	}
	var done []*Removal
	for _, c := range copies {
		r := &Removal{Dir: c.Dir, Driver: c.Driver, ImportedBy: c.importers(ctx)}
		err := s.change(ctx, c.place, dryRun, func(root *os.Root, c *Copy, undone []string) ([]txn.Change, error) {
			r.Notes = append([]string{}, undone...)
			return c.remove(root, r, edited)
		})
		if err != nil {
			return done, err
		}
		if !dryRun {
			c.tidy()
		}
		done = append(done, r)
	}
	return done, nil
}

func (c *Copy) remove(root *os.Root, r *Removal, edited string) ([]txn.Change, error) {
	r.Removed, r.Left = []string{}, []string{}
	var changes []txn.Change
	var refused []string
	for _, f := range c.Files {
		_, ours := c.manifest.Files[f.Name]
		mine := ours && (f.link || manifest.Sum(f.local) != f.entry.SHA256)
		switch {
		case f.local == nil:
		case !ours || mine && edited == KeepModified:
			r.Left = append(r.Left, f.Name)
		case mine && edited == Refuse:
			refused = append(refused, f.Name)
		default:
			r.Removed = append(r.Removed, f.Name)
			changes = append(changes, txn.Change{Path: path.Join(c.place.Rel, f.Name), Remove: true})
		}
	}
	undo, valuable, err := c.kept(root)
	if err != nil {
		return nil, plan.Failure(c.place.Mod.Root, err)
	}
	switch {
	case valuable && edited == KeepModified:
		r.Left = append(r.Left, manifest.Undo)
	case valuable && edited == Refuse:
		refused = append(refused, manifest.Undo)
	default:
		for _, name := range undo {
			changes = append(changes, txn.Change{Path: path.Join(c.place.Rel, manifest.Undo, name), Remove: true})
		}
	}
	if len(refused) > 0 {
		e := problem.NewConflict(c.paths(refused), "%s was edited; nothing was removed", c.path(refused[0])).
			WithHint("--keep-modified leaves edited files, --force deletes them")
		if refused[0] == manifest.Undo {
			e.Message = c.path(manifest.Undo) + " keeps edits that the last update replaced; nothing was removed"
		}
		e.Code = problem.Modified
		return nil, e
	}
	for blob := range c.bases {
		changes = append(changes, txn.Change{Path: path.Join(c.place.Rel, manifest.Bases, blob), Remove: true})
	}
	return append(changes, txn.Change{Path: path.Join(c.place.Rel, manifest.Name), Remove: true}), nil
}

// kept gives the files that are kept for undoing, and whether any of them is
// more than what was once ejected.
func (c *Copy) kept(root *os.Root) (names []string, valuable bool, err error) {
	dir := path.Join(c.place.Rel, manifest.Undo)
	entries, err := fs.ReadDir(root.FS(), dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	pristine := map[string]string{}
	if text, err := root.ReadFile(path.Join(dir, manifest.Name)); err == nil {
		if m, err := manifest.Decode(text); err == nil {
			for name, f := range m.Files {
				pristine[name] = f.SHA256
			}
		}
	}
	for _, e := range entries {
		names = append(names, e.Name())
		switch e.Name() {
		case ".gitignore", manifest.Name, manifest.UndoName:
			continue
		}
		data, err := root.ReadFile(path.Join(dir, e.Name()))
		if err != nil {
			return nil, false, err
		}
		valuable = valuable || manifest.Sum(data) != pristine[e.Name()]
	}
	return names, valuable, nil
}

// tidy removes directories that have become empty.
func (c *Copy) tidy() {
	root, err := os.OpenRoot(c.place.Mod.Root)
	if err != nil {
		return
	}
	defer root.Close()
	_ = root.Remove(path.Join(c.place.Rel, manifest.Undo))
	_ = root.Remove(path.Join(c.place.Rel, manifest.Bases))
	if c.place.Rel != "." {
		_ = root.Remove(c.place.Rel)
	}
}

// importers asks the go command, if it can tell offline, which packages of the
// module import the copy.
func (c *Copy) importers(ctx context.Context) []string {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "list", "-e",
		"-f", `{{.ImportPath}}{{range .Imports}} {{.}}{{end}}{{range .TestImports}} {{.}}{{end}}{{range .XTestImports}} {{.}}{{end}}`, "./...")
	cmd.Dir = c.place.Mod.Root
	cmd.Env = append(os.Environ(), "GOPROXY=off", "GOFLAGS=-mod=readonly")
	out, err := cmd.Output()
	found := []string{}
	if err != nil {
		return found
	}
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		if len(fields) > 1 && fields[0] != c.place.Import() && slices.Contains(fields[1:], c.place.Import()) {
			found = append(found, fields[0])
		}
	}
	return found
}
