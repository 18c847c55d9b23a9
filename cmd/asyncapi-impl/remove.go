package main

import (
	"context"

	"github.com/asyncapi-impl/asyncapi-impl/internal/own"
)

type removeCmd struct {
	Dirs         []string `arg:"" name:"dir" help:"Ejected packages, or directories above them."`
	DryRun       bool     `short:"n" help:"Show what would be done and write nothing."`
	Force        bool     `xor:"edited" help:"Delete edited files too."`
	KeepModified bool     `xor:"edited" help:"Leave edited files."`
}

func (*removeCmd) Help() string {
	return `Deletes the files as they were ejected, and the manifest. Files of your own stay, and go.mod is left to go mod tidy.`
}

func (c *removeCmd) Run(ctx context.Context, session *own.Session, out *text) error {
	edited := own.Refuse
	switch {
	case c.Force:
		edited = own.Force
	case c.KeepModified:
		edited = own.KeepModified
	}
	done, err := session.Remove(ctx, c.Dirs, edited, c.DryRun)
	return out.partly(err, func(err error) error { return out.removed(done, c.DryRun, err) }, len(done))
}
