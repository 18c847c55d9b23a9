package own

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"

	"github.com/asyncapi-impl/asyncapi-impl/internal/gomod"
	"github.com/asyncapi-impl/asyncapi-impl/internal/manifest"
	"github.com/asyncapi-impl/asyncapi-impl/internal/plan"
	"github.com/asyncapi-impl/asyncapi-impl/internal/problem"
	"github.com/asyncapi-impl/asyncapi-impl/internal/txn"
)

// Abort takes back what the last update, or overwriting eject, did to the
// copies. What is there now is kept in place of what was, so a second Abort
// takes back the first.
func (s *Session) Abort(ctx context.Context, dirs []string, dryRun bool) ([]*Update, error) {
	copies, err := s.Find(dirs)
	if err != nil {
		return nil, err
	}
	var done []*Update
	for _, c := range copies {
		var u *Update
		err := s.change(ctx, c.place, dryRun, func(root *os.Root, c *Copy, undone []string) ([]txn.Change, error) {
			var err error
			u, err = c.abort(root)
			if err != nil {
				return nil, err
			}
			u.Notes = append(u.Notes, undone...)
			return u.changes, nil
		})
		if err != nil {
			return done, err
		}
		done = append(done, u)
	}
	return done, nil
}

func (c *Copy) abort(root *os.Root) (*Update, error) {
	undo := path.Join(c.place.Rel, manifest.Undo)
	text, err := root.ReadFile(path.Join(undo, manifest.UndoName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, problem.New(problem.NoUndo, "%s has nothing to take back", c.Dir).Because(err).
			WithHint("only the last update or overwriting eject can be; before that, your version control has it")
	}
	var record manifest.UndoRecord
	if err == nil {
		err = json.Unmarshal(text, &record)
	}
	if err != nil {
		return nil, problem.New(problem.NoUndo, "%s: %v", path.Join(c.Dir, manifest.Undo, manifest.UndoName), err).Because(err).
			WithHint("the files are beside it: move them back by hand")
	}
	u := &Update{Dir: c.Dir, Driver: c.Driver, From: c.Version, Files: []FileUpdate{}, Requires: []gomod.Change{}, Next: []string{}, Notes: []string{}, before: map[string][]byte{}}
	for _, name := range slices.Sorted(maps.Keys(record.Files)) {
		if !manifest.Plain(name) {
			return nil, problem.New(problem.NoUndo, "%s: %q is no name of a file in %s", manifest.UndoName, name, c.Dir).
				WithHint("the files are beside it: move them back by hand")
		}
		full := path.Join(c.place.Rel, name)
		now, err := root.ReadFile(full)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, plan.Failure(c.place.Mod.Root, err)
		}
		if info, err := root.Lstat(full); err == nil && !info.Mode().IsRegular() {
			return nil, problem.NewConflict([]string{c.path(name)}, "%s is no regular file any more", c.path(name)).
				WithHint("move it away and try again")
		}
		u.before[name] = now
		file := FileUpdate{Name: name, Action: Removed}
		switch {
		case record.Files[name]:
			was, err := root.ReadFile(path.Join(undo, name))
			if err != nil {
				return nil, problem.New(problem.NoUndo, "%s is missing from %s", name, path.Join(c.Dir, manifest.Undo)).Because(err)
			}
			u.changes = append(u.changes, txn.Change{Path: full, Data: was})
			file.Action = Restored
			if name == manifest.Name {
				u.To = version(was)
			}
		case now != nil:
			u.changes = append(u.changes, txn.Change{Path: full, Remove: true})
		}
		if name != manifest.Name {
			u.Files = append(u.Files, file)
		}
	}
	kept, err := plan.Keep(root, c.place, u.before)
	if err != nil {
		return nil, err
	}
	u.changes = append(kept, u.changes...)
	u.Undo = c.path(manifest.Undo)
	return u, nil
}

func version(text []byte) string {
	m, err := manifest.Decode(text)
	if err != nil {
		return ""
	}
	return m.Catalog.Version
}
