package main

import (
	"context"
	"os"

	"github.com/asyncapi-impl/asyncapi-impl/catalog"
	"github.com/asyncapi-impl/asyncapi-impl/internal/plan"
)

type newCmd struct {
	Protocol string `arg:"" name:"proto" help:"Protocol, as AsyncAPI documents name it."`
	Dir      string `arg:"" optional:"" help:"Directory to write to, ./impl without one. The driver goes to a directory of its own in it."`
	Lib      string `placeholder:"NAME" help:"A short name for the client library that it will use."`
	As       string `placeholder:"NAME" help:"Name of the driver's directory and package, instead of the protocol's."`
	DryRun   bool   `short:"n" help:"Show what would be done and write nothing."`
}

func (*newCmd) Help() string {
	return `Writes the beginning of a driver of your own: it compiles, has the shape of all drivers, and is wired to the conformance
suite, which comes along. What depends on the protocol says that it is not implemented yet. There is no manifest: it is yours
from the start. "asyncapi-impl help own-driver" leads through the rest.`
}

func (c *newCmd) Run(ctx context.Context, drivers *catalog.Catalog, out *text) error {
	wd, err := os.Getwd()
	if err != nil {
		return err
	}
	p, err := plan.New(ctx, plan.NewRequest{
		Catalog: drivers, Source: source(drivers), WorkingDir: wd,
		Protocol: c.Protocol, To: c.Dir, Library: c.Lib, As: c.As, DryRun: c.DryRun,
	})
	if err != nil {
		return err
	}
	for _, d := range drivers.Of(c.Protocol) {
		p.Notes = append(p.Notes, "the catalog has "+d.ID()+": asyncapi-impl show "+d.ID())
	}
	return out.created(p, c.DryRun)
}
