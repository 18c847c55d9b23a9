// Package asyncapiimpl holds the module's own go.mod, from which the catalog
// reads the versions that its drivers are tested with: go:embed does not reach
// above a package's own directory.
package asyncapiimpl

import _ "embed"

// GoMod is the text of go.mod.
//
//go:embed go.mod
var GoMod []byte
