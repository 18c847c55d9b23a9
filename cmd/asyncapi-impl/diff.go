package main

import (
	"context"

	"github.com/asyncapi-impl/asyncapi-impl/internal/own"
)

type diffCmd struct {
	Dirs     []string `arg:"" optional:"" name:"dir" help:"Ejected packages, or directories above them; all without one."`
	Local    bool     `xor:"what" help:"What you changed since it was ejected. The default."`
	Upstream bool     `xor:"what" help:"What changed in the catalog since."`
	All      bool     `xor:"what" help:"Yours against the catalog."`
	Stat     bool     `xor:"form" help:"Count the lines."`
	NameOnly bool     `xor:"form" help:"Write the names of the files."`
	ExitCode bool     `help:"Exit with status 3 if anything differs."`
}

func (*diffCmd) Help() string {
	return `The output is a unified diff that git apply takes. It needs no network: what a file was ejected with is looked for in
this program, in your git objects and in the module cache.`
}

func (c *diffCmd) Run(ctx context.Context, session *own.Session, out *text) error {
	what := own.Local
	switch {
	case c.Upstream:
		what = own.Upstream
	case c.All:
		what = own.All
	}
	copies, err := session.Find(c.Dirs)
	if err != nil {
		return err
	}
	var diffs []*own.Diff
	for _, dir := range copies {
		d, err := dir.Diff(ctx, what, !c.NameOnly)
		if err != nil {
			return err
		}
		diffs = append(diffs, d)
	}
	return out.diff(diffs, c.Stat, c.NameOnly, c.ExitCode)
}
