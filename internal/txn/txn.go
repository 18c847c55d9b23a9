// Package txn changes several files below a directory as one: all of them or
// none, also when the process is killed half-way.
//
// Everything is staged in one directory, in the same file system, with a
// journal of what is to happen. Then each file is renamed to its place. The
// renaming of the journal is the commit: a stage whose journal still has its
// name is undone by the next run.
package txn

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
)

const (
	// Stage is the name of the staging directory. The go command ignores it.
	Stage = ".asyncapi-impl-stage"

	journalName = Stage + "/journal.json"
	doneName    = Stage + "/done.json"
)

// ErrHalfDone means that not everything could be undone. The stage is kept,
// with the originals, and the next Recover tries again.
var ErrHalfDone = errors.New("not undone")

// Change is one thing to do. Paths are relative to the root and have slashes.
type Change struct {
	Path string
	// Data becomes the file's content.
	Data []byte
	// Files makes Path a new directory that holds them; nothing must be there.
	Files map[string][]byte
	// Remove takes the file away.
	Remove bool
}

type journal struct {
	// Made are the directories to be made, parents first.
	Made  []string `json:"made"`
	Steps []step   `json:"steps"`
}

type step struct {
	Path string `json:"path"`
	// Had says that a file stood there, now also under its number in old.
	Had bool `json:"had"`
	// Sums has the SHA-256 of every file that the step puts in place, by its
	// path. What is found to differ was changed since and is left alone.
	Sums map[string]string `json:"sums,omitempty"`
}

func staged(i int) string { return Stage + "/new/" + strconv.Itoa(i) }
func backup(i int) string { return Stage + "/old/" + strconv.Itoa(i) }

// Between runs between any two changes on the disk; tests stop there.
var Between = func(string) {}

// Apply makes the changes. After an error the tree is as it was before. The
// caller holds the lock and has called Recover.
func Apply(ctx context.Context, root *os.Root, changes []Change) (err error) {
	if len(changes) == 0 {
		return ctx.Err()
	}
	if err := root.Mkdir(Stage, 0o700); err != nil {
		return err
	}
	j, err := prepare(ctx, root, changes)
	if err != nil {
		return errors.Join(err, root.RemoveAll(Stage))
	}
	if err := commit(ctx, root, j); err != nil {
		if undoErr := rollback(root, j); undoErr != nil {
			return errors.Join(ErrHalfDone, err, undoErr)
		}
		return errors.Join(err, root.RemoveAll(Stage))
	}
	Between("committed")
	// All is in place; what a failure leaves here, the next run removes.
	_ = root.RemoveAll(Stage)
	return nil
}

// Recover undoes what a killed run left half-done and gives the paths that it
// was about; none if there was nothing to undo.
func Recover(root *os.Root) ([]string, error) {
	if _, err := root.Lstat(Stage); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var paths []string
	data, err := root.ReadFile(journalName)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		// Killed before the first change or after the last.
	case err != nil:
		return nil, err
	default:
		var j journal
		if err := json.Unmarshal(data, &j); err != nil {
			return nil, fmt.Errorf("%s: %w", journalName, err)
		}
		if err := rollback(root, &j); err != nil {
			return nil, errors.Join(ErrHalfDone, err)
		}
		for _, s := range j.Steps {
			paths = append(paths, s.Path)
		}
	}
	return paths, root.RemoveAll(Stage)
}

// prepare stages everything and writes the journal.
func prepare(ctx context.Context, root *os.Root, changes []Change) (*journal, error) {
	for _, dir := range []string{"/new", "/old"} {
		if err := root.Mkdir(Stage+dir, 0o700); err != nil {
			return nil, err
		}
	}
	j := &journal{}
	for i, c := range changes {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		s := step{Path: c.Path, Sums: map[string]string{}}
		mode := fs.FileMode(0o644)
		if info, err := root.Lstat(c.Path); err == nil {
			s.Had = true
			if info.Mode().IsRegular() {
				mode = info.Mode().Perm()
			}
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		switch {
		case c.Files != nil && s.Had:
			return nil, &fs.PathError{Op: "create", Path: c.Path, Err: fs.ErrExist}
		case c.Files != nil:
			if err := root.Mkdir(staged(i), 0o755); err != nil {
				return nil, err
			}
			for name, data := range c.Files {
				if err := write(root, staged(i)+"/"+name, data, mode, false); err != nil {
					return nil, err
				}
				s.Sums[path.Join(c.Path, name)] = sum(data)
			}
		case !c.Remove:
			if err := write(root, staged(i), c.Data, mode, s.Had); err != nil {
				return nil, err
			}
			s.Sums[c.Path] = sum(c.Data)
		}
		if s.Had {
			if err := keep(root, c.Path, backup(i)); err != nil {
				return nil, err
			}
		}
		for dir := path.Dir(c.Path); dir != "."; dir = path.Dir(dir) {
			if _, err := root.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
				break
			}
			if !slices.Contains(j.Made, dir) {
				j.Made = append(j.Made, dir)
			}
		}
		j.Steps = append(j.Steps, s)
	}
	slices.Sort(j.Made) // a parent is shorter than its children

	data, err := json.Marshal(j)
	if err != nil {
		return nil, err
	}
	Between("staged")
	if err := write(root, journalName+".part", data, 0o600, true); err != nil {
		return nil, err
	}
	return j, root.Rename(journalName+".part", journalName)
}

func commit(ctx context.Context, root *os.Root, j *journal) error {
	Between("journal")
	for _, dir := range j.Made {
		if err := root.Mkdir(dir, 0o755); err != nil {
			return err
		}
		Between("mkdir " + dir)
	}
	for i, s := range j.Steps {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		var err error
		if len(s.Sums) == 0 {
			err = root.Remove(s.Path)
		} else {
			err = root.Rename(staged(i), s.Path)
		}
		if err != nil {
			return err
		}
		Between("change " + s.Path)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return root.Rename(journalName, doneName)
}

// rollback undoes the steps that were done, the last first. It can be killed
// and run again.
func rollback(root *os.Root, j *journal) error {
	var errs []error
	for i, s := range slices.Backward(j.Steps) {
		if len(s.Sums) > 0 && exists(root, staged(i)) {
			continue // not done
		}
		errs = append(errs, undo(root, i, s))
		Between("undo " + s.Path)
	}
	for _, dir := range slices.Backward(j.Made) {
		_ = root.Remove(dir) // stays if somebody has put something there
	}
	return errors.Join(errs...)
}

func undo(root *os.Root, i int, s step) error {
	for file, want := range s.Sums {
		data, err := root.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if sum(data) != want {
			return nil // somebody's work of after the crash
		}
		if s.Had {
			break
		}
		if err := root.Remove(file); err != nil {
			return err
		}
	}
	if s.Had {
		if !exists(root, backup(i)) {
			return nil // undone before
		}
		if len(s.Sums) == 0 && exists(root, s.Path) {
			return nil // not removed yet, or made anew
		}
		if err := root.MkdirAll(path.Dir(s.Path), 0o755); err != nil {
			return err
		}
		return root.Rename(backup(i), s.Path)
	}
	if _, isFile := s.Sums[s.Path]; !isFile {
		_ = root.Remove(s.Path) // stays if somebody has put something there
	}
	return nil
}

// keep gives a file a second name, so that the original can come back. Where
// there are no hard links it makes a copy.
func keep(root *os.Root, from, to string) error {
	if root.Link(from, to) == nil {
		return nil
	}
	if target, err := root.Readlink(from); err == nil {
		return root.Symlink(target, to)
	}
	src, err := root.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	info, err := src.Stat()
	if err != nil {
		return err
	}
	data, err := io.ReadAll(src)
	if err != nil {
		return err
	}
	return write(root, to, data, info.Mode().Perm(), true)
}

// write makes a file. With sync it reaches the disk first: so does whatever
// takes the place of something of the user's, while files that are new can be
// had again, and syncing each would take most of the time of a run.
func write(root *os.Root, name string, data []byte, mode fs.FileMode, sync bool) error {
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if sync {
		err = errors.Join(err, f.Sync())
	}
	return errors.Join(err, f.Close())
}

func exists(root *os.Root, name string) bool {
	_, err := root.Lstat(name)
	return err == nil
}

func sum(data []byte) string {
	h := sha256.Sum256(data)
	return hex.EncodeToString(h[:])
}
