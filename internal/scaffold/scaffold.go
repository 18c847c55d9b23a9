// Package scaffold makes the beginning of a driver of one's own: the contract's
// shape, wired to the conformance suite, with everything that depends on the
// protocol still to be written.
package scaffold

import (
	"embed"
	"path"
	"strings"

	"github.com/asyncapi-impl/asyncapi-impl/catalog"
	"github.com/asyncapi-impl/asyncapi-impl/internal/eject"
)

//go:embed proto/*.go
var files embed.FS

// Driver names what the scaffold is for.
type Driver struct {
	Protocol string
	// Library names the directory in the catalog, or what the driver is made of.
	Library string
	// Package and Path are the package's name and import path, and Suite is the
	// suite's import path.
	Package, Path, Suite string
}

// Files gives the files of the package. module is the catalog's.
func Files(module string, d Driver) ([]eject.File, error) {
	// The package has to go first: its name is one of the words.
	made, _, err := eject.Package(
		eject.From{FS: files, Dir: "proto", Module: module, Path: module + "/internal/scaffold"},
		eject.To{
			Package: d.Package, Path: d.Path, Tests: true,
			Imports: map[string]string{path.Join(module, "catalog", catalog.Suite): d.Suite},
		})
	if err != nil {
		return nil, err
	}
	words := strings.NewReplacer(
		"PROTO_URL", Variable(d.Protocol),
		"PROTO", d.Protocol,
		"LIBRARY", d.Library,
		"DRIVER", d.Protocol+"/"+d.Library,
		"proto:", d.Protocol+":",
		`"proto"`, `"`+d.Protocol+`"`,
		"is proto\"", "is "+d.Protocol+`"`,
	)
	for i, f := range made {
		made[i].Data = []byte(words.Replace(string(f.Data)))
	}
	return made, nil
}

// Variable is the environment variable that names the server to test against.
func Variable(protocol string) string {
	word := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, strings.ToLower(protocol))
	return strings.ToUpper(word) + "_URL"
}
