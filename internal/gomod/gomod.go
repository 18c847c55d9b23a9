// Package gomod finds the module that a directory belongs to and works out
// what its go.mod must say.
package gomod

import (
	"errors"
	"go/version"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
	"golang.org/x/mod/semver"

	"github.com/asyncapi-impl/asyncapi-impl/internal/problem"
)

// Module is a module on the disk.
type Module struct {
	// Root is its directory.
	Root string
	// Path is its module path.
	Path string
	// Go is its go line, without the word.
	Go string
	// Vendor says that the go command builds from vendor/.
	Vendor bool

	data     []byte
	requires map[string]string
}

// Version is the one that go.mod requires of a module, empty if it does not.
func (m *Module) Version(path string) string { return m.requires[path] }

// Find walks up from dir to the nearest go.mod.
func Find(dir string) (*Module, error) {
	for root := dir; ; root = filepath.Dir(root) {
		file := filepath.Join(root, "go.mod")
		data, err := os.ReadFile(file)
		if err == nil {
			return read(root, file, data)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, problem.New(problem.BadModule, "%s cannot be read: %v", file, cause(err)).Because(err)
		}
		if root == filepath.Dir(root) {
			return nil, problem.New(problem.NotAModule, "%s is not inside a Go module", dir).
				WithHint("go mod init example.com/app")
		}
	}
}

func read(root, file string, data []byte) (*Module, error) {
	f, err := modfile.Parse(file, data, nil)
	if err != nil {
		var list modfile.ErrorList
		if errors.As(err, &list) {
			err = &list[0]
		}
		return nil, problem.New(problem.BadModule, "%v", err).
			WithHint("mend that line of go.mod and try again").Because(err)
	}
	if f.Module == nil {
		return nil, problem.New(problem.BadModule, "%s has no module line", file).
			WithHint("go mod edit -module example.com/app")
	}
	m := &Module{Root: root, Path: f.Module.Mod.Path, Go: "1.16", data: data, requires: map[string]string{}}
	for _, r := range f.Require {
		m.requires[r.Mod.Path] = r.Mod.Version
	}
	if f.Go != nil {
		m.Go = f.Go.Version
	}
	_, err = os.Stat(filepath.Join(root, "vendor", "modules.txt"))
	m.Vendor = err == nil
	return m, nil
}

// Allows says whether the module's go line is at least the one given.
func (m *Module) Allows(goLine string) bool {
	return version.Compare("go"+m.Go, "go"+goLine) >= 0
}

// What becomes of a requirement.
const (
	Add   = "add"
	Raise = "raise"
	Keep  = "keep"
)

// Change is what becomes of one requirement.
type Change struct {
	Action string `json:"action"`
	Path   string `json:"path"`
	Want   string `json:"want"`
	Have   string `json:"have,omitempty"`
}

// Require works out the changes that give the module what is wanted, at least
// in the version wanted: no version is ever lowered. The new text is nil if
// go.mod stays as it is.
func (m *Module) Require(want []module.Version) ([]Change, []byte, error) {
	f, err := modfile.Parse(filepath.Join(m.Root, "go.mod"), m.data, nil)
	if err != nil {
		return nil, nil, err
	}
	var changes []Change
	changed := false
	for _, w := range want {
		c := Change{Action: Keep, Path: w.Path, Want: w.Version, Have: m.Version(w.Path)}
		if c.Have == "" || semver.Compare(c.Have, c.Want) < 0 {
			c.Action = Raise
			if c.Have == "" {
				c.Action = Add
			}
			if err := f.AddRequire(w.Path, w.Version); err != nil {
				return nil, nil, err
			}
			changed = true
		}
		changes = append(changes, c)
	}
	if !changed {
		return changes, nil, nil
	}
	f.Cleanup()
	text, err := f.Format()
	return changes, text, err
}

// cause is the error below the path, which the message names itself.
func cause(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}
