package own

import (
	"context"
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/semver"

	"github.com/asyncapi-impl/asyncapi-impl/internal/gomod"
	"github.com/asyncapi-impl/asyncapi-impl/internal/manifest"
	"github.com/asyncapi-impl/asyncapi-impl/internal/plan"
	"github.com/asyncapi-impl/asyncapi-impl/internal/problem"
	"github.com/asyncapi-impl/asyncapi-impl/internal/txn"
)

// Finding is something that a check found.
type Finding struct {
	Dir  string `json:"dir"`
	File string `json:"file,omitempty"`
	// Check names what was checked.
	Check   string `json:"check"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
}

// Path is the file, or the directory if it is about no file.
func (f Finding) Path() string { return path.Join(f.Dir, f.File) }

// Checks beyond those that are always made.
type Checks struct {
	// Pristine: nothing was changed or deleted.
	Pristine bool
	// Latest: an update would bring nothing.
	Latest bool
	// Build: go vet has nothing to say.
	Build bool
}

// Verify checks copies and gives their directories and what it found.
func (s *Session) Verify(ctx context.Context, dirs []string, want Checks) ([]string, []Finding, error) {
	copies, broken, err := s.Survey(dirs)
	if err != nil {
		return nil, nil, err
	}
	checked, found := []string{}, []Finding{}
	for _, b := range broken {
		checked = append(checked, b.Dir)
		found = append(found, Finding{Dir: b.Dir, Check: "manifest", Message: b.Err.Error(), Hint: hint(b.Err)})
	}
	for _, c := range copies {
		checked = append(checked, c.Dir)
		found = append(found, c.verify(ctx, want)...)
	}
	return checked, found, nil
}

func (c *Copy) verify(ctx context.Context, want Checks) []Finding {
	var found []Finding
	add := func(file, check, hint, format string, args ...any) {
		found = append(found, Finding{c.Dir, file, check, fmt.Sprintf(format, args...), hint})
	}
	if _, err := os.Lstat(filepath.Join(c.place.Mod.Root, txn.Stage)); err == nil {
		add("", "interrupted", "asyncapi-impl doctor --fix", "an interrupted run left %s in %s", txn.Stage, c.place.Mod.Root)
	}
	for _, f := range c.Files {
		if len(f.Markers) > 0 {
			add(f.Name, "markers", "asyncapi-impl update --abort "+c.Dir+" takes the update back",
				"conflict markers in line %s", join(f.Markers))
			continue
		}
		if f.local != nil && !f.link && strings.HasSuffix(f.Name, ".go") && f.State != Own {
			file, err := parser.ParseFile(token.NewFileSet(), f.Name, f.local, parser.PackageClauseOnly)
			if err != nil {
				add(f.Name, "package", "", "no package clause")
			} else if got := file.Name.Name; strings.TrimSuffix(got, "_test") != c.manifest.Package {
				add(f.Name, "package", "", "package %s, the manifest says %s", got, c.manifest.Package)
			}
		}
		if want.Pristine {
			c.pristine(f, add)
		}
	}
	for _, r := range c.manifest.Requires {
		have := c.place.Mod.Version(r.Path)
		if have == "" || semver.Compare(have, r.Min) < 0 {
			message := fmt.Sprintf("needs %s %s, go.mod has %s", r.Path, r.Min, have)
			if have == "" {
				message = fmt.Sprintf("needs %s %s, go.mod has none", r.Path, r.Min)
			}
			add("", "requires", "go get "+r.Path+"@"+r.Min, "%s", message)
		}
	}
	if want.Latest && c.Behind() {
		add("", "latest", "asyncapi-impl update "+c.Dir, "%s %s is older than %s", c.Driver, c.Version, c.Latest)
	}
	if want.Build {
		cmd := exec.CommandContext(ctx, "go", "vet", ".")
		cmd.Dir = filepath.Join(c.place.Mod.Root, filepath.FromSlash(c.place.Rel))
		if out, err := cmd.CombinedOutput(); err != nil {
			add("", "build", "go vet ./"+c.Dir, "does not build: %s", strings.TrimSpace(string(out)))
		}
	}
	return found
}

func (c *Copy) pristine(f File, add func(file, check, hint, format string, args ...any)) {
	entry, ours := c.manifest.Files[f.Name]
	switch {
	case !ours:
	case f.local == nil:
		add(f.Name, "pristine", "asyncapi-impl update --restore "+c.Dir, "deleted, but part of %s %s", c.Driver, c.Version)
	case f.link || manifest.Sum(f.local) != entry.SHA256:
		add(f.Name, "pristine", "asyncapi-impl diff "+c.Dir, "differs from %s %s", c.Driver, c.Version)
	}
}

// Doctor looks for what keeps the command from working here. With fix it
// undoes what an interrupted run left.
func (s *Session) Doctor(ctx context.Context, fix bool) ([]Diagnosis, error) {
	var all []Diagnosis
	add := func(level, hint, format string, args ...any) {
		all = append(all, Diagnosis{level, fmt.Sprintf(format, args...), hint})
	}
	cmd := exec.CommandContext(ctx, "go", "env", "GOVERSION")
	cmd.Dir = s.WorkingDir
	if out, err := cmd.Output(); err != nil {
		add(Warn, "https://go.dev/dl", "the go command does not run: %v", err)
	} else {
		add(OK, "", "%s", strings.TrimSpace(string(out)))
	}
	if _, err := exec.LookPath("git"); err != nil {
		add(Warn, "", "no git on PATH: update cannot merge, only take one side")
	} else {
		add(OK, "", "git")
	}
	copies, broken, err := s.Survey(nil)
	if err != nil {
		add(Fail, hint(err), "%s", err.Error())
		return all, nil
	}
	modules := map[string]*gomod.Module{}
	if m, err := gomod.Find(s.WorkingDir); err == nil {
		modules[m.Root] = m
	} else if len(copies) == 0 {
		add(Warn, hint(err), "%s", err.Error())
	}
	for _, c := range copies {
		modules[c.place.Mod.Root] = c.place.Mod
	}
	for _, root := range slices.Sorted(maps.Keys(modules)) {
		if err := checkModule(ctx, modules[root], fix, copies, add); err != nil {
			return nil, err
		}
	}
	for _, b := range broken {
		add(Fail, hint(b.Err), "%s", b.Err.Error())
	}
	for _, c := range copies {
		found := c.verify(ctx, Checks{})
		for _, f := range found {
			if f.Check != "interrupted" { // told with the module
				add(Fail, f.Hint, "%s: %s", f.Path(), f.Message)
			}
		}
		if ignored := c.ignored(ctx); ignored != "" {
			add(Warn, "", "%s is ignored by %s: it would not be committed", c.Dir, ignored)
		}
		if len(found) == 0 {
			add(OK, "", "%s: %s %s", c.Dir, c.Driver, c.Version)
		}
	}
	return all, nil
}

// Levels of a Diagnosis.
const (
	OK   = "ok"
	Warn = "warn"
	Fail = "fail"
)

// Diagnosis is one thing that Doctor looked at.
type Diagnosis struct {
	Level   string `json:"level"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
}

func checkModule(ctx context.Context, m *gomod.Module, fix bool, copies []*Copy, add func(level, hint, format string, args ...any)) error {
	add(OK, "", "module %s (%s)", m.Path, filepath.Join(m.Root, "go.mod"))
	if _, err := os.Lstat(filepath.Join(m.Root, txn.Stage)); err == nil {
		if !fix {
			add(Fail, "asyncapi-impl doctor --fix", "%s in %s was left by an interrupted run", txn.Stage, m.Root)
		} else {
			var notes []string
			err := plan.Write(ctx, m.Root, false, func(_ *os.Root, undone []string) ([]txn.Change, error) {
				notes = undone
				return nil, nil
			})
			if err != nil {
				return err
			}
			notes = append(notes, "removed "+txn.Stage)
			add(OK, "", "%s", strings.Join(notes, "; "))
		}
	}
	if !m.Vendor {
		return nil
	}
	list, err := os.ReadFile(filepath.Join(m.Root, "vendor", "modules.txt"))
	if err != nil {
		return err
	}
	for _, c := range copies {
		for _, r := range c.manifest.Requires {
			have := r.Path + " " + m.Version(r.Path)
			if c.place.Mod.Root == m.Root && !strings.Contains(string(list), "# "+have+"\n") {
				add(Warn, "go mod vendor", "vendor/modules.txt lacks %s", have)
			}
		}
	}
	return nil
}

// ignored gives the rule by which git ignores the copy, empty if none does.
func (c *Copy) ignored(ctx context.Context) string {
	cmd := exec.CommandContext(ctx, "git", "check-ignore", "-v", "--no-index", filepath.FromSlash(c.place.Rel)+"/doc.go")
	cmd.Dir = c.place.Mod.Root
	out, err := cmd.Output()
	if err != nil {
		return ""
	}
	rule, _, _ := strings.Cut(string(out), "\t")
	return rule
}

// hint gives an error's next step.
func hint(err error) string {
	var p *problem.Error
	if errors.As(err, &p) {
		return p.Hint
	}
	return ""
}

func join(lines []int) string {
	var words []string
	for _, l := range lines {
		words = append(words, strconv.Itoa(l))
	}
	return strings.Join(words, ", ")
}
