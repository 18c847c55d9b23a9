package plan

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"strings"

	"github.com/asyncapi-impl/asyncapi-impl/internal/gomod"
	"github.com/asyncapi-impl/asyncapi-impl/internal/problem"
	"github.com/asyncapi-impl/asyncapi-impl/internal/txn"
)

// Eject plans and, unless it is a dry run, writes.
func Eject(ctx context.Context, req Request) (p *Plan, err error) {
	packages, err := targets(&req)
	if err != nil {
		return nil, err
	}
	dir := packages[0].place.Mod.Root
	err = Write(ctx, dir, req.DryRun, func(root *os.Root, undone []string) ([]txn.Change, error) {
		// Read again: it may have changed while this run waited for the lock.
		mod, err := gomod.Find(dir)
		if err != nil {
			return nil, err
		}
		if p, err = build(&req, root, mod, packages); err != nil {
			return nil, err
		}
		p.Notes = append(p.Notes, undone...)
		return p.changes(), nil
	})
	return p, err
}

// Write makes changes in a module: all or none, and nobody else's at the same
// time. What an interrupted run left is undone first; plan is told in words. In
// a dry run nothing is written.
func Write(ctx context.Context, dir string, dryRun bool, plan func(root *os.Root, undone []string) ([]txn.Change, error)) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return Failure(dir, err)
	}
	defer root.Close()
	if dryRun {
		_, err := plan(root, nil)
		return err
	}
	unlock, err := txn.Lock(ctx, dir)
	if err != nil {
		return Failure(dir, err)
	}
	defer unlock()
	paths, err := txn.Recover(root)
	if err != nil {
		return Failure(dir, err)
	}
	var undone []string
	if len(paths) > 0 {
		undone = []string{"rolled back an interrupted run: " + strings.Join(paths, ", ")}
	}
	changes, err := plan(root, undone)
	if err != nil {
		return err
	}
	if err := txn.Apply(ctx, root, changes); err != nil {
		return Failure(dir, err)
	}
	return nil
}

// Failure says in the user's words why nothing was written.
func Failure(dir string, err error) error {
	switch {
	case errors.Is(err, txn.ErrHalfDone):
		return problem.New(problem.Internal, "not everything could be undone in %s: %v", dir, err).Because(err).
			WithHint("run again when the cause is gone; the originals are in %s", txn.Stage)
	case errors.Is(err, context.Canceled):
		e := problem.New(problem.Interrupted, "interrupted; nothing changed").Because(err)
		e.Exit = problem.ExitInterrupted
		return e
	case errors.Is(err, txn.ErrBusy):
		return problem.New(problem.Busy, "another run is writing in %s", dir).Because(err).
			WithHint("try again when it has ended")
	case errors.Is(err, fs.ErrPermission):
		name := txn.Stage
		var p *fs.PathError
		var l *os.LinkError
		if errors.As(err, &p) {
			name = p.Path
		} else if errors.As(err, &l) {
			name = l.New
		}
		if !strings.HasPrefix(name, txn.Stage) {
			return problem.New(problem.ReadOnly, "cannot write %s in %s: permission denied", name, dir).Because(err)
		}
		return problem.New(problem.ReadOnly, "cannot write to %s: permission denied", dir).Because(err)
	}
	return problem.New(problem.Internal, "nothing was changed in %s: %v", dir, err).Because(err)
}
