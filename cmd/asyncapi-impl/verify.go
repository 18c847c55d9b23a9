package main

import (
	"context"

	"github.com/asyncapi-impl/asyncapi-impl/internal/own"
)

type verifyCmd struct {
	Dirs     []string `arg:"" optional:"" name:"dir" help:"Ejected packages, or directories above them; all without one."`
	Pristine bool     `help:"Nothing may be changed or deleted."`
	Latest   bool     `help:"Nothing may be older than this program."`
	Build    bool     `help:"Run go vet."`
}

func (*verifyCmd) Help() string {
	return `For CI. It always checks that the manifest can be read, that no conflict markers and no interrupted run are left, that the
files are of the package they should be, and that go.mod requires what they need. Exit status 3 if it found something.`
}

func (c *verifyCmd) Run(ctx context.Context, session *own.Session, out *text) error {
	dirs, found, err := session.Verify(ctx, c.Dirs, own.Checks{Pristine: c.Pristine, Latest: c.Latest, Build: c.Build})
	if err != nil {
		return err
	}
	return out.verified(dirs, found)
}
