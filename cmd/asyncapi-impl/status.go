package main

import "github.com/asyncapi-impl/asyncapi-impl/internal/own"

type statusCmd struct {
	Dirs     []string `arg:"" optional:"" name:"dir" help:"Ejected packages, or directories above them; all without one."`
	Names    bool     `help:"Write the directories alone, one a line."`
	ExitCode bool     `help:"Exit with status 3 unless all is pristine and up to date."`
}

func (c *statusCmd) Run(session *own.Session, out *text) error {
	copies, broken, err := session.Survey(c.Dirs)
	if err != nil {
		return err
	}
	if c.Names {
		return out.dirs(copies)
	}
	return out.status(copies, broken, c.ExitCode)
}
