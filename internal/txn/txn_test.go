package txn

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

var (
	before = map[string]string{
		"go.mod":         "module m\n",
		"impl/a/a.go":    "old a",
		"impl/a/gone.go": "old gone",
	}
	after = map[string]string{
		"go.mod":           "module m // new\n",
		"impl/a/a.go":      "new a",
		"impl/a/b.go":      "new b",
		"impl/deep/c/c.go": "new c",
		"impl/deep/c/d.go": "new d",
	}
	changes = []Change{
		{Path: "impl/deep/c", Files: map[string][]byte{"c.go": []byte("new c"), "d.go": []byte("new d")}},
		{Path: "impl/a/a.go", Data: []byte("new a")},
		{Path: "impl/a/b.go", Data: []byte("new b")},
		{Path: "impl/a/gone.go", Remove: true},
		{Path: "go.mod", Data: []byte("module m // new\n")},
	}
)

func TestApply(t *testing.T) {
	dir, root := tree(t)
	if err := os.Chmod(filepath.Join(dir, "impl/a/a.go"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Apply(t.Context(), root, changes); err != nil {
		t.Fatal(err)
	}
	equal(t, dir, after)
	info, err := os.Stat(filepath.Join(dir, "impl/a/a.go"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("a replaced file must keep its mode: %v, %v", info.Mode(), err)
	}
}

// TestInterrupted ends the context at every step.
func TestInterrupted(t *testing.T) {
	for n := range steps(t) {
		dir, root := tree(t)
		ctx, cancel := context.WithCancel(t.Context())
		i, at := 0, ""
		stopAt(t, func(step string) {
			if i == n {
				at = step
				cancel()
			}
			i++
		})
		err := Apply(ctx, root, changes)
		if at == "committed" {
			if err != nil {
				t.Errorf("%s: %v", at, err)
			}
			equal(t, dir, after)
			continue
		}
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: got %v, want the context's error", at, err)
		}
		equal(t, dir, before)
		if _, err := os.Lstat(filepath.Join(dir, Stage)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: the stage is left behind", at)
		}
	}
}

const killEnv = "TXN_KILL_AT"

// TestKilled kills a process at every step; the next one must find the old
// tree or the new one. It kills the recovery at every step, too.
func TestKilled(t *testing.T) {
	if spec := os.Getenv(killEnv); spec != "" {
		killed(t, spec)
		return
	}
	total := steps(t)
	for n := range total {
		dir, root := tree(t)
		kill(t, dir, "apply", n)
		want := before
		if n == total-1 {
			want = after
		}
		for again := 0; kill(t, dir, "recover", again); again++ {
			if again > total {
				t.Fatal("the recovery does not end")
			}
		}
		if _, err := Recover(root); err != nil {
			t.Fatal(err)
		}
		equal(t, dir, want)
	}
}

// kill runs a process that dies at a step, and says whether it came so far.
func kill(t *testing.T, dir, what string, step int) bool {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKilled$")
	cmd.Env = append(os.Environ(), killEnv+"="+what+":"+strconv.Itoa(step)+":"+dir)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == -1 {
		return true
	}
	if err != nil {
		t.Fatalf("%s at step %d: %v\n%s", what, step, err, out)
	}
	return false
}

func killed(t *testing.T, spec string) {
	what, rest, _ := strings.Cut(spec, ":")
	step, dir, _ := strings.Cut(rest, ":")
	n, err := strconv.Atoi(step)
	if err != nil {
		t.Fatal(err)
	}
	i := 0
	stopAt(t, func(string) {
		if i == n {
			p, _ := os.FindProcess(os.Getpid())
			_ = p.Kill()
			select {}
		}
		i++
	})
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	if what == "recover" {
		_, err = Recover(root)
	} else {
		err = Apply(t.Context(), root, changes)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestRecoverKeepsLaterWork: what somebody did after the crash is not undone.
func TestRecoverKeepsLaterWork(t *testing.T) {
	dir, root := tree(t)
	total := steps(t)
	i := 0
	stopAt(t, func(string) {
		if i++; i == total-1 {
			panic("stop")
		}
	})
	func() {
		defer func() { _ = recover() }()
		_ = Apply(t.Context(), root, changes)
	}()
	put(t, dir, map[string]string{"impl/deep/c/c.go": "mine", "impl/a/a.go": "mine", "impl/a/b.go": "mine"})
	paths, err := Recover(root)
	if err != nil || len(paths) != len(changes) {
		t.Fatalf("got %v, %v", paths, err)
	}
	want := maps.Clone(before)
	want["impl/a/a.go"], want["impl/a/b.go"], want["impl/deep/c/c.go"] = "mine", "mine", "mine"
	got := read(t, dir)
	delete(got, "impl/deep/c/d.go") // beside somebody's work it may stay
	if !maps.Equal(got, want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
}

func TestFailureUndoesAll(t *testing.T) {
	dir, root := tree(t)
	put(t, dir, map[string]string{"impl/file": "in the way"})
	want := read(t, dir)
	bad := append(changes[:len(changes):len(changes)], Change{Path: "impl/file/x.go", Data: []byte("x")})
	if err := Apply(t.Context(), root, bad); err == nil {
		t.Error("a file in place of a directory must be an error")
	}
	equal(t, dir, want)
}

func TestLeavesTheRoot(t *testing.T) {
	dir, root := tree(t)
	if err := os.Symlink(t.TempDir(), filepath.Join(dir, "out")); err != nil {
		t.Fatal(err)
	}
	if err := Apply(t.Context(), root, []Change{{Path: "out/x.go", Data: []byte("x")}}); err == nil {
		t.Error("a link out of the root must not be followed")
	}
}

func TestLock(t *testing.T) {
	dir := t.TempDir()
	unlock, err := Lock(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*lockPoll)
	defer cancel()
	if _, err := Lock(ctx, dir); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the second lock must wait: got %v", err)
	}
	unlock()
	unlock, err = Lock(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	unlock()
}

// steps counts the places at which a run can be stopped.
func steps(t *testing.T) int {
	t.Helper()
	_, root := tree(t)
	n := 0
	stopAt(t, func(string) { n++ })
	if err := Apply(t.Context(), root, changes); err != nil {
		t.Fatal(err)
	}
	return n
}

func stopAt(t *testing.T, f func(string)) {
	Between = f
	t.Cleanup(func() { Between = func(string) {} })
}

func tree(t *testing.T) (string, *os.Root) {
	t.Helper()
	dir := t.TempDir()
	put(t, dir, before)
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = root.Close() })
	return dir, root
}

func put(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, data := range files {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func read(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
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

func equal(t *testing.T, dir string, want map[string]string) {
	t.Helper()
	if got := read(t, dir); !maps.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}
