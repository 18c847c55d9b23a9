package main

import (
	"context"
	"os"
	"slices"
	"strings"

	"github.com/asyncapi-impl/asyncapi-impl/catalog"
	"github.com/asyncapi-impl/asyncapi-impl/internal/document"
	"github.com/asyncapi-impl/asyncapi-impl/internal/plan"
	"github.com/asyncapi-impl/asyncapi-impl/internal/problem"
)

type ejectCmd struct {
	Drivers    []string `arg:"" optional:"" name:"driver" help:"Drivers, such as kafka/segmentio, kafka or github.com/segmentio/kafka-go. The last may be the directory, beginning with . or /."`
	To         string   `placeholder:"DIR" help:"Directory to write to, ./impl without one. Each driver goes to a directory of its own in it."`
	As         string   `placeholder:"NAME" help:"Name of the driver's directory and package, instead of the protocol's."`
	From       string   `placeholder:"FILE" help:"Eject a driver for each protocol that the servers of this AsyncAPI document speak. Drivers that are named replace the defaults."`
	Use        []string `sep:"none" placeholder:"DRIVER" help:"With --from: the driver for its protocol, instead of the default."`
	Strict     bool     `help:"With --from: fail if a protocol has no driver."`
	Package    string   `placeholder:"NAME" help:"Name of the driver's package alone."`
	Tests      bool     `help:"Write the conformance test and the examples too, and the suite beside the drivers."`
	DryRun     bool     `short:"n" help:"Show what would be done and write nothing."`
	Deps       string   `enum:"edit,print,none" default:"edit" help:"Edit the requirements in go.mod, print what to run, or do nothing: ${enum}."`
	OnConflict string   `enum:"fail,skip,overwrite" default:"fail" help:"What to do when files exist and differ: ${enum}."`
}

func (*ejectCmd) Help() string {
	return `Example:

  asyncapi-impl eject kafka/segmentio ./impl

writes the package ./impl/kafka, and

  asyncapi-impl eject --from asyncapi.yaml

a package for each protocol that the document's servers speak. It is yours: nothing in it refers to this program, and nothing is generated again.`
}

func (c *ejectCmd) Run(ctx context.Context, global *cli, drivers *catalog.Catalog, out *text) error {
	wd, err := os.Getwd()
	if err != nil {
		return err
	}
	names, to, err := plan.Split(c.Drivers, c.To)
	if err != nil {
		return err
	}
	switch {
	case c.From != "":
		if names, err = c.needed(drivers, names, out); err != nil {
			return err
		}
		if names == nil {
			return out.nothing()
		}
	case c.Use != nil || c.Strict:
		return problem.NewUsage(problem.Usage, "--use and --strict go with --from").
			WithHint("asyncapi-impl eject DRIVER needs neither")
	case len(names) == 0 && c.asks(global):
		if names, err = pick(ctx, drivers, os.Stdin, out.stderr); err != nil {
			return err
		}
		out.sameAs(names, to, c)
	}
	p, err := plan.Eject(ctx, plan.Request{
		Catalog: drivers, Source: source(drivers), WorkingDir: wd,
		Names: names, To: to, As: c.As, Package: c.Package, Tests: c.Tests,
		Deps: c.Deps, OnConflict: c.OnConflict, DryRun: c.DryRun,
	})
	if err != nil {
		return err
	}
	return out.eject(p, c.DryRun)
}

// needed gives the drivers that the document's servers need.
func (c *ejectCmd) needed(drivers *catalog.Catalog, names []string, out *text) ([]string, error) {
	doc, err := document.Read(c.From)
	if err != nil {
		return nil, err
	}
	choices, err := doc.Choose(drivers, slices.Concat(c.Use, names))
	if err != nil {
		return nil, err
	}
	var needed []string
	for _, choice := range choices {
		switch {
		case choice.Driver != "":
			needed = append(needed, choice.Driver)
		case c.Strict:
			return nil, problem.NewUsage(problem.UnknownDriver, "%s: no driver for %s (servers: %s)",
				c.From, choice.Needs, strings.Join(choice.Servers, ", ")).WithHint("asyncapi-impl new %s", choice.Needs)
		}
	}
	out.chosen(c.From, doc, choices)
	return needed, nil
}
