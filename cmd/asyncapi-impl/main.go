// Command asyncapi-impl lists drivers for the protocols of AsyncAPI documents
// and writes them, as source, into your module.
package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/asyncapi-impl/asyncapi-impl/catalog"
	"github.com/asyncapi-impl/asyncapi-impl/internal/own"
	"github.com/asyncapi-impl/asyncapi-impl/internal/problem"
)

const description = `Drivers for the protocols of AsyncAPI documents, written into your module as source that you own.

Exit status: 0 done, 1 failed and nothing changed, 2 usage, 3 a check found something, 4 needs your decision, 130 interrupted; asyncapi-impl help exit-codes says more.`

type cli struct {
	Chdir   string `short:"C" placeholder:"DIR" help:"Run in DIR."`
	JSON    bool   `help:"Write one JSON document to stdout, also on failure."`
	NoInput bool   `help:"Never ask. It does not ask without a terminal or in CI either."`
	Color   string `enum:"auto,always,never" default:"auto" help:"Colour: ${enum}. NO_COLOR turns it off."`

	List       listCmd       `cmd:"" help:"List the drivers."`
	Show       showCmd       `cmd:"" help:"Show a driver, or its source."`
	Eject      ejectCmd      `cmd:"" help:"Write drivers into your module."`
	Status     statusCmd     `cmd:"" help:"Show what is ejected and how it stands."`
	Diff       diffCmd       `cmd:"" help:"Show what you or the catalog changed."`
	Update     updateCmd     `cmd:"" help:"Take over what changed in the catalog, and keep your edits."`
	Verify     verifyCmd     `cmd:"" help:"Check what is ejected, for CI."`
	Remove     removeCmd     `cmd:"" help:"Take an ejected package away."`
	Adopt      adoptCmd      `cmd:"" help:"Give a copy made by hand its manifest."`
	Doctor     doctorCmd     `cmd:"" help:"Look for what is broken here."`
	New        newCmd        `cmd:"" help:"Begin a driver of your own."`
	Help       helpCmd       `cmd:"" help:"Explain exit-codes, environment, manifest or own-driver."`
	Schema     schemaCmd     `cmd:"" help:"Print the JSON Schema of the manifest or of what a command prints with --json."`
	Version    versionCmd    `cmd:"" help:"Show the version."`
	Completion completionCmd `cmd:"" help:"Write a completion script for a shell."`
}

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	// A reader that went away, such as head, is no failure.
	signal.Ignore(syscall.SIGPIPE)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	var c cli
	out := newText(os.Stdout, os.Stderr)
	out.json = slices.Contains(args, "--json")
	err := c.run(ctx, args, out)
	var helped exit
	switch {
	case errors.As(err, &helped):
		return int(helped)
	case errors.Is(err, syscall.EPIPE):
		return 0
	}
	return out.failure(err)
}

// exit is kong's wish to end the program, after --help.
type exit int

func (exit) Error() string { return "exit" }

func (c *cli) run(ctx context.Context, args []string, out *text) (err error) {
	parser, err := c.parser(out)
	if err != nil {
		return err
	}
	defer func() {
		if code, ok := recover().(exit); ok {
			err = code
		}
	}()
	command, err := parser.Parse(flagsFirst(parser.Model, args))
	if err != nil {
		return problem.NewUsage(problem.Usage, "%v", err).WithHint("asyncapi-impl --help")
	}
	out.json = c.JSON
	out.colour(c.Color)
	if c.Chdir != "" {
		if err := os.Chdir(c.Chdir); err != nil {
			return problem.NewUsage(problem.BadTarget, "%v", err)
		}
	}
	drivers, err := catalog.Load()
	if err != nil {
		return err
	}
	wd, err := os.Getwd()
	if err != nil {
		return err
	}
	command.Bind(parser, c)
	command.BindTo(ctx, (*context.Context)(nil))
	return command.Run(drivers, &own.Session{Catalog: drivers, Source: source(drivers), WorkingDir: wd}, out)
}

func (c *cli) parser(out io.Writer) (*kong.Kong, error) {
	return kong.New(c,
		kong.Name("asyncapi-impl"),
		kong.Description(description),
		kong.Writers(out, os.Stderr),
		kong.Exit(func(code int) { panic(exit(code)) }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
	)
}
