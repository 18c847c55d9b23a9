package own

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"golang.org/x/mod/module"
	modzip "golang.org/x/mod/zip"

	"github.com/asyncapi-impl/asyncapi-impl/catalog"
	"github.com/asyncapi-impl/asyncapi-impl/internal/manifest"
	"github.com/asyncapi-impl/asyncapi-impl/internal/plan"
	"github.com/asyncapi-impl/asyncapi-impl/internal/problem"
	"github.com/asyncapi-impl/asyncapi-impl/internal/txn"
)

const goMod = "module example.com/c\n\ngo 1.23\n"

// newCatalog makes a catalog of one driver with the files given.
func newCatalog(t *testing.T, files map[string]string) *catalog.Catalog {
	t.Helper()
	fsys := fstest.MapFS{"conformance/doc.go": {Data: []byte("package conformance\n")}}
	for name, text := range files {
		fsys["kafka/one/"+name] = &fstest.MapFile{Data: []byte(text)}
	}
	c, err := catalog.New(fsys, []byte(goMod), []catalog.Driver{{Protocol: "kafka", Library: "one", Go: "1.23", Default: true}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func session(c *catalog.Catalog, version, dir string) *Session {
	return &Session{Catalog: c, Source: manifest.Source{Module: c.Module, Version: version}, WorkingDir: dir}
}

// newModule is a user's module.
func newModule(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	put(t, dir, map[string]string{"go.mod": "module m\n\ngo 1.26\n"})
	return dir
}

func (s *Session) eject(t *testing.T) {
	t.Helper()
	_, err := plan.Eject(t.Context(), plan.Request{
		Catalog: s.Catalog, Source: s.Source, WorkingDir: s.WorkingDir, Names: []string{"kafka"},
		Deps: plan.DepsEdit, OnConflict: plan.Fail,
	})
	if err != nil {
		t.Fatal(err)
	}
}

func put(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() && e.Name() != ".git" {
			return err
		}
		if e.IsDir() {
			return fs.SkipDir
		}
		data, err := os.ReadFile(name)
		rel, _ := filepath.Rel(dir, name)
		files[filepath.ToSlash(rel)] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func git(t *testing.T, dir string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", append([]string{"-c", "user.name=a", "-c", "user.email=a@b"}, args...)...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
}

func code(err error) string {
	var p *problem.Error
	if errors.As(err, &p) {
		return p.Code
	}
	return fmt.Sprint(err)
}

var (
	v1 = map[string]string{
		"doc.go":   "// Package one talks.\npackage one\n",
		"a.go":     "package one\n\n// A\nvar a1 = 1\n\n// B\nvar b1 = 1\n\n// C\nvar c1 = 1\n",
		"gone.go":  "package one\n\nvar gone = 1\n",
		"gone2.go": "package one\n\nvar gone2 = 1\n",
		"keep.go":  "package one\n\nvar keep = 1\n",
		"del.go":   "package one\n\nvar del = 1\n",
		"conv.go":  "package one\n\nvar conv = 1\n",
	}
	v2 = map[string]string{
		"doc.go":  "// Package one talks better.\npackage one\n",
		"a.go":    "package one\n\n// A\nvar a1 = 1\n\n// B\nvar b1 = 1\n\n// C\nvar c1 = 2\n",
		"keep.go": "package one\n\nvar keep = 1\n",
		"del.go":  "package one\n\nvar del = 2\n",
		"conv.go": "package one\n\nvar conv = 2\n",
		"new.go":  "package one\n\nvar new1 = 1\n",
	}
	edits = map[string]string{
		"impl/kafka/a.go":     "package kafka\n\n// A\nvar a1 = 7\n\n// B\nvar b1 = 1\n\n// C\nvar c1 = 1\n",
		"impl/kafka/gone2.go": "package kafka\n\nvar gone2 = 7\n",
		"impl/kafka/keep.go":  "package kafka\n\nvar keep = 7\n",
		"impl/kafka/conv.go":  "package kafka\n\nvar conv = 2\n",
		"impl/kafka/mine.go":  "package kafka\n\nvar mine = 7\n",
	}
)

// edited is a module with v1, committed and then edited, in every state.
func edited(t *testing.T) string {
	t.Helper()
	dir := newModule(t)
	session(newCatalog(t, v1), "v1.0.0", dir).eject(t)
	git(t, dir, "init", "-q")
	git(t, dir, "add", ".")
	git(t, dir, "commit", "-qm", "eject")
	put(t, dir, edits)
	if err := os.Remove(filepath.Join(dir, "impl/kafka/del.go")); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestStates(t *testing.T) {
	dir := edited(t)
	put(t, dir, map[string]string{"impl/kafka/new.go": "package kafka\n\nvar new1 = 7\n"})
	copies, err := session(newCatalog(t, v2), "v1.1.0", dir).Find(nil)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, f := range copies[0].Files {
		got[f.Name] = f.State
	}
	want := map[string]string{
		"a.go": Diverged, "conv.go": Converged, "del.go": Deleted, "doc.go": Outdated, "gone.go": Dropped,
		"gone2.go": DroppedModified, "keep.go": Modified, "mine.go": Own, "new.go": InTheWay,
	}
	if !maps.Equal(got, want) {
		t.Errorf("got %v\nwant %v", got, want)
	}

	copies, err = session(newCatalog(t, v1), "v1.0.0", dir).Find(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range copies[0].Files {
		if f.Name == "doc.go" && f.State != Pristine {
			t.Errorf("doc.go is %s", f.State)
		}
	}
}

func TestUpdate(t *testing.T) {
	dir := edited(t)
	before := tree(t, dir)
	s := session(newCatalog(t, v2), "v1.1.0", dir)
	done, err := s.Update(t.Context(), nil, How{Deps: plan.DepsEdit})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, f := range done[0].Files {
		got[f.Name] = f.Action
	}
	want := map[string]string{
		"a.go": Merged, "del.go": Kept, "doc.go": Replaced, "gone.go": Removed, "gone2.go": Kept, "keep.go": Kept, "new.go": Added,
	}
	if !maps.Equal(got, want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
	after := tree(t, dir)
	merged := strings.Replace(edits["impl/kafka/a.go"], "c1 = 1", "c1 = 2", 1)
	for name, text := range map[string]string{
		"impl/kafka/a.go": merged, "impl/kafka/doc.go": "// Package kafka talks better.\npackage kafka\n",
		"impl/kafka/gone.go": "", "impl/kafka/del.go": "", "impl/kafka/mine.go": edits["impl/kafka/mine.go"],
		"impl/kafka/gone2.go": edits["impl/kafka/gone2.go"], "impl/kafka/keep.go": edits["impl/kafka/keep.go"],
		"impl/kafka/new.go": "package kafka\n\nvar new1 = 1\n",
	} {
		if after[name] != text {
			t.Errorf("%s: got %q, want %q", name, after[name], text)
		}
	}

	// Again there is nothing to do, not even for the undo copies.
	if _, err := s.Update(t.Context(), nil, How{Deps: plan.DepsEdit}); err != nil {
		t.Fatal(err)
	}
	if now := tree(t, dir); !maps.Equal(now, after) {
		t.Errorf("the second update changed something:\n%v\n%v", now, after)
	}

	// Abort gives back all that was there, and a second one takes it back.
	for _, want := range []map[string]string{before, after} {
		if _, err := s.Abort(t.Context(), nil, false); err != nil {
			t.Fatal(err)
		}
		if got := visible(tree(t, dir)); !maps.Equal(got, visible(want)) {
			t.Errorf("after abort: got %v\nwant %v", got, want)
		}
	}
}

// visible leaves out what updates keep for themselves.
func visible(files map[string]string) map[string]string {
	files = maps.Clone(files)
	maps.DeleteFunc(files, func(name, _ string) bool {
		return strings.Contains(name, manifest.Undo) || strings.Contains(name, manifest.Bases)
	})
	return files
}

func TestConflict(t *testing.T) {
	conflicting := strings.Replace(edits["impl/kafka/a.go"], "c1 = 1", "c1 = 7", 1)
	for favour, want := range map[string]string{
		Ask:    "<<<<<<< yours\nvar c1 = 7\n||||||| v1.0.0\nvar c1 = 1\n=======\nvar c1 = 2\n>>>>>>> v1.1.0\n",
		Ours:   "// C\nvar c1 = 7\n",
		Theirs: "// C\nvar c1 = 2\n",
	} {
		t.Run("favour "+favour, func(t *testing.T) {
			dir := edited(t)
			put(t, dir, map[string]string{"impl/kafka/a.go": conflicting})
			s := session(newCatalog(t, v2), "v1.1.0", dir)
			done, err := s.Update(t.Context(), nil, How{Favour: favour, Deps: plan.DepsEdit})
			if err != nil {
				t.Fatal(err)
			}
			files := tree(t, dir)
			if got := files["impl/kafka/a.go"]; !strings.HasSuffix(got, want) || !strings.Contains(got, "a1 = 7") {
				t.Errorf("got %q", got)
			}
			if files["impl/kafka/"+manifest.Undo+"/a.go"] != conflicting {
				t.Error("the original was not kept")
			}
			if (done[0].Conflicts() == 1) != (favour == Ask) {
				t.Errorf("%d conflicts", done[0].Conflicts())
			}
			_, err = s.Update(t.Context(), nil, How{Deps: plan.DepsEdit})
			if favour == Ask && code(err) != problem.Conflict || favour != Ask && err != nil {
				t.Errorf("the next update: %v", err)
			}
		})
	}
}

// TestNotGo: a merge that is clean but no Go leaves the file as it was, and the
// next update has the right base.
func TestNotGo(t *testing.T) {
	dir := edited(t)
	mine := "package kafka\n\n// A\nvar a1 = 7\n\n// B\nvar b1 = 1 +\n\n// C\nvar c1 = 1\n"
	put(t, dir, map[string]string{"impl/kafka/a.go": strings.Replace(mine, "// C\nvar c1 = 1\n", "/*\n// C\nvar c1 = 1\n", 1)})
	was := tree(t, dir)["impl/kafka/a.go"]
	s := session(newCatalog(t, v2), "v1.1.0", dir)
	done, err := s.Update(t.Context(), nil, How{Deps: plan.DepsEdit})
	if err != nil || done[0].Conflicts() != 1 {
		t.Fatalf("%+v, %v", done, err)
	}
	if got := tree(t, dir)["impl/kafka/a.go"]; got != was {
		t.Errorf("the file was changed: %q", got)
	}
	put(t, dir, map[string]string{"impl/kafka/a.go": edits["impl/kafka/a.go"]})
	done, err = s.Update(t.Context(), nil, How{Deps: plan.DepsEdit})
	if err != nil || done[0].Conflicts() != 0 {
		t.Fatalf("%+v, %v", done, err)
	}
	if got := tree(t, dir)["impl/kafka/a.go"]; !strings.Contains(got, "a1 = 7") || !strings.Contains(got, "c1 = 2") {
		t.Errorf("got %q", got)
	}
}

var rounds = flag.Int("rounds", 60, "rounds of TestProperty")

// TestProperty: whatever was edited and whatever the catalog changed, every
// line of the user's is in the result, in its conflicts or in the undo copies;
// what the user has not touched is as the catalog has it; and a result without
// conflicts can be read as Go.
func TestProperty(t *testing.T) {
	t.Setenv("GOPROXY", "off")
	rounds := *rounds
	if testing.Short() {
		rounds = min(rounds, 10)
	}
	for seed := range rounds {
		r := rand.New(rand.NewPCG(uint64(seed), 7))
		old := map[string]string{"doc.go": "// Package one talks.\npackage one\n"}
		for i := range 4 {
			old[fmt.Sprintf("f%d.go", i)] = source(r, "base", i)
		}
		next := map[string]string{"doc.go": old["doc.go"]}
		for name, text := range old {
			if name != "doc.go" && r.IntN(8) > 0 {
				next[name] = mutate(r, text, "upstream")
			}
		}
		if r.IntN(2) == 0 {
			next["added.go"] = source(r, "added", 9)
		}

		dir := newModule(t)
		session(newCatalog(t, old), "v1.0.0", dir).eject(t)
		git(t, dir, "init", "-q")
		git(t, dir, "add", ".")
		mine := map[string]string{}
		for name := range old {
			file := filepath.Join(dir, "impl/kafka", name)
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			switch text := string(data); r.IntN(4) {
			case 0:
				if err := os.Remove(file); err != nil {
					t.Fatal(err)
				}
			case 1:
				mine[name] = text
			default:
				mine[name] = mutate(r, text, "user")
			}
		}
		mine["own.go"] = "package kafka\n\nvar own = 1\n"
		if r.IntN(3) == 0 {
			for name, text := range mine {
				mine[name] = strings.ReplaceAll(text, "\n", "\r\n")
			}
		}
		for name, text := range mine {
			put(t, dir, map[string]string{"impl/kafka/" + name: text})
		}
		how := How{Favour: []string{Ask, Ask, Ours, Theirs}[r.IntN(4)], Deps: plan.DepsEdit}
		s := session(newCatalog(t, next), "v1.1.0", dir)
		done, err := s.Update(t.Context(), nil, how)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}

		after := tree(t, dir)
		for name, text := range mine {
			got := after["impl/kafka/"+name]
			all := got + after["impl/kafka/"+manifest.Undo+"/"+name]
			for line := range strings.Lines(text) {
				if !strings.Contains(all, strings.TrimRight(line, "\r\n")) {
					t.Errorf("seed %d: %s lost %q", seed, name, line)
				}
			}
			if how.Favour != Theirs {
				for line := range strings.Lines(text) {
					if strings.Contains(line, "user") && !strings.Contains(got, strings.TrimRight(line, "\r\n")) {
						t.Errorf("seed %d: %s has no %q, which the user wrote", seed, name, line)
					}
				}
			}
			if strings.Contains(text, "\r\n") && strings.Count(got, "\n") != strings.Count(got, "\r\n") {
				t.Errorf("seed %d: %s has lost its line endings", seed, name)
			}
			merged := slices.ContainsFunc(done[0].Files, func(f FileUpdate) bool { return f.Name == name && f.Action == Merged })
			if merged && !parses(name, []byte(got)) {
				t.Errorf("seed %d: %s is no Go:\n%s", seed, name, got)
			}
			base := strings.ReplaceAll(old[name], "one", "kafka")
			want := strings.ReplaceAll(next[name], "one", "kafka")
			if string(manifest.LF([]byte(text))) == base && string(manifest.LF([]byte(got))) != want {
				t.Errorf("seed %d: %s was not taken over", seed, name)
			}
		}
		for name := range old {
			if _, kept := mine[name]; !kept && after["impl/kafka/"+name] != "" {
				t.Errorf("seed %d: %s was deleted and is back", seed, name)
			}
		}
		if _, err := s.Abort(t.Context(), []string{"impl/kafka"}, false); done[0].Undo != "" && err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		for name, text := range mine {
			if got := tree(t, dir)["impl/kafka/"+name]; got != text {
				t.Errorf("seed %d: %s is not as it was before the update", seed, name)
			}
		}

		// The update after the next one has the next one's texts as its base.
		if how.Favour != Ask || done[0].Conflicts() > 0 {
			continue
		}
		third := maps.Clone(next)
		for name, text := range third {
			if name != "doc.go" {
				third[name] = mutate(r, text, "third")
			}
		}
		for _, step := range []struct {
			version string
			files   map[string]string
		}{{"v1.1.0", next}, {"v1.2.0", third}} {
			if _, err := session(newCatalog(t, step.files), step.version, dir).Update(t.Context(), nil, how); err != nil {
				t.Fatalf("seed %d: %s: %v", seed, step.version, err)
			}
		}
		last := tree(t, dir)
		for name, text := range mine {
			for line := range strings.Lines(text) {
				if strings.Contains(line, "user") && !strings.Contains(last["impl/kafka/"+name], strings.TrimRight(line, "\r\n")) {
					t.Errorf("seed %d: after two updates %s has no %q, which the user wrote", seed, name, line)
				}
			}
		}
	}
}

func source(r *rand.Rand, who string, file int) string {
	var b strings.Builder
	b.WriteString("package one\n")
	for i := range 5 + r.IntN(20) {
		fmt.Fprintf(&b, "\n// %s %d.\nvar v%d_%d = %d\n", who, i, file, i, r.IntN(3))
	}
	return b.String()
}

// mutate inserts, replaces and deletes lines after the first.
func mutate(r *rand.Rand, text, who string) string {
	lines := strings.SplitAfter(strings.TrimSuffix(text, "\n"), "\n")
	for range r.IntN(5) {
		at := 1 + r.IntN(len(lines)-1)
		line := fmt.Sprintf("// %s %d\n", who, r.IntN(1000))
		switch r.IntN(3) {
		case 0:
			lines = slices.Insert(lines, at, line)
		case 1:
			lines[at] = line
		case 2:
			if len(lines) > 3 {
				lines = slices.Delete(lines, at, at+1)
			}
		}
	}
	return strings.TrimSuffix(strings.Join(lines, ""), "\n") + "\n"
}

// TestPublishedBase: without git objects the base comes from the module proxy,
// and its checksum must be the manifest's.
func TestPublishedBase(t *testing.T) {
	proxy := t.TempDir()
	src := t.TempDir()
	put(t, src, map[string]string{"go.mod": goMod})
	for name, text := range v1 {
		put(t, src, map[string]string{"catalog/kafka/one/" + name: text})
	}
	mod := module.Version{Path: "example.com/c", Version: "v1.0.0"}
	var zip bytes.Buffer
	if err := modzip.CreateFromDir(&zip, mod, src); err != nil {
		t.Fatal(err)
	}
	put(t, proxy, map[string]string{
		"example.com/c/@v/v1.0.0.zip":  zip.String(),
		"example.com/c/@v/v1.0.0.mod":  goMod,
		"example.com/c/@v/v1.0.0.info": `{"Version": "v1.0.0"}`,
	})
	t.Setenv("GOPROXY", "file://"+filepath.ToSlash(proxy))
	t.Setenv("GONOSUMDB", "example.com/c")
	t.Setenv("GONOPROXY", "none")
	t.Setenv("GOMODCACHE", t.TempDir())
	t.Setenv("GOFLAGS", "-modcacherw")

	setup := func(sum string) (*Session, string) {
		dir := edited(t)
		if err := os.RemoveAll(filepath.Join(dir, ".git")); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(dir, "impl/kafka", manifest.Name)
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		m, err := manifest.Decode(text)
		if err != nil {
			t.Fatal(err)
		}
		m.Catalog.Sum = sum
		if text, err = m.Encode(); err != nil {
			t.Fatal(err)
		}
		put(t, dir, map[string]string{"impl/kafka/" + manifest.Name: string(text)})
		return session(newCatalog(t, v2), "v1.1.0", dir), dir
	}

	s, dir := setup("h1:wrong")
	before := tree(t, dir)
	if _, err := s.Update(t.Context(), nil, How{Deps: plan.DepsEdit}); code(err) != problem.NoBase || !strings.Contains(err.Error(), "checksum") {
		t.Errorf("with the wrong checksum: %v", err)
	}
	if !maps.Equal(tree(t, dir), before) {
		t.Error("something was written")
	}

	s, dir = setup("")
	copies, err := s.Find(nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := copies[0].Diff(t.Context(), Local, true); err != nil {
		t.Errorf("the module cache must be enough: %v", err)
	}
	if _, err := s.Update(t.Context(), nil, How{Deps: plan.DepsEdit}); err != nil {
		t.Fatal(err)
	}
	if got := tree(t, dir)["impl/kafka/a.go"]; !strings.Contains(got, "a1 = 7") || !strings.Contains(got, "c1 = 2") {
		t.Errorf("got %q", got)
	}
	a, err := session(newCatalog(t, v2), "v1.1.0", strip(t, dir)).Adopt(t.Context(), "impl/kafka", "kafka/one@v1.0.0")
	if err != nil || a.Version != "v1.0.0" || a.Same+a.Different != 5 || a.Missing != 2 {
		t.Errorf("adopt: %+v, %v", a, err)
	}

	// Without git there is a base, but no merge.
	s, dir = setup("")
	before = tree(t, dir)
	bin := t.TempDir()
	golang, err := exec.LookPath("go")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(golang, filepath.Join(bin, "go")); err != nil {
		t.Fatal(err)
	}
	path := os.Getenv("PATH")
	t.Setenv("PATH", bin)
	if _, err := s.Update(t.Context(), nil, How{Deps: plan.DepsEdit}); code(err) != problem.NoGit {
		t.Errorf("without git: %v", err)
	}
	if !maps.Equal(tree(t, dir), before) {
		t.Error("something was written")
	}
	if _, err := s.Update(t.Context(), nil, How{Favour: Ours, Deps: plan.DepsEdit}); err != nil {
		t.Errorf("--ours without git: %v", err)
	}
	if got := tree(t, dir)["impl/kafka/a.go"]; got != edits["impl/kafka/a.go"] {
		t.Errorf("got %q", got)
	}
	t.Setenv("PATH", path)

	t.Setenv("GOPROXY", "off")
	t.Setenv("GOMODCACHE", t.TempDir())
	s, dir = setup("")
	before = tree(t, dir)
	_, err = s.Update(t.Context(), nil, How{Deps: plan.DepsEdit})
	if code(err) != problem.NoBase {
		t.Errorf("without a base: %v", err)
	}
	if !maps.Equal(tree(t, dir), before) {
		t.Error("something was written")
	}
	if _, err := s.Update(t.Context(), nil, How{Favour: Theirs, Deps: plan.DepsEdit}); err != nil {
		t.Errorf("--theirs without a base: %v", err)
	}
	if got := tree(t, dir)["impl/kafka/"+manifest.Undo+"/a.go"]; got != edits["impl/kafka/a.go"] {
		t.Errorf("the original was not kept: %q", got)
	}
}

// strip takes the manifest away.
func strip(t *testing.T, dir string) string {
	t.Helper()
	if err := os.Remove(filepath.Join(dir, "impl/kafka", manifest.Name)); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestMoved: a package that went elsewhere in the module is still known.
func TestMoved(t *testing.T) {
	dir := edited(t)
	if err := os.Rename(filepath.Join(dir, "impl"), filepath.Join(dir, "internal")); err != nil {
		t.Fatal(err)
	}
	s := session(newCatalog(t, v2), "v1.1.0", dir)
	done, err := s.Update(t.Context(), nil, How{Deps: plan.DepsEdit})
	if err != nil || done[0].Dir != "internal/kafka" || done[0].Conflicts() != 0 {
		t.Errorf("%+v, %v", done, err)
	}
}

const killEnv = "OWN_KILL_AT"

// TestKilled kills an update at every step of the write: what is found then is
// the old tree or the new one.
func TestKilled(t *testing.T) {
	if spec := os.Getenv(killEnv); spec != "" {
		step, dir, _ := strings.Cut(spec, ":")
		n, err := strconv.Atoi(step)
		if err != nil {
			t.Fatal(err)
		}
		i := 0
		txn.Between = func(string) {
			if i == n {
				p, _ := os.FindProcess(os.Getpid())
				_ = p.Kill()
				select {}
			}
			i++
		}
		if _, err := session(newCatalog(t, v2), "v1.1.0", dir).Update(t.Context(), nil, How{Deps: plan.DepsEdit}); err != nil {
			t.Fatal(err)
		}
		return
	}
	old, updated := 0, 0
	for n := 0; ; n++ {
		dir := edited(t)
		before := tree(t, dir)
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKilled$")
		cmd.Env = append(os.Environ(), killEnv+"="+strconv.Itoa(n)+":"+dir)
		out, err := cmd.CombinedOutput()
		var exit *exec.ExitError
		killed := errors.As(err, &exit) && exit.ExitCode() == -1
		if err != nil && !killed {
			t.Fatalf("step %d: %v\n%s", n, err, out)
		}
		s := session(newCatalog(t, v2), "v1.1.0", dir)
		if _, err := s.Doctor(t.Context(), true); err != nil {
			t.Fatal(err)
		}
		after := tree(t, dir)
		if maps.Equal(after, before) {
			old++
		} else {
			updated++
			if _, err := s.Abort(t.Context(), nil, false); err != nil {
				t.Fatal(err)
			}
			if got := visible(tree(t, dir)); !maps.Equal(got, before) {
				t.Errorf("step %d: got %v\nwant %v", n, got, before)
			}
		}
		if !killed {
			break
		}
	}
	if old == 0 || updated == 0 {
		t.Errorf("%d runs left the old tree and %d the new one", old, updated)
	}
	t.Logf("%d steps", old+updated-1)
}

// TestAtOnce: of several updates at once the first does it and the others find
// nothing to do.
func TestAtOnce(t *testing.T) {
	dir, alone := edited(t), edited(t)
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			if _, err := session(newCatalog(t, v2), "v1.1.0", dir).Update(t.Context(), nil, How{Deps: plan.DepsEdit}); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if _, err := session(newCatalog(t, v2), "v1.1.0", alone).Update(t.Context(), nil, How{Deps: plan.DepsEdit}); err != nil {
		t.Fatal(err)
	}
	if got, want := tree(t, dir), tree(t, alone); !maps.Equal(got, want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
}

func TestRefused(t *testing.T) {
	for name, c := range map[string]struct {
		code    string
		version string
		change  map[string]string
	}{
		"in the way": {problem.Exists, "v1.1.0", map[string]string{"impl/kafka/new.go": "package kafka // mine\n"}},
		"markers":    {problem.Conflict, "v1.1.0", map[string]string{"impl/kafka/a.go": "<<<<<<< HEAD\n=======\n>>>>>>> b\n"}},
		"old go":     {problem.BadModule, "v1.1.0", map[string]string{"go.mod": "module m\n\ngo 1.20\n"}},
		"newer copy": {problem.BadManifest, "v0.9.0", nil},
	} {
		t.Run(name, func(t *testing.T) {
			dir := edited(t)
			put(t, dir, c.change)
			before := tree(t, dir)
			_, err := session(newCatalog(t, v2), c.version, dir).Update(t.Context(), nil, How{Deps: plan.DepsEdit})
			var p *problem.Error
			if !errors.As(err, &p) || p.Code != c.code || p.Hint == "" {
				t.Errorf("got %+v", err)
			}
			if !maps.Equal(tree(t, dir), before) {
				t.Error("something was written")
			}
		})
	}
}

// TestForgedNames: what a manifest or an undo record names elsewhere is not
// touched.
func TestForgedNames(t *testing.T) {
	dir := edited(t)
	record := filepath.Join(dir, "impl/kafka", manifest.Name)
	text, err := os.ReadFile(record)
	if err != nil {
		t.Fatal(err)
	}
	s := session(newCatalog(t, v2), "v1.1.0", dir)
	put(t, dir, map[string]string{"impl/kafka/" + manifest.Undo + "/" + manifest.UndoName: `{"schema": 1, "files": {"../../go.mod": false}}`})
	if _, err := s.Abort(t.Context(), nil, false); code(err) != problem.NoUndo {
		t.Errorf("a forged undo record: %v", err)
	}
	put(t, dir, map[string]string{"impl/kafka/" + manifest.Name: strings.Replace(string(text), `"a.go"`, `"../../go.mod"`, 1)})
	if _, err := s.Remove(t.Context(), nil, Force, false); code(err) != problem.BadManifest {
		t.Errorf("a forged manifest: %v", err)
	}
	if tree(t, dir)["go.mod"] == "" {
		t.Error("go.mod is gone")
	}
}
