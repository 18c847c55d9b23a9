package main

import (
	"runtime/debug"

	"github.com/asyncapi-impl/asyncapi-impl/catalog"
	"github.com/asyncapi-impl/asyncapi-impl/internal/manifest"
)

type versionCmd struct{}

func (*versionCmd) Run(drivers *catalog.Catalog, out *text) error {
	return out.version(drivers, source(drivers))
}

// source says which version of the catalog this program holds, as the go
// command recorded it.
func source(drivers *catalog.Catalog) manifest.Source {
	s := manifest.Source{Module: drivers.Module, Version: "(devel)"}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		s.Version, s.Sum = info.Main.Version, info.Main.Sum
	}
	return s
}
