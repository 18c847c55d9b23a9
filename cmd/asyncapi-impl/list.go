package main

import "github.com/asyncapi-impl/asyncapi-impl/catalog"

type listCmd struct {
	Protocols []string `arg:"" optional:"" name:"proto" help:"Protocols; all without one."`
	Names     bool     `help:"Write the names alone, one a line."`
}

func (c *listCmd) Run(drivers *catalog.Catalog, out *text) error {
	found, err := drivers.Select(c.Protocols)
	if err != nil {
		return err
	}
	if c.Names {
		return out.names(found)
	}
	return out.list(drivers, found)
}
