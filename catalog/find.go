package catalog

import (
	"slices"
	"strings"

	"github.com/asyncapi-impl/asyncapi-impl/internal/problem"
)

// Find looks a driver up by its ID, by its protocol, which gives the default
// driver, or by its library's import path.
func (c *Catalog) Find(name string) (Driver, error) {
	var best *Driver
	for i, d := range c.Drivers {
		if name == d.ID() {
			return d, nil
		}
		m, _ := c.Requirement(d.Import)
		byLibrary := d.Import != "" && (name == d.Import || name == m.Path)
		if name == d.Protocol && d.Default || byLibrary && (best == nil || d.Default) {
			best = &c.Drivers[i]
		}
	}
	if best != nil {
		return *best, nil
	}
	return Driver{}, c.unknown(name)
}

// Select gives the drivers of the named protocols, all without a name.
func (c *Catalog) Select(protocols []string) ([]Driver, error) {
	if len(protocols) == 0 {
		return c.Drivers, nil
	}
	var found []Driver
	for _, p := range protocols {
		of := c.Of(p)
		if of == nil {
			return nil, c.unknown(p)
		}
		found = append(found, of...)
	}
	return found, nil
}

func (c *Catalog) unknown(name string) error {
	protocol, _, isID := strings.Cut(name, "/")
	e := problem.NewUsage(problem.UnknownDriver, "unknown driver %q", name)
	if !isID {
		e.Message = "no driver for protocol \"" + name + "\""
	}

	var libraries []string
	for _, d := range c.Of(protocol) {
		libraries = append(libraries, d.Library)
	}
	has := ""
	if isID && libraries != nil {
		has = " (" + protocol + " has: " + strings.Join(libraries, ", ") + ")"
	}
	if near := c.nearest(name); near != "" {
		return e.WithHint("did you mean %s?%s all: asyncapi-impl list", near, has)
	}
	if has != "" {
		return e.WithHint("choose another%s", has)
	}
	return e.WithHint("all drivers: asyncapi-impl list; a directory is written ./%s", strings.TrimPrefix(name, "/"))
}

// nearest is the name most like the one asked for, empty if none is.
func (c *Catalog) nearest(name string) string {
	names := c.Protocols()
	for _, d := range c.Drivers {
		names = append(names, d.ID(), d.Library, d.Import)
	}
	best, least := "", max(1, len(name)/3)+1
	for _, n := range names {
		if d := distance(strings.ToLower(name), n); n != "" && d < least {
			best, least = n, d
		}
	}
	for _, d := range c.Drivers {
		if best == d.Library {
			return d.ID()
		}
	}
	return best
}

// distance is the optimal string alignment distance: insertions, deletions,
// replacements and swaps of neighbours that lead from a to b.
func distance(a, b string) int {
	var before, last []int
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		before, last, row = last, row, make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = slices.Min([]int{last[j] + 1, row[j-1] + 1, last[j-1] + cost})
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
	}
	return row[len(b)]
}
