package own

import (
	"context"
	"strings"

	"github.com/rogpeppe/go-internal/diff"

	"github.com/asyncapi-impl/asyncapi-impl/internal/manifest"
)

// What a diff compares.
const (
	Local    = "local"    // the user's files with the ejected ones
	Upstream = "upstream" // the ejected files with the catalog's
	All      = "all"      // the catalog's files with the user's
)

// Diff is what differs in a copy.
type Diff struct {
	Dir     string     `json:"dir"`
	Driver  string     `json:"driver"`
	Version string     `json:"version"`
	Files   []FileDiff `json:"files"`
}

// FileDiff is what differs in a file. Its status is M, A or D as git has them,
// or ? for a file of the user's own.
type FileDiff struct {
	Name    string `json:"name"`
	Status  string `json:"status"`
	Added   int    `json:"added"`
	Removed int    `json:"removed"`
	// Text is a unified diff that git apply takes.
	Text string `json:"diff,omitempty"`
}

// Changed says whether anything but files of the user's own is in it.
func (d *Diff) Changed() bool {
	for _, f := range d.Files {
		if f.Status != "?" {
			return true
		}
	}
	return false
}

// Diff compares. It asks no network; without texts it needs no base.
func (c *Copy) Diff(ctx context.Context, what string, texts bool) (*Diff, error) {
	d := &Diff{Dir: c.Dir, Driver: c.Driver, Version: c.Version, Files: []FileDiff{}}
	bases := c.newBases(false)
	for _, f := range c.Files {
		if f.State == Own {
			if what != Upstream {
				d.Files = append(d.Files, FileDiff{Name: f.Name, Status: "?"})
			}
			continue
		}
		status := f.status(what, c.Gone)
		if status == "" {
			continue
		}
		fd := FileDiff{Name: f.Name, Status: status}
		if texts {
			from, to, err := c.sides(ctx, bases, f, what)
			if err != nil {
				return nil, err
			}
			fd.compare(c.path(f.Name), from, to)
		}
		d.Files = append(d.Files, fd)
	}
	return d, nil
}

// status says from the hashes alone how two versions of a file differ, empty if
// they do not.
func (f File) status(what string, gone bool) string {
	local, base, next := "", f.entry.SHA256, ""
	if f.local != nil {
		local = manifest.Sum(f.local)
		if f.link {
			local = "link"
		}
	}
	if f.next != nil {
		next = manifest.Sum(f.next)
	} else if gone {
		next = base
	}
	from, to := base, local
	switch what {
	case Upstream:
		to = next
	case All:
		from = next
	}
	switch {
	case from == to:
		return ""
	case from == "":
		return "A"
	case to == "":
		return "D"
	}
	return "M"
}

// sides gives the two texts, nil for a file that is not there.
func (c *Copy) sides(ctx context.Context, bases *bases, f File, what string) (from, to []byte, err error) {
	base := func() ([]byte, error) {
		if f.entry.SHA256 == "" {
			return nil, nil
		}
		return bases.find(ctx, f)
	}
	local := f.local
	if f.link {
		local = []byte("symbolic link to " + string(f.local) + "\n")
	}
	local = manifest.LF(local)
	switch what {
	case Upstream:
		from, err = base()
		return from, f.next, err
	case All:
		return f.next, local, nil
	}
	from, err = base()
	return from, local, err
}

func (fd *FileDiff) compare(name string, from, to []byte) {
	old, new := "a/"+name, "b/"+name
	switch fd.Status {
	case "A":
		old = "/dev/null"
	case "D":
		new = "/dev/null"
	}
	_, text, _ := strings.Cut(string(diff.Diff(old, from, new, to)), "\n")
	header := "diff --git a/" + name + " b/" + name + "\n"
	switch fd.Status {
	case "A":
		header += "new file mode 100644\n"
	case "D":
		header += "deleted file mode 100644\n"
	}
	fd.Text = header + text
	body := false
	for line := range strings.Lines(text) {
		body = body || strings.HasPrefix(line, "@@")
		switch {
		case body && line[0] == '+':
			fd.Added++
		case body && line[0] == '-':
			fd.Removed++
		}
	}
}
