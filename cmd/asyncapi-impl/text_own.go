package main

import (
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/asyncapi-impl/asyncapi-impl/internal/own"
	"github.com/asyncapi-impl/asyncapi-impl/internal/plan"
	"github.com/asyncapi-impl/asyncapi-impl/internal/problem"
)

// result writes a document, or text, of a command that may have found
// something: the error then gives the exit status, and in JSON it is told.
func (t *text) result(body map[string]any, found *problem.Error, words func()) error {
	if t.json {
		if found != nil {
			body["ok"], body["error"] = false, failed(found)
		}
		_ = t.document(body) // t.err has it
	} else {
		words()
	}
	if found != nil {
		return exit(found.Exit)
	}
	return t.err
}

// partly tells what was done before a failure, where several directories are
// changed one after the other.
func (t *text) partly(err error, tell func(error) error, done int) error {
	if err != nil && done == 0 {
		return err
	}
	return tell(err)
}

// asProblem gives the error that ends a run, nil for none.
func asProblem(err error) *problem.Error {
	if err == nil {
		return nil
	}
	p := &problem.Error{Code: problem.Internal, Exit: problem.ExitFailed, Message: err.Error()}
	errors.As(err, &p)
	return p
}

func (t *text) diff(diffs []*own.Diff, stat, names, exitCode bool) error {
	var found *problem.Error
	var files []string
	for _, d := range diffs {
		for _, f := range d.Files {
			if f.Status != "?" {
				files = append(files, d.Dir+"/"+f.Name)
			}
		}
	}
	if exitCode && len(files) > 0 {
		found = problem.NewFound(files, "not the same: %s", strings.Join(files, ", "))
	}
	return t.result(map[string]any{"packages": diffs}, found, func() {
		for _, d := range diffs {
			if stat {
				t.stat(d)
				continue
			}
			for _, f := range d.Files {
				switch {
				case f.Status == "?":
				case names:
					t.printf("%s/%s\n", d.Dir, f.Name)
				default:
					t.printf("%s", f.Text)
				}
			}
		}
	})
}

func (t *text) stat(d *own.Diff) {
	t.printf("%s  %s %s\n", d.Dir, d.Driver, d.Version)
	table := tabwriter.NewWriter(t, 0, 0, 2, ' ', 0)
	for _, f := range d.Files {
		change := fmt.Sprintf("+%d -%d", f.Added, f.Removed)
		if f.Status == "?" {
			change = "(yours)"
		}
		_, _ = fmt.Fprintf(table, "  %s %s\t%s\n", f.Status, f.Name, change)
	}
	_ = table.Flush()
}

func (t *text) dirs(copies []*own.Copy) error {
	dirs := []string{}
	for _, c := range copies {
		dirs = append(dirs, c.Dir)
	}
	if t.json {
		return t.document(map[string]any{"dirs": dirs})
	}
	for _, dir := range dirs {
		t.printf("%s\n", dir)
	}
	return t.err
}

func (t *text) status(copies []*own.Copy, broken []own.Broken, exitCode bool) error {
	unreadable := []map[string]any{}
	var dirs []string
	for _, b := range broken {
		unreadable = append(unreadable, map[string]any{"dir": b.Dir, "error": failed(asProblem(b.Err))})
		dirs = append(dirs, b.Dir)
	}
	for _, c := range copies {
		if summary(c) != "pristine, up to date" {
			dirs = append(dirs, c.Dir)
		}
	}
	var found *problem.Error
	if exitCode && len(dirs) > 0 {
		found = problem.NewFound(dirs, "not pristine and up to date: %s", strings.Join(dirs, ", "))
	}
	if copies == nil {
		copies = []*own.Copy{}
	}
	return t.result(map[string]any{"packages": copies, "broken": unreadable}, found, func() {
		if len(copies)+len(broken) == 0 {
			t.say("note", "1", "nothing is ejected here")
		}
		table := tabwriter.NewWriter(t, 0, 0, 2, ' ', 0)
		for _, c := range copies {
			_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", c.Dir, c.Driver, c.Version, summary(c))
		}
		for _, b := range broken {
			_, _ = fmt.Fprintf(table, "%s\t?\t?\t%s\n", b.Dir, b.Err)
		}
		_ = table.Flush()
	})
}

// summary says how a copy stands.
func summary(c *own.Copy) string {
	for _, f := range c.Files {
		if len(f.Markers) > 0 {
			return fmt.Sprintf("conflict markers in %s:%d", f.Name, f.Markers[0])
		}
	}
	var parts []string
	for _, kind := range []struct {
		word   string
		states []string
	}{
		{"modified", []string{own.Modified, own.Diverged, own.DroppedModified}},
		{"deleted", []string{own.Deleted}},
		{"in the way", []string{own.InTheWay}},
	} {
		if n := c.Count(kind.states...); n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, kind.word))
		}
	}
	if parts == nil {
		parts = []string{"pristine"}
	}
	here := strings.Join(parts, ", ")
	switch {
	case c.Gone:
		return here + "; not in this catalog"
	case c.Ahead():
		return here + "; newer than this program"
	case !c.Behind():
		return here + ", up to date"
	}
	overlap := ""
	if n := c.Count(own.Diverged); n > 0 {
		overlap = fmt.Sprintf(" (%s of yours changed there too)", count(n, "file"))
	}
	if c.Version == c.Latest {
		return here + "; changed in the catalog" + overlap
	}
	return here + "; " + c.Latest + " available" + overlap
}

func (t *text) updated(done []*own.Update, dryRun bool, deps string, failure error) error {
	conflicts, dirs, conflicting := []string{}, []string{}, []string{}
	for _, u := range done {
		dirs = append(dirs, "./"+u.Dir)
		for _, f := range u.Files {
			if f.Action == own.Conflicted {
				conflicts = append(conflicts, u.Dir+"/"+f.Name)
			}
		}
		if u.Conflicts() > 0 {
			conflicting = append(conflicting, u.Dir)
		}
	}
	found := asProblem(failure)
	if found == nil && len(conflicts) > 0 {
		found = problem.NewConflict(conflicts, "%s in conflict", count(len(conflicts), "file")).
			WithHint("settle them, or undo everything: asyncapi-impl update --abort %s", strings.Join(conflicting, " "))
		found.Code = problem.Conflict
	}
	return t.result(map[string]any{"dryRun": dryRun, "packages": done}, found, func() {
		if dryRun {
			t.printf("plan (nothing written)\n")
		}
		for _, u := range done {
			t.update(u)
			for _, r := range u.Requires {
				if deps == plan.DepsEdit {
					t.printf("go.mod: %s\n", change(r))
				}
			}
			for _, n := range u.Next {
				t.printf("next: %s\n", n)
			}
		}
		switch {
		case failure != nil:
			t.problem(found)
		case dryRun:
		case len(conflicts) > 0:
			t.printf("settle the conflicts, then: go test %s\n", strings.Join(dirs, " "))
			t.printf("undo everything: asyncapi-impl update --abort %s\n", strings.Join(conflicting, " "))
		default:
			t.printf("next: go test %s\n", strings.Join(dirs, " "))
		}
	})
}

func (t *text) update(u *own.Update) {
	for _, n := range u.Notes {
		t.say("note", "1", n)
	}
	version := u.From
	if u.To != u.From {
		version += " → " + u.To
	}
	t.printf("%s  %s %s\n", u.Dir, u.Driver, version)
	table := tabwriter.NewWriter(t, 0, 0, 2, ' ', 0)
	for _, f := range u.Files {
		action, more := f.Action, f.Why
		if f.Action == own.Conflicted {
			action = "CONFLICT"
		}
		if len(f.Lines) > 0 {
			more = fmt.Sprintf("%s (line %s)", count(len(f.Lines), "place"), numbers(f.Lines))
		}
		_, _ = fmt.Fprintln(table, strings.TrimRight("  "+action+"\t"+f.Name+"\t"+more, "\t"))
	}
	_ = table.Flush()
	if len(u.Files) == 0 {
		t.printf("  no file had to be changed\n")
	}
}

func numbers(lines []int) string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(lines), " ", ", "), "[]")
}

func (t *text) aborted(done []*own.Update, dryRun bool, failure error) error {
	found := asProblem(failure)
	return t.result(map[string]any{"dryRun": dryRun, "packages": done}, found, func() {
		if dryRun {
			t.printf("plan (nothing written)\n")
		}
		for _, u := range done {
			t.update(u)
			if !dryRun {
				t.say("note", "1", "what was there is in "+u.Undo+"; go.mod was left as it is")
			}
		}
		if failure != nil {
			t.problem(found)
		}
	})
}

func (t *text) verified(dirs []string, findings []own.Finding) error {
	var found *problem.Error
	var files []string
	for _, f := range findings {
		files = append(files, f.Path())
	}
	if len(findings) > 0 {
		found = problem.NewFound(files, "%s", count(len(findings), "finding"))
	}
	return t.result(map[string]any{"dirs": dirs, "findings": findings}, found, func() {
		for _, f := range findings {
			t.problem(&problem.Error{Message: f.Path() + ": " + f.Message, Hint: f.Hint})
		}
		if len(findings) == 0 {
			t.printf("%s: nothing found\n", count(len(dirs), "package"))
		}
	})
}

func (t *text) removed(done []*own.Removal, dryRun bool, failure error) error {
	found := asProblem(failure)
	return t.result(map[string]any{"dryRun": dryRun, "packages": done}, found, func() {
		if dryRun {
			t.printf("plan (nothing written)\n")
		}
		for _, r := range done {
			for _, n := range r.Notes {
				t.say("note", "1", n)
			}
			for _, name := range r.ImportedBy {
				t.say("note", "1", r.Dir+" is imported by "+name)
			}
			left := ""
			if len(r.Left) > 0 {
				left = "; left: " + strings.Join(r.Left, ", ")
			}
			t.printf("removed %s (%s%s)\n", r.Dir, count(len(r.Removed), "file"), left)
		}
		if failure != nil {
			t.problem(found)
		} else if !dryRun {
			t.printf("next: go mod tidy\n")
		}
	})
}

func (t *text) adopted(a *own.Adoption) error {
	if t.json {
		return t.document(map[string]any{"package": a})
	}
	for _, n := range a.Notes {
		t.say("note", "1", n)
	}
	t.printf("adopted %s as %s %s (%d of %s the same, %d different, %d missing)\n", a.Dir, a.Driver, a.Version,
		a.Same, count(a.Same+a.Different+a.Missing, "file"), a.Different, a.Missing)
	return t.err
}

func (t *text) diagnosed(all []own.Diagnosis) error {
	var found *problem.Error
	var failures []string
	for _, d := range all {
		if d.Level == own.Fail {
			failures = append(failures, d.Message)
		}
	}
	if failures != nil {
		found = problem.NewFound(nil, "%s", strings.Join(failures, "; "))
	}
	return t.result(map[string]any{"checks": all}, found, func() {
		for _, d := range all {
			line := fmt.Sprintf("%-5s %s", d.Level, d.Message)
			if d.Hint != "" {
				line += ": " + d.Hint
			}
			t.printf("%s\n", line)
		}
	})
}
