// Package eject turns the catalog's files into files of the user's package. It
// changes bytes at positions that go/parser found and leaves all others as
// they are. It does not touch the disk.
package eject

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// tests are the test files that can be ejected. The others start the embedded
// broker or ask it what happened, with what the user's module does not have.
var tests = []string{"conformance_test.go", "example_test.go"}

// From is a package in the catalog.
type From struct {
	FS fs.FS
	// Dir is the package's directory in FS; its last element is the name of
	// the package.
	Dir string
	// Module is the path of the catalog's module, and Path the import path
	// that FS has in it.
	Module, Path string
}

// To is the user's package.
type To struct {
	// Package is its name.
	Package string
	// Path is its import path.
	Path string
	// Imports maps directories of the catalog to the import paths under which
	// the user has them.
	Imports map[string]string
	// Tests says whether the conformance test and the examples come along.
	Tests bool
}

// File is one file of the user's package.
type File struct {
	Name string
	Data []byte
}

// Package gives the files of the user's package and the import paths that they
// need beyond its own and those of To.Imports, both sorted.
func Package(from From, to To) ([]File, []string, error) {
	entries, err := fs.ReadDir(from.FS, from.Dir)
	if err != nil {
		return nil, nil, err
	}
	var files []File
	var imports []string
	for _, e := range entries {
		name := e.Name()
		if e.IsDir() || strings.HasSuffix(name, "_test.go") && !(to.Tests && slices.Contains(tests, name)) {
			continue
		}
		src, err := fs.ReadFile(from.FS, path.Join(from.Dir, name))
		if err != nil {
			return nil, nil, err
		}
		data, needs, err := rewrite(name, src, from, to)
		if err != nil {
			return nil, nil, fmt.Errorf("%s/%s: %w", from.Dir, name, err)
		}
		files = append(files, File{name, data})
		imports = append(imports, needs...)
	}
	slices.Sort(imports)
	return files, slices.Compact(imports), nil
}

// edit replaces the bytes from one offset up to another.
type edit struct {
	from, to int
	text     string
}

func rewrite(name string, src []byte, from From, to To) ([]byte, []string, error) {
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, name, src, parser.ImportsOnly|parser.ParseComments)
	if err != nil {
		return nil, nil, err
	}
	offset := func(p token.Pos) int { return fset.PositionFor(p, false).Offset }

	old := path.Base(from.Dir)
	if f.Name.Name != old && f.Name.Name != old+"_test" {
		return nil, nil, fmt.Errorf("package %s, want %s", f.Name.Name, old)
	}
	clause := offset(f.Name.Pos())
	edits := []edit{{clause, clause + len(old), to.Package}}
	if at, ok := docName(f.Doc, old); ok {
		edits = append(edits, edit{offset(at), offset(at) + len(old), to.Package})
	}

	var imports []string
	for _, spec := range f.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return nil, nil, err
		}
		if p != from.Module && !strings.HasPrefix(p, from.Module+"/") {
			imports = append(imports, p)
			continue
		}
		dir := strings.TrimPrefix(p, from.Path+"/")
		target, ok := to.Imports[dir]
		self := dir == from.Dir
		if self {
			target, ok = to.Path, true
		}
		if !ok {
			return nil, nil, fmt.Errorf("imports %s, which is not ejected", p)
		}
		text := strconv.Quote(target)
		// The rest of the file says the catalog's name, so the import keeps it.
		if self && spec.Name == nil && to.Package != old {
			text = old + " " + text
		}
		edits = append(edits, edit{offset(spec.Path.Pos()), offset(spec.Path.End()), text})
	}
	return apply(src, edits), imports, nil
}

// docName finds the package's name in a comment that begins "Package name".
func docName(doc *ast.CommentGroup, name string) (token.Pos, bool) {
	if doc == nil {
		return 0, false
	}
	first := doc.List[0]
	const lead = "// Package "
	rest, ok := strings.CutPrefix(first.Text, lead+name)
	if !ok || rest != "" && !strings.ContainsAny(rest[:1], " ,.:;\t") {
		return 0, false
	}
	return first.Pos() + token.Pos(len(lead)), true
}

func apply(src []byte, edits []edit) []byte {
	slices.SortFunc(edits, func(a, b edit) int { return a.from - b.from })
	var out []byte
	last := 0
	for _, e := range edits {
		out = append(out, src[last:e.from]...)
		out = append(out, e.text...)
		last = e.to
	}
	return append(out, src[last:]...)
}
