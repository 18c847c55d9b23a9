package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"runtime"
	"strings"
	"text/tabwriter"

	"golang.org/x/term"

	"github.com/asyncapi-impl/asyncapi-impl/catalog"
	"github.com/asyncapi-impl/asyncapi-impl/internal/document"
	"github.com/asyncapi-impl/asyncapi-impl/internal/gomod"
	"github.com/asyncapi-impl/asyncapi-impl/internal/manifest"
	"github.com/asyncapi-impl/asyncapi-impl/internal/plan"
	"github.com/asyncapi-impl/asyncapi-impl/internal/problem"
)

// text owns everything that the program says. Results go to stdout, all else
// to stderr, in lower case and without a full stop; an error is followed by
// the next step. With json, stdout gets one document and stderr nothing.
type text struct {
	stdout io.Writer
	stderr io.Writer
	json   bool
	bold   bool
	err    error          // the first from stdout
	more   map[string]any // what else belongs into the document
}

func newText(stdout, stderr io.Writer) *text { return &text{stdout: stdout, stderr: stderr} }

// Write writes to stdout and remembers the first failure, so that the
// printing need not look.
func (t *text) Write(p []byte) (int, error) {
	if t.err != nil {
		return 0, t.err
	}
	n, err := t.stdout.Write(p)
	t.err = err
	return n, err
}

func (t *text) printf(format string, args ...any) { _, _ = fmt.Fprintf(t, format, args...) }

func (t *text) colour(when string) {
	t.bold = when == "always" || when == "auto" && os.Getenv("NO_COLOR") == "" &&
		os.Getenv("TERM") != "dumb" && term.IsTerminal(int(os.Stderr.Fd()))
}

// document is the one JSON document of a run.
func (t *text) document(body map[string]any) error {
	body["schema"] = 1
	maps.Copy(body, t.more)
	if _, failed := body["error"]; !failed {
		body["ok"] = true
	}
	enc := json.NewEncoder(t)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(body)
}

// failure reports an error and gives the exit status.
func (t *text) failure(err error) int {
	if err == nil {
		return 0
	}
	p := asProblem(err)
	if t.json {
		_ = t.document(map[string]any{"ok": false, "error": failed(p)})
	} else {
		t.problem(p)
	}
	return p.Exit
}

// failed is an error in JSON.
func failed(p *problem.Error) map[string]any {
	body := map[string]any{"code": p.Code, "message": p.Message}
	if p.Hint != "" {
		body["hint"] = p.Hint
	}
	if p.Files != nil {
		body["files"] = p.Files
	}
	return body
}

func (t *text) problem(p *problem.Error) {
	t.say("error", "1;31", p.Message)
	if p.Hint != "" {
		t.say("hint", "1", p.Hint)
	}
}

// say writes a line to stderr.
func (t *text) say(word, colour, message string) {
	word += ":"
	if t.bold {
		word = "\x1b[" + colour + "m" + word + "\x1b[0m"
	}
	_, _ = fmt.Fprintf(t.stderr, "%s %s\n", word, message)
}

// entry is a driver in JSON.
type entry struct {
	ID       string `json:"id"`
	Protocol string `json:"protocol"`
	Library  string `json:"library"`
	Import   string `json:"import,omitempty"`
	Version  string `json:"version,omitempty"`
	Go       string `json:"go"`
	Default  bool   `json:"default"`
	Note     string `json:"note,omitempty"`
	Summary  string `json:"summary"`
}

func newEntry(c *catalog.Catalog, d catalog.Driver) (entry, error) {
	m, _ := c.Requirement(d.Import)
	summary, err := c.Summary(d)
	return entry{d.ID(), d.Protocol, d.Library, d.Import, m.Version, d.Go, d.Default, d.Note, summary}, err
}

func (t *text) names(drivers []catalog.Driver) error {
	ids := []string{}
	for _, d := range drivers {
		ids = append(ids, d.ID())
	}
	if t.json {
		return t.document(map[string]any{"names": ids})
	}
	for _, id := range ids {
		t.printf("%s\n", id)
	}
	return t.err
}

func (t *text) list(c *catalog.Catalog, drivers []catalog.Driver) error {
	entries := []entry{}
	for _, d := range drivers {
		e, err := newEntry(c, d)
		if err != nil {
			return err
		}
		entries = append(entries, e)
	}
	if t.json {
		return t.document(map[string]any{"drivers": entries})
	}
	table := tabwriter.NewWriter(t, 0, 0, 2, ' ', 0)
	row := func(cells ...string) {
		_, _ = fmt.Fprintln(table, strings.Join(cells, "\t"))
	}
	row("PROTOCOL", "DRIVER", "LIBRARY", "TESTED", "NOTES")
	for _, e := range entries {
		id := e.ID
		if e.Default {
			id += " *"
		}
		row(e.Protocol, id, library(e.Import), cmp.Or(e.Version, "-"), e.Note)
	}
	_ = table.Flush()
	t.printf("\n* default for its protocol; details: asyncapi-impl show DRIVER\n")
	return t.err
}

func library(importPath string) string { return cmp.Or(importPath, "standard library") }

func (t *text) show(c *catalog.Catalog, d catalog.Driver) error {
	e, err := newEntry(c, d)
	if err != nil {
		return err
	}
	names, err := c.Files(d)
	if err != nil {
		return err
	}
	results, err := c.Results(d)
	if err != nil {
		return err
	}
	if t.json {
		return t.document(map[string]any{"driver": e, "files": names, "requires": requires(c, d), "conformance": results})
	}
	t.printf("%s: %s\n", e.ID, e.Summary)
	isDefault := "no"
	if e.Default {
		isDefault = "yes"
	}
	t.printf("  default   %s\n", isDefault)
	needs := "go ≥ " + e.Go
	for _, r := range requires(c, d) {
		needs = r.Path + " ≥ " + r.Version + ", " + needs
	}
	t.printf("  requires  %s\n  package   %s\n", needs, e.Protocol)
	if e.Note != "" {
		t.printf("  note      %s\n", e.Note)
	}
	tests, lines := 0, 0
	for _, n := range names {
		if strings.HasSuffix(n, "_test.go") {
			tests++
			continue
		}
		src, err := c.Source(d, n)
		if err != nil {
			return err
		}
		lines += strings.Count(string(src), "\n")
	}
	t.printf("  files     %d (%d lines), %s\n", len(names)-tests, lines, count(tests, "test file"))
	for i, line := range results {
		lead := ""
		if i == 0 {
			lead = "suite"
		}
		t.printf("  %-9s %s\n", lead, line)
	}
	t.printf("eject it: asyncapi-impl eject %s ./impl\n", e.ID)
	return t.err
}

type requirement struct {
	Path    string `json:"path"`
	Version string `json:"version"`
}

func requires(c *catalog.Catalog, d catalog.Driver) []requirement {
	if m, ok := c.Requirement(d.Import); ok {
		return []requirement{{m.Path, m.Version}}
	}
	return []requirement{}
}

func (t *text) deps(c *catalog.Catalog, d catalog.Driver) error {
	if t.json {
		return t.document(map[string]any{"go": d.Go, "requires": requires(c, d)})
	}
	for _, r := range requires(c, d) {
		t.printf("%s %s\n", r.Path, r.Version)
	}
	return t.err
}

func (t *text) files(c *catalog.Catalog, d catalog.Driver) error {
	names, err := c.Files(d)
	if err != nil {
		return err
	}
	if t.json {
		return t.document(map[string]any{"files": names})
	}
	t.printf("%s\n", strings.Join(names, "\n"))
	return t.err
}

func (t *text) source(d catalog.Driver, name string, src []byte) error {
	if t.json {
		return t.document(map[string]any{"file": path.Join(d.ID(), name), "source": string(src)})
	}
	t.printf("%s", src)
	return t.err
}

func (t *text) topic(name string, words []byte) error {
	if t.json {
		return t.document(map[string]any{"topic": name, "text": string(words)})
	}
	t.printf("%s", words)
	return t.err
}

// schema writes a JSON Schema, which is a document of its own, with or without
// --json.
func (t *text) schema(s object) error {
	enc := json.NewEncoder(t)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(s)
}

func (t *text) script(shell string, script []byte) error {
	if t.json {
		return t.document(map[string]any{"shell": shell, "script": string(script)})
	}
	t.printf("%s", script)
	return t.err
}

func (t *text) version(c *catalog.Catalog, s manifest.Source) error {
	if t.json {
		return t.document(map[string]any{
			"version": s.Version, "sum": s.Sum, "module": s.Module, "go": runtime.Version(),
			"drivers": len(c.Drivers), "protocols": len(c.Protocols()),
		})
	}
	build := runtime.Version() + ", " + runtime.GOOS + "/" + runtime.GOARCH
	if s.Sum != "" {
		build = s.Sum + ", " + build
	}
	t.printf("asyncapi-impl %s (%s), catalog: %s, %s\n", s.Version, build,
		count(len(c.Drivers), "driver"), count(len(c.Protocols()), "protocol"))
	return t.err
}

func (t *text) eject(p *plan.Plan, dryRun bool) error {
	if t.json {
		return t.document(map[string]any{
			"dryRun": dryRun, "packages": p.Packages, "requires": p.Requires, "next": p.Next, "notes": p.Notes,
		})
	}
	for _, n := range p.Notes {
		t.say("note", "1", n)
	}
	if dryRun {
		t.plan(p)
	} else {
		t.ejected(p)
	}
	return t.err
}

// chosen tells which drivers a document needs. It comes before anything is
// ejected, which may fail, so it is no result and does not go to stdout.
func (t *text) chosen(name string, doc *document.Document, choices []document.Choice) {
	if t.json {
		t.more = map[string]any{"document": doc, "choices": choices}
		return
	}
	_, _ = fmt.Fprintf(t.stderr, "%s (AsyncAPI %s): %s\n", name, doc.Version, count(len(doc.Servers), "server"))
	for _, c := range choices {
		driver := c.Driver
		switch {
		case driver == "":
			driver = "no driver"
		case c.Default:
			driver += " (default)"
		}
		_, _ = fmt.Fprintf(t.stderr, "  %s → %s, for %s\n", c.Protocol, driver, strings.Join(c.Servers, ", "))
	}
	for _, c := range choices {
		if c.Driver == "" {
			t.say("warning", "1;33", fmt.Sprintf("no driver for %s; write your own: asyncapi-impl new %s", c.Needs, c.Needs))
		}
	}
}

// nothing is an eject without a driver.
func (t *text) nothing() error {
	if t.json {
		return t.document(map[string]any{"packages": []any{}, "dryRun": false, "requires": []any{}, "next": []any{}, "notes": []any{}})
	}
	t.say("note", "1", "nothing to eject")
	return t.err
}

var marks = map[string]string{
	plan.Create: "+", plan.Identical: "=", plan.Overwrote: "!", plan.Skipped: "-", plan.Deleted: "x",
	gomod.Add: "+", gomod.Raise: "↑", gomod.Keep: "=",
}

func (t *text) plan(p *plan.Plan) {
	t.printf("plan (nothing written)\n")
	total := map[string]int{}
	for _, pkg := range p.Packages {
		t.printf("  %s  %s %s  package %s\n", pkg.Dir, pkg.Driver, pkg.Version, pkg.Name)
		for _, f := range pkg.Files {
			t.printf("    %s %s\n", marks[f.Action], f.Name)
			total[f.Action]++
		}
	}
	if len(p.Requires) > 0 {
		t.printf("  go.mod\n")
	}
	for _, r := range p.Requires {
		t.printf("    %s\n", change(r))
	}
	t.printf("%d to create, %d identical, %d to overwrite, %d to skip, %d deleted by you\n",
		total[plan.Create], total[plan.Identical], total[plan.Overwrote], total[plan.Skipped], total[plan.Deleted])
}

func change(r gomod.Change) string {
	line := marks[r.Action] + " " + r.Path + " "
	switch {
	case r.Action == gomod.Raise:
		return line + r.Have + " → " + r.Want
	case r.Have != "" && r.Have != r.Want:
		return line + r.Want + " (have " + r.Have + ")"
	}
	return line + r.Want
}

func (t *text) ejected(p *plan.Plan) {
	for _, pkg := range p.Packages {
		t.printf("ejected %s %s → %s (%s)\n", pkg.Driver, pkg.Version, pkg.Dir, counts(pkg))
		if pkg.Undo != "" {
			t.say("note", "1", fmt.Sprintf("overwrote %s; undo: asyncapi-impl update --abort %s",
				count(pkg.Count(plan.Overwrote), "file"), pkg.Dir))
		}
	}
	for _, r := range p.Requires {
		if r.Action != gomod.Keep {
			t.printf("go.mod: %s\n", change(r))
		}
	}
	for _, n := range p.Next {
		t.printf("next: %s\n", n)
	}
	for _, pkg := range p.Packages {
		if pkg.Driver != catalog.Suite {
			t.printf("import %q\n", pkg.Import)
		}
	}
}

func (t *text) created(p *plan.Plan, dryRun bool) error {
	if t.json || dryRun {
		return t.eject(p, dryRun)
	}
	for _, n := range p.Notes {
		t.say("note", "1", n)
	}
	own, rest := p.Packages[0], p.Packages[1:]
	t.printf("created %s (package %s, %s; nothing is implemented yet)\n", own.Dir, own.Name, count(len(own.Files), "file"))
	for _, pkg := range rest {
		t.printf("ejected %s %s → %s (%s)\n", pkg.Driver, pkg.Version, pkg.Dir, counts(pkg))
	}
	for _, n := range p.Next {
		t.printf("next: %s\n", n)
	}
	return t.err
}

// counts says how many files there are of each kind.
func counts(p *plan.Package) string {
	var parts []string
	if n := p.Count(plan.Create); n > 0 || len(p.Files) == 0 {
		parts = append(parts, count(n, "file"))
	}
	for _, kind := range []struct{ action, word string }{
		{plan.Identical, "identical"}, {plan.Overwrote, "overwritten"},
		{plan.Skipped, "left as it is"}, {plan.Deleted, "deleted by you"},
	} {
		if n := p.Count(kind.action); n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, kind.word))
		}
	}
	return strings.Join(parts, ", ")
}

func count(n int, word string) string {
	if n != 1 {
		word += "s"
	}
	return fmt.Sprintf("%d %s", n, word)
}
