package main

import (
	"context"
	"os"

	"github.com/asyncapi-impl/asyncapi-impl/catalog"
	"github.com/asyncapi-impl/asyncapi-impl/internal/plan"
)

type ejectCmd struct {
	Drivers    []string `arg:"" optional:"" name:"driver" help:"Drivers, such as kafka/segmentio, kafka or github.com/segmentio/kafka-go. The last may be the directory, beginning with . or /."`
	To         string   `placeholder:"DIR" help:"Directory to write to, ./impl without one. Each driver goes to a directory of its own in it."`
	As         string   `placeholder:"NAME" help:"Name of the driver's directory and package, instead of the protocol's."`
	Package    string   `placeholder:"NAME" help:"Name of the driver's package alone."`
	Tests      bool     `help:"Write the conformance test and the examples too, and the suite beside the drivers."`
	DryRun     bool     `short:"n" help:"Show what would be done and write nothing."`
	Deps       string   `enum:"edit,print,none" default:"edit" help:"Edit the requirements in go.mod, print what to run, or do nothing: ${enum}."`
	OnConflict string   `enum:"fail,skip,overwrite" default:"fail" help:"What to do when files exist and differ: ${enum}."`
}

func (*ejectCmd) Help() string {
	return `Example:

  asyncapi-impl eject kafka/segmentio ./impl

writes the package ./impl/kafka. It is yours: nothing in it refers to this program, and nothing is generated again.`
}

func (c *ejectCmd) Run(ctx context.Context, drivers *catalog.Catalog, out *text) error {
	wd, err := os.Getwd()
	if err != nil {
		return err
	}
	p, err := plan.Eject(ctx, plan.Request{
		Catalog: drivers, Source: source(drivers), WorkingDir: wd,
		Names: c.Drivers, To: c.To, As: c.As, Package: c.Package, Tests: c.Tests,
		Deps: c.Deps, OnConflict: c.OnConflict, DryRun: c.DryRun,
	})
	if err != nil {
		return err
	}
	return out.eject(p, c.DryRun)
}
