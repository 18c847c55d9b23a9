package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"

	"golang.org/x/term"

	"github.com/asyncapi-impl/asyncapi-impl/catalog"
	"github.com/asyncapi-impl/asyncapi-impl/internal/problem"
)

// asks says whether there is somebody to ask.
func (*ejectCmd) asks(global *cli) bool {
	return !global.NoInput && !global.JSON && os.Getenv("CI") == "" &&
		term.IsTerminal(int(os.Stdin.Fd())) && term.IsTerminal(int(os.Stdout.Fd()))
}

// pick asks which drivers are wanted.
func pick(ctx context.Context, drivers *catalog.Catalog, in io.Reader, out io.Writer) ([]string, error) {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for i, d := range drivers.Drivers {
		promise, err := drivers.Promise(d)
		if err != nil {
			return nil, err
		}
		id := d.ID()
		if d.Default {
			id += " *"
		}
		if d.Note != "" {
			promise += " (" + d.Note + ")"
		}
		_, _ = fmt.Fprintf(table, "%3d  %s\t%s\t%s\n", i+1, id, library(d.Import), promise)
	}
	_ = table.Flush()
	_, _ = fmt.Fprint(out, "\n* default for its protocol; more: asyncapi-impl show DRIVER\nnumbers or names, with spaces between them: ")

	line, err := readLine(ctx, in)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, word := range strings.FieldsFunc(line, func(r rune) bool { return r == ' ' || r == ',' || r == '\t' }) {
		if n, err := strconv.Atoi(word); err == nil {
			if n < 1 || n > len(drivers.Drivers) {
				return nil, problem.NewUsage(problem.Usage, "there is no driver %d", n).
					WithHint("a number from 1 to %d", len(drivers.Drivers))
			}
			word = drivers.Drivers[n-1].ID()
		}
		d, err := drivers.Find(word)
		if err != nil {
			return nil, err
		}
		names = append(names, d.ID())
	}
	if names == nil {
		return nil, problem.NewUsage(problem.Usage, "no driver was chosen").WithHint("asyncapi-impl eject DRIVER")
	}
	return names, nil
}

// readLine reads a line until ctx ends, which a read from a terminal does not
// know of.
func readLine(ctx context.Context, in io.Reader) (string, error) {
	lines := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(in).ReadString('\n')
		lines <- strings.TrimRight(line, "\r\n")
	}()
	select {
	case line := <-lines:
		return line, nil
	case <-ctx.Done():
		e := problem.New(problem.Interrupted, "interrupted; nothing changed").Because(ctx.Err())
		e.Exit = problem.ExitInterrupted
		return "", e
	}
}

// sameAs tells the command line that does without asking.
func (t *text) sameAs(names []string, to string, c *ejectCmd) {
	words := append([]string{"asyncapi-impl", "eject"}, names...)
	for _, flag := range []struct{ name, value string }{{"--to", to}, {"--as", c.As}, {"--package", c.Package}} {
		if flag.value != "" {
			words = append(words, flag.name, flag.value)
		}
	}
	if c.Tests {
		words = append(words, "--tests")
	}
	if c.DryRun {
		words = append(words, "--dry-run")
	}
	if c.Deps != "edit" {
		words = append(words, "--deps="+c.Deps)
	}
	if c.OnConflict != "fail" {
		words = append(words, "--on-conflict="+c.OnConflict)
	}
	_, _ = fmt.Fprintf(t.stderr, "same as: %s\n", strings.Join(words, " "))
}
