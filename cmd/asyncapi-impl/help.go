package main

import (
	"embed"
	"io/fs"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/asyncapi-impl/asyncapi-impl/internal/problem"
)

//go:embed help/*.txt
var helpTexts embed.FS

type helpCmd struct {
	Topic string `arg:"" optional:"" help:"A topic: exit-codes, environment, manifest or own-driver. Or a command."`
}

func (c *helpCmd) Run(app *kong.Kong, out *text) error {
	topics := topics()
	if c.Topic == "" {
		if out.json {
			return out.document(map[string]any{"topics": topics})
		}
		out.printf("topics: %s\ncommands: asyncapi-impl --help\n", strings.Join(topics, ", "))
		return out.err
	}
	if words, err := helpTexts.ReadFile("help/" + c.Topic + ".txt"); err == nil {
		return out.topic(c.Topic, words)
	}
	for _, command := range app.Model.Children {
		if command.Name == c.Topic && !out.json {
			_, err := app.Parse([]string{c.Topic, "--help"})
			return err
		}
	}
	return problem.NewUsage(problem.Usage, "no help on %q", c.Topic).
		WithHint("topics: %s; commands: asyncapi-impl --help", strings.Join(topics, ", "))
}

func topics() []string {
	entries, err := fs.ReadDir(helpTexts, "help")
	if err != nil {
		return nil
	}
	var names []string
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), ".txt"))
	}
	return names
}
