package own

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"

	"golang.org/x/mod/module"
	"golang.org/x/mod/semver"

	"github.com/asyncapi-impl/asyncapi-impl/catalog"
	"github.com/asyncapi-impl/asyncapi-impl/internal/manifest"
	"github.com/asyncapi-impl/asyncapi-impl/internal/problem"
	"github.com/asyncapi-impl/asyncapi-impl/internal/txn"
)

// bases finds the texts that a copy's files were ejected with.
type bases struct {
	copy *Copy
	// online allows the module proxy to be asked; the module cache always is.
	online bool
	// fetched are the files of a version, rendered, by that version.
	fetched map[manifest.Source]map[string][]byte
	failed  map[manifest.Source]error
}

func (c *Copy) newBases(online bool) *bases {
	return &bases{c, online, map[manifest.Source]map[string][]byte{}, map[manifest.Source]error{}}
}

// find looks in what is there already, in this program, beside the files, in the
// user's git objects and last in the published module.
func (b *bases) find(ctx context.Context, f File) ([]byte, error) {
	if f.local != nil && !f.link && manifest.Sum(f.local) == f.entry.SHA256 {
		return manifest.LF(f.local), nil
	}
	from := b.copy.manifest.Catalog
	if f.entry.Base != nil {
		from = *f.entry.Base
	}
	// The version alone is enough where a version means one text: a package
	// that has moved imports itself by another path than when it was ejected.
	same := semver.IsValid(from.Version) && semver.Build(from.Version) == "" && from == b.copy.session.Source
	if f.next != nil && (same || manifest.Sum(f.next) == f.entry.SHA256) {
		return f.next, nil
	}
	if data := b.copy.bases[f.entry.Blob]; data != nil && manifest.Sum(data) == f.entry.SHA256 {
		return data, nil
	}
	if data, err := b.copy.gitBlob(ctx, f.entry); err == nil {
		return data, nil
	}
	files, err := b.fetch(ctx, from)
	if err != nil {
		return nil, b.none(f, from, err)
	}
	data, ok := files[f.Name]
	if !ok {
		return nil, b.none(f, from, errors.New("that version has no such file"))
	}
	return data, nil
}

func (b *bases) none(f File, from manifest.Source, err error) error {
	version := from.Version
	e := problem.New(problem.NoBase, "no base for %s of %s %s: not in git, and %v", b.copy.path(f.Name), b.copy.Driver, version, err)
	if !b.online && semver.IsValid(version) {
		return e.WithHint("go mod download %s@%s; against the catalog alone: --all", from.Module, version)
	}
	return e.WithHint("asyncapi-impl update --theirs takes the catalog's file and keeps yours in %s; --ours keeps yours",
		b.copy.path(manifest.Undo))
}

// readBases reads what earlier updates kept.
func (c *Copy) readBases(root *os.Root) error {
	dir := path.Join(c.place.Rel, manifest.Bases)
	entries, err := fs.ReadDir(root.FS(), dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	c.bases = map[string][]byte{}
	for _, e := range entries {
		if !e.Type().IsRegular() {
			continue
		}
		data, err := root.ReadFile(path.Join(dir, e.Name()))
		if err != nil {
			return err
		}
		c.bases[e.Name()] = manifest.LF(data)
	}
	return err
}

// keepBases keeps the texts that the edited files have as their base now, where
// no commit of the user's can have them, and drops those that neither this
// update nor taking it back needs.
func (u *Update) keepBases(c *Copy) {
	needed := map[string]bool{}
	for _, f := range c.manifest.Files {
		needed[f.Blob] = true
	}
	for _, f := range c.Files {
		entry, local := u.manifest.Files[f.Name], f.local
		if data, written := u.written[f.Name]; written {
			local = data
		}
		if local == nil || entry.Blob == "" || manifest.Sum(local) == entry.SHA256 {
			continue
		}
		needed[entry.Blob] = true
		moved := entry.SHA256 != f.entry.SHA256
		if moved && f.next != nil && c.bases[entry.Blob] == nil {
			u.changes = append(u.changes, txn.Change{Path: path.Join(c.place.Rel, manifest.Bases, entry.Blob), Data: f.next})
		}
	}
	for blob := range c.bases {
		if !needed[blob] {
			u.changes = append(u.changes, txn.Change{Path: path.Join(c.place.Rel, manifest.Bases, blob), Remove: true})
		}
	}
}

// gitBlob asks the user's repository for the text as it was ejected.
func (c *Copy) gitBlob(ctx context.Context, entry manifest.File) ([]byte, error) {
	if strings.Trim(entry.Blob, "0123456789abcdef") != "" || entry.Blob == "" {
		return nil, errors.New("no blob")
	}
	cmd := exec.CommandContext(ctx, "git", "cat-file", "blob", entry.Blob)
	cmd.Dir = c.place.Mod.Root
	cmd.Env = append(os.Environ(), "GIT_NO_LAZY_FETCH=1")
	data, err := cmd.Output()
	if err != nil {
		return nil, err
	}
	if manifest.Sum(data) != entry.SHA256 {
		return nil, errors.New("another text")
	}
	return data, nil
}

// fetch renders the copy from a published version of the catalog.
func (b *bases) fetch(ctx context.Context, from manifest.Source) (map[string][]byte, error) {
	if err := b.failed[from]; err != nil {
		return nil, err
	}
	if files := b.fetched[from]; files != nil {
		return files, nil
	}
	files, err := b.copy.published(ctx, from, b.online)
	b.fetched[from], b.failed[from] = files, err
	return files, err
}

func (c *Copy) published(ctx context.Context, from manifest.Source, online bool) (map[string][]byte, error) {
	old, _, err := published(ctx, from, online)
	if err != nil {
		return nil, err
	}
	if _, err := fs.Stat(old.FS, c.Driver); err != nil {
		return nil, fmt.Errorf("%s@%s has no %s", from.Module, from.Version, c.Driver)
	}
	rendered, _, err := c.session.render(old, c.manifest, c.place)
	files := map[string][]byte{}
	for _, f := range rendered {
		files[f.Name] = f.Data
	}
	return files, err
}

// published gives a published version of the catalog with its checksum, from the
// module cache or the module proxy. A sum that is known must be the module's.
func published(ctx context.Context, from manifest.Source, online bool) (*catalog.Catalog, string, error) {
	if !semver.IsValid(from.Version) || semver.Build(from.Version) != "" {
		return nil, "", fmt.Errorf("%s is no published version", from.Version)
	}
	if err := module.CheckPath(from.Module); err != nil {
		return nil, "", err
	}
	cmd := exec.CommandContext(ctx, "go", "mod", "download", "-json", from.Module+"@"+from.Version)
	cmd.Dir = os.TempDir() // no module's, so that nothing of the user's has a say
	cmd.Env = append(os.Environ(), "GO111MODULE=on", "GOWORK=off", "GOFLAGS=")
	if !online {
		cmd.Env = append(cmd.Env, "GOPROXY=off", "GONOSUMDB="+from.Module)
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	var got struct{ Dir, Sum, GoMod, Error string }
	if jsonErr := json.Unmarshal(out, &got); jsonErr != nil || got.Error != "" || err != nil {
		if ctx.Err() != nil {
			return nil, "", ctx.Err()
		}
		first, _, _ := strings.Cut(strings.TrimSpace(got.Error+stderr.String()), "\n")
		if first == "" && err != nil {
			first = err.Error()
		}
		return nil, "", fmt.Errorf("not to be had: %s", first)
	}
	if from.Sum != "" && got.Sum != from.Sum {
		return nil, "", fmt.Errorf("%s@%s has the checksum %s, the manifest says %s", from.Module, from.Version, got.Sum, from.Sum)
	}
	text, err := os.ReadFile(got.GoMod)
	if err != nil {
		return nil, "", err
	}
	c, err := catalog.New(os.DirFS(filepath.Join(got.Dir, "catalog")), text, nil)
	if err != nil {
		return nil, "", err
	}
	c.Module = from.Module
	return c, got.Sum, nil
}
