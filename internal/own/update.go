package own

import (
	"context"
	"errors"
	"os"
	"path"

	"github.com/asyncapi-impl/asyncapi-impl/internal/gomod"
	"github.com/asyncapi-impl/asyncapi-impl/internal/manifest"
	"github.com/asyncapi-impl/asyncapi-impl/internal/plan"
	"github.com/asyncapi-impl/asyncapi-impl/internal/problem"
	"github.com/asyncapi-impl/asyncapi-impl/internal/txn"
)

// How an update is to be done.
type How struct {
	// Favour decides conflicts: Ask, Ours or Theirs.
	Favour string
	// Restore brings deleted files back.
	Restore bool
	DryRun  bool
	Deps    string
}

// What became of a file.
const (
	Replaced   = "replaced"
	Merged     = "merged"
	Conflicted = "conflict"
	Kept       = "kept"
	Added      = "added"
	Restored   = "restored"
	Removed    = "deleted"
)

// Update is what was done to a copy, or would be.
type Update struct {
	Dir    string       `json:"dir"`
	Driver string       `json:"driver"`
	From   string       `json:"from"`
	To     string       `json:"to"`
	Files  []FileUpdate `json:"files"`
	// Undo is the directory with what was there before, if anything was changed.
	Undo     string         `json:"undo,omitempty"`
	Requires []gomod.Change `json:"requires"`
	// Next are the commands to run now.
	Next  []string `json:"next"`
	Notes []string `json:"notes"`

	manifest *manifest.Manifest
	changes  []txn.Change
	before   map[string][]byte // what is kept for undoing
	written  map[string][]byte
}

// FileUpdate is what was done to a file.
type FileUpdate struct {
	Name   string `json:"name"`
	Action string `json:"action"`
	Why    string `json:"why,omitempty"`
	// Lines are where conflicts begin.
	Lines []int `json:"lines,omitempty"`
}

// Conflicts counts the files that are left to the user.
func (u *Update) Conflicts() int {
	n := 0
	for _, f := range u.Files {
		if f.Action == Conflicted {
			n++
		}
	}
	return n
}

// Update brings the copies to the version of the program, each as a whole or
// not at all.
func (s *Session) Update(ctx context.Context, dirs []string, how How) ([]*Update, error) {
	copies, err := s.Find(dirs)
	if err != nil {
		return nil, err
	}
	var done []*Update
	for _, c := range copies {
		u, err := s.update(ctx, c.place, how)
		if err != nil {
			return done, err
		}
		done = append(done, u)
	}
	return done, nil
}

func (s *Session) update(ctx context.Context, at plan.Place, how How) (u *Update, err error) {
	err = s.change(ctx, at, how.DryRun, func(root *os.Root, c *Copy, undone []string) ([]txn.Change, error) {
		u, err = c.plan(ctx, root, how)
		if err != nil {
			return nil, err
		}
		u.Notes = append(u.Notes, undone...)
		return u.changes, nil
	})
	return u, err
}

// change reads a copy anew under the module's lock and applies what make wants
// changed.
func (s *Session) change(ctx context.Context, at plan.Place, dryRun bool, make func(*os.Root, *Copy, []string) ([]txn.Change, error)) error {
	return plan.Write(ctx, at.Mod.Root, dryRun, func(root *os.Root, undone []string) ([]txn.Change, error) {
		mod, err := gomod.Find(at.Mod.Root)
		if err != nil {
			return nil, err
		}
		at.Mod = mod
		c, err := s.read(root, at)
		if err != nil {
			return nil, err
		}
		return make(root, c, undone)
	})
}

// plan decides about every file.
func (c *Copy) plan(ctx context.Context, root *os.Root, how How) (*Update, error) {
	if err := c.updatable(how); err != nil {
		return nil, err
	}
	u := &Update{
		Dir: c.Dir, Driver: c.Driver, From: c.Version, To: c.Latest,
		Files: []FileUpdate{}, Requires: []gomod.Change{}, Next: []string{}, Notes: []string{},
		before: map[string][]byte{}, written: map[string][]byte{},
	}
	m := *c.manifest
	m.Catalog, m.Requires, m.Files = c.session.Source, nil, map[string]manifest.File{}
	for _, r := range c.requires {
		m.Requires = append(m.Requires, manifest.Require{Path: r.Path, Min: r.Version})
	}
	u.manifest = &m

	bases := c.newBases(true)
	for _, f := range c.Files {
		if err := c.decide(ctx, bases, u, f, how); err != nil {
			return nil, err
		}
	}
	u.keepBases(c)
	text, err := m.Encode()
	if err != nil {
		return nil, err
	}
	if err := c.raise(root, u, how.Deps); err != nil {
		return nil, err
	}
	if len(u.before) > 0 {
		u.before[manifest.Name] = c.text
		kept, err := plan.Keep(root, c.place, u.before)
		if err != nil {
			return nil, err
		}
		u.changes = append(kept, u.changes...)
		u.Undo = c.path(manifest.Undo)
	}
	if string(text) != string(c.text) {
		u.changes = append(u.changes, txn.Change{Path: path.Join(c.place.Rel, manifest.Name), Data: text})
	}
	return u, nil
}

// updatable refuses what has to be settled first.
func (c *Copy) updatable(how How) error {
	if c.Gone {
		return problem.New(problem.UnknownDriver, "%s: %s is not in this program's catalog (%s)", c.Dir, c.Driver, c.Latest).
			WithHint("nothing needs to be done: the copy is yours")
	}
	if c.Ahead() {
		return problem.New(problem.BadManifest, "%s holds %s %s, newer than this program (%s)", c.Dir, c.Driver, c.Version, c.Latest).
			WithHint("go install %s/cmd/asyncapi-impl@%s", c.session.Source.Module, c.Version)
	}
	if d, err := c.session.Catalog.Find(c.Driver); err == nil && !c.place.Mod.Allows(d.Go) {
		return problem.New(problem.BadModule, "%s needs go ≥ %s, go.mod says %s", d.ID(), d.Go, c.place.Mod.Go).
			WithHint("go get go@%s", d.Go)
	}
	var marked, blocked []string
	for _, f := range c.Files {
		if len(f.Markers) > 0 && f.State != Own {
			marked = append(marked, f.Name)
		}
		if f.State == InTheWay && (f.link || how.Favour == Ask) {
			blocked = append(blocked, f.Name)
		}
	}
	if len(marked) > 0 {
		e := problem.NewConflict(c.paths(marked), "%s still has conflict markers", c.path(marked[0])).
			WithHint("settle them, or undo the last update: asyncapi-impl update --abort %s", c.Dir)
		e.Code = problem.Conflict
		return e
	}
	if len(blocked) > 0 {
		return problem.NewConflict(c.paths(blocked), "%s is yours, and the catalog has a new file of that name", c.path(blocked[0])).
			WithHint("rename yours, or --ours keeps it, or --theirs replaces it and keeps yours in %s", c.path(manifest.Undo))
	}
	return nil
}

// decide does what a file's state calls for.
func (c *Copy) decide(ctx context.Context, bases *bases, u *Update, f File, how How) error {
	switch f.State {
	case Own:
		return nil
	case Pristine, Converged:
		u.entry(f)
	case Outdated:
		u.replace(c, f, Replaced, "")
	case New:
		u.replace(c, f, Added, "")
	case Modified:
		u.entry(f)
		u.report(f, Kept, "modified here, the same in the catalog")
	case Deleted:
		switch {
		case f.next == nil:
			// Gone on both sides.
		case how.Restore:
			u.replace(c, f, Restored, "")
		default:
			u.entry(f)
			u.report(f, Kept, "deleted here; --restore brings it back")
		}
	case Dropped:
		u.before[f.Name] = f.local
		u.changes = append(u.changes, txn.Change{Path: path.Join(c.place.Rel, f.Name), Remove: true})
		u.report(f, Removed, "no longer in the catalog")
	case DroppedModified:
		u.report(f, Kept, "modified here, no longer in the catalog: it is yours alone now")
	case InTheWay:
		if how.Favour == Theirs {
			u.replace(c, f, Replaced, "was yours alone")
			return nil
		}
		u.entry(f)
		u.report(f, Kept, "yours alone until now")
	case Diverged:
		return c.diverged(ctx, bases, u, f, how)
	}
	return nil
}

func (c *Copy) diverged(ctx context.Context, bases *bases, u *Update, f File, how How) error {
	if f.link {
		u.leave(c, f)
		u.report(f, Conflicted, "it is a link, and is not written through")
		return nil
	}
	merged, err := c.merge(ctx, bases, f, how.Favour)
	switch {
	case err == nil:
		u.entry(f)
		f.next = merged
		u.write(c, f)
		if at := markers(merged); len(at) > 0 {
			u.Files = append(u.Files, FileUpdate{Name: f.Name, Action: Conflicted, Lines: at})
			return nil
		}
		u.report(f, Merged, "")
	case ctx.Err() != nil:
		return plan.Failure(c.place.Mod.Root, ctx.Err())
	case how.Favour == Ours:
		u.entry(f)
		u.report(f, Kept, "the whole file: "+err.Error())
	case how.Favour == Theirs:
		u.replace(c, f, Replaced, "the whole file: "+err.Error())
	case errors.Is(err, errNotGo):
		u.leave(c, f)
		u.report(f, Conflicted, err.Error()+"; your file was left as it is")
	default:
		return err
	}
	return nil
}

func (c *Copy) merge(ctx context.Context, bases *bases, f File, favour string) ([]byte, error) {
	base, err := bases.find(ctx, f)
	if err != nil {
		return nil, err
	}
	from := c.Version
	if f.entry.Base != nil {
		from = f.entry.Base.Version
	}
	return merge(ctx, c.path(f.Name), f.local, base, f.next, [3]string{"yours", from, c.Latest}, favour)
}

// entry notes the catalog's text as the base of what comes later.
func (u *Update) entry(f File) { u.manifest.Files[f.Name] = manifest.Describe(f.next) }

// leave keeps a file's old base: it has not taken over what is new.
func (u *Update) leave(c *Copy, f File) {
	if f.entry.Base == nil {
		from := c.manifest.Catalog
		f.entry.Base = &from
	}
	u.manifest.Files[f.Name] = f.entry
}

func (u *Update) report(f File, action, why string) {
	u.Files = append(u.Files, FileUpdate{Name: f.Name, Action: action, Why: why})
}

// replace puts the catalog's text in place.
func (u *Update) replace(c *Copy, f File, action, why string) {
	u.entry(f)
	f.next = endings(f.local, f.next)
	u.write(c, f)
	u.report(f, action, why)
}

func (u *Update) write(c *Copy, f File) {
	u.before[f.Name], u.written[f.Name] = f.local, f.next
	u.changes = append(u.changes, txn.Change{Path: path.Join(c.place.Rel, f.Name), Data: f.next})
}

// raise gives go.mod what the new version needs.
func (c *Copy) raise(root *os.Root, u *Update, deps string) error {
	if deps == plan.DepsNone {
		return nil
	}
	changes, text, err := plan.Raise(root, c.place.Mod, c.requires)
	if err != nil && (deps == plan.DepsEdit || changes == nil) {
		return err
	}
	for _, r := range changes {
		if r.Action != gomod.Keep {
			u.Requires = append(u.Requires, r)
		}
	}
	if text == nil {
		return nil
	}
	wd := c.session.WorkingDir
	if deps == plan.DepsEdit {
		u.changes = append(u.changes, txn.Change{Path: "go.mod", Data: text})
	} else {
		for _, r := range u.Requires {
			u.Next = append(u.Next, "go get "+r.Path+"@"+r.Want)
		}
	}
	u.Next = append(u.Next, c.place.Go(wd, "get"))
	if vendor := c.place.Vendor(wd); vendor != "" {
		u.Next = append(u.Next, vendor)
	}
	return nil
}
