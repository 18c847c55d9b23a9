package plan

import (
	"errors"
	"os"
	"path"
	"path/filepath"
	"strings"

	"golang.org/x/mod/module"

	"github.com/asyncapi-impl/asyncapi-impl/internal/gomod"
	"github.com/asyncapi-impl/asyncapi-impl/internal/problem"
)

// Place is a directory for a package.
type Place struct {
	Mod *gomod.Module
	// Rel is the directory relative to the module's root, with slashes.
	Rel string
	// Shown is the directory as the user would write it.
	Shown string
}

// Import is the import path of a package there.
func (p Place) Import() string { return path.Join(p.Mod.Path, p.Rel) }

// Locate finds the module that dir belongs to, which is the nearest one above
// it, and checks that a package can stand there. It follows symbolic links as
// long as they stay inside.
func Locate(wd, dir string) (Place, error) {
	wd, err := filepath.EvalSymlinks(wd)
	if err != nil {
		return Place{}, problem.NewUsage(problem.BadTarget, "%v", err).Because(err)
	}
	given := dir
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(wd, dir)
	}

	// What is allowed: below the module of the working directory, or, where a
	// workspace has several, below the working directory.
	base, name := wd, wd
	if m, err := gomod.Find(wd); err == nil {
		base, name = m.Root, "module "+m.Path+" ("+m.Root+")"
	} else if !hasCode(err, problem.NotAModule) {
		return Place{}, err
	}
	if !inside(base, dir) {
		there, _ := nearest(dir)
		if rel, err := filepath.Rel(wd, there); err == nil {
			there = rel
		}
		return Place{}, problem.NewUsage(problem.OutsideRoot, "%s is outside %s", given, name).
			WithHint("-C %s", there)
	}

	real, err := resolve(dir)
	if err != nil {
		return Place{}, err
	}
	if !inside(base, real) {
		return Place{}, problem.New(problem.OutsideRoot, "%s leads to %s, which is outside %s", given, real, name).
			WithHint("the link may lead elsewhere in the module, or choose another directory with --to")
	}
	exists, _ := nearest(real)
	mod, err := gomod.Find(exists)
	if err != nil {
		return Place{}, err
	}
	rel, err := filepath.Rel(mod.Root, real)
	if err != nil {
		return Place{}, err
	}
	shown, err := filepath.Rel(wd, real)
	if err != nil {
		return Place{}, err
	}
	p := Place{mod, filepath.ToSlash(rel), filepath.ToSlash(shown)}
	return p, p.check()
}

// check refuses directories that the go command ignores, deletes or owns.
func (p Place) check() error {
	bad := func(format string, args ...any) *problem.Error {
		return problem.NewUsage(problem.BadTarget, format, args...).WithHint("for example ./internal/impl")
	}
	if p.Mod.Path == "std" || p.Mod.Path == "cmd" {
		return bad("%s is in Go's own source", p.Shown)
	}
	if cache := moduleCache(); cache != "" && inside(cache, p.Mod.Root) {
		return bad("%s is in the module cache", p.Shown)
	}
	if p.Rel == "." {
		return nil
	}
	for _, element := range strings.Split(p.Rel, "/") {
		switch {
		case element == "vendor":
			return bad("%s is inside vendor: go mod vendor deletes it", p.Shown)
		case element == "testdata":
			return bad("%s is inside testdata: the go command ignores it", p.Shown)
		case strings.HasPrefix(element, "_") || strings.HasPrefix(element, "."):
			return bad("%s is inside %s: the go command ignores it", p.Shown, element)
		}
	}
	if err := module.CheckImportPath("m/" + p.Rel); err != nil {
		return bad("%s cannot be imported: %v", p.Shown, errors.Unwrap(err)).Because(err)
	}
	return nil
}

// nearest splits a path into the part that exists and the rest.
func nearest(dir string) (exists, rest string) {
	for {
		if _, err := os.Lstat(dir); err == nil || dir == filepath.Dir(dir) {
			return dir, rest
		}
		rest = filepath.Join(filepath.Base(dir), rest)
		dir = filepath.Dir(dir)
	}
}

// resolve gives the path without symbolic links of a directory that need not
// exist.
func resolve(dir string) (string, error) {
	exists, rest := nearest(dir)
	real, err := filepath.EvalSymlinks(exists)
	if err != nil {
		return "", problem.New(problem.BadTarget, "%s is a symbolic link that leads nowhere", exists).Because(err)
	}
	info, err := os.Stat(real)
	if err != nil {
		return "", problem.New(problem.BadTarget, "%v", err).Because(err)
	}
	if !info.IsDir() {
		return "", problem.New(problem.BadTarget, "%s is a file, not a directory", exists).
			WithHint("choose another directory with --to or --as")
	}
	return filepath.Join(real, rest), nil
}

func inside(base, dir string) bool {
	rel, err := filepath.Rel(base, dir)
	return err == nil && filepath.IsLocal(rel)
}

// moduleCache is where the go command keeps modules, found without asking it.
func moduleCache() string {
	if dir := os.Getenv("GOMODCACHE"); dir != "" {
		return dir
	}
	gopath := filepath.SplitList(os.Getenv("GOPATH"))
	if len(gopath) > 0 && gopath[0] != "" {
		return filepath.Join(gopath[0], "pkg", "mod")
	}
	homeDir, err := os.UserHomeDir()
	if err != nil {
		return ""
	}
	return filepath.Join(homeDir, "go", "pkg", "mod")
}

func hasCode(err error, code string) bool {
	var p *problem.Error
	return errors.As(err, &p) && p.Code == code
}
