package main

import (
	"errors"
	"io/fs"

	"github.com/asyncapi-impl/asyncapi-impl/catalog"
	"github.com/asyncapi-impl/asyncapi-impl/internal/problem"
)

type showCmd struct {
	Driver string `arg:"" help:"Driver, such as kafka/segmentio."`
	File   string `xor:"what" placeholder:"NAME" help:"Write the source of one file."`
	Files  bool   `xor:"what" help:"Write the names of the files."`
	Deps   bool   `xor:"what" help:"Write the modules that it requires."`
}

func (c *showCmd) Run(drivers *catalog.Catalog, out *text) error {
	d, err := drivers.Find(c.Driver)
	if err != nil {
		return err
	}
	switch {
	case c.File != "":
		src, err := drivers.Source(d, c.File)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrInvalid) {
			return problem.NewUsage(problem.Usage, "%s has no file %q", d.ID(), c.File).
				WithHint("asyncapi-impl show %s --files", d.ID())
		}
		if err != nil {
			return err
		}
		return out.source(d, c.File, src)
	case c.Files:
		return out.files(drivers, d)
	case c.Deps:
		return out.deps(drivers, d)
	}
	return out.show(drivers, d)
}
