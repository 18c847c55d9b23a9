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
func Eject(ctx context.Context, req Request) (*Plan, error) {
	packages, err := targets(&req)
	if err != nil {
		return nil, err
	}
	dir := packages[0].place.mod.Root
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, failure(dir, err)
	}
	defer root.Close()
	if req.DryRun {
		mod, err := gomod.Find(dir)
		if err != nil {
			return nil, err
		}
		return build(&req, root, mod, packages)
	}

	unlock, err := txn.Lock(ctx, dir)
	if err != nil {
		return nil, failure(dir, err)
	}
	defer unlock()
	undone, err := txn.Recover(root)
	if err != nil {
		return nil, failure(dir, err)
	}
	// Read again: it may have changed while this run waited for the lock.
	mod, err := gomod.Find(dir)
	if err != nil {
		return nil, err
	}
	p, err := build(&req, root, mod, packages)
	if err != nil {
		return nil, err
	}
	if len(undone) > 0 {
		p.Notes = append(p.Notes, "rolled back an interrupted run: "+strings.Join(undone, ", "))
	}
	if err := txn.Apply(ctx, root, p.changes()); err != nil {
		return nil, failure(dir, err)
	}
	return p, nil
}

// failure says in the user's words why nothing was written.
func failure(dir string, err error) error {
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
		var p *fs.PathError
		if errors.As(err, &p) && !strings.HasPrefix(p.Path, txn.Stage) {
			return problem.New(problem.ReadOnly, "cannot write %s in %s: permission denied", p.Path, dir).Because(err)
		}
		return problem.New(problem.ReadOnly, "cannot write to %s: permission denied", dir).Because(err)
	}
	return problem.New(problem.Internal, "nothing was changed in %s: %v", dir, err).Because(err)
}
