package main

import (
	"context"

	"github.com/asyncapi-impl/asyncapi-impl/internal/own"
	"github.com/asyncapi-impl/asyncapi-impl/internal/problem"
)

type updateCmd struct {
	Dirs    []string `arg:"" optional:"" name:"dir" help:"Ejected packages, or directories above them."`
	All     bool     `help:"Every ejected package of the module."`
	DryRun  bool     `short:"n" help:"Show what would be done and write nothing."`
	Ours    bool     `xor:"how" help:"Where both sides changed the same lines, keep yours."`
	Theirs  bool     `xor:"how" help:"Where both sides changed the same lines, take the catalog's."`
	Abort   bool     `xor:"how" help:"Take the last update back. What is there now is kept, so a second --abort takes back the first."`
	Restore bool     `help:"Bring back the files that you deleted."`
	Deps    string   `enum:"edit,print,none" default:"edit" help:"Raise the requirements in go.mod, print them, or do nothing: ${enum}."`
}

func (*updateCmd) Help() string {
	return `Brings an ejected package to the version of this program, and keeps your edits: files that only you changed stay, files
that only the catalog changed are replaced, the others are merged by git merge-file with the text that they were ejected with
as the base. A conflict is left in the file, with markers, and the exit status is 4. Files that you deleted stay deleted, and
files of your own are not touched. What was there before is in .asyncapi-impl-undo beside the files.

The base is looked for in this program, in your git objects, and at last in the module that the manifest names.`
}

func (c *updateCmd) Run(ctx context.Context, session *own.Session, out *text) error {
	if len(c.Dirs) == 0 && !c.All {
		return problem.NewUsage(problem.Usage, "choose a directory").
			WithHint("asyncapi-impl update --all; which there are: asyncapi-impl status")
	}
	if len(c.Dirs) > 0 && c.All {
		return problem.NewUsage(problem.Usage, "--all is every directory, and %s is one", c.Dirs[0]).
			WithHint("leave one of them out")
	}
	how := own.How{Restore: c.Restore, DryRun: c.DryRun, Deps: c.Deps}
	switch {
	case c.Ours:
		how.Favour = own.Ours
	case c.Theirs:
		how.Favour = own.Theirs
	case c.Abort:
		done, err := session.Abort(ctx, c.Dirs, c.DryRun)
		return out.partly(err, func(err error) error { return out.aborted(done, c.DryRun, err) }, len(done))
	}
	done, err := session.Update(ctx, c.Dirs, how)
	return out.partly(err, func(err error) error { return out.updated(done, c.DryRun, c.Deps, err) }, len(done))
}
