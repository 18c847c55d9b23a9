package main

import (
	"context"

	"github.com/asyncapi-impl/asyncapi-impl/internal/own"
)

type doctorCmd struct {
	Fix bool `help:"Undo what an interrupted run left."`
}

func (*doctorCmd) Help() string {
	return `Looks for what keeps the ejected packages from being built, updated or committed here. Exit status 3 if something is
broken.`
}

func (c *doctorCmd) Run(ctx context.Context, session *own.Session, out *text) error {
	found, err := session.Doctor(ctx, c.Fix)
	if err != nil {
		return err
	}
	return out.diagnosed(found)
}
