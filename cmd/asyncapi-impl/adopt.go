package main

import (
	"context"

	"github.com/asyncapi-impl/asyncapi-impl/internal/own"
)

type adoptCmd struct {
	Dir    string `arg:"" help:"Directory of the copy."`
	Driver string `arg:"" help:"Driver that it is a copy of, such as kafka/segmentio, or kafka/segmentio@v1.2.3 for an earlier version."`
}

func (*adoptCmd) Help() string {
	return `Gives a copy that was made by hand, or has lost its manifest, a manifest: status, diff, update and remove know it then.
No other file is written.`
}

func (c *adoptCmd) Run(ctx context.Context, session *own.Session, out *text) error {
	a, err := session.Adopt(ctx, c.Dir, c.Driver)
	if err != nil {
		return err
	}
	return out.adopted(a)
}
