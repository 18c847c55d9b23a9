// Package manifest is the record that an ejected package carries of where it
// came from: enough to tell later which files were edited, and to find again
// the text that they were edited from.
package manifest

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
)

// Name of the file, in the package's directory. The go command ignores it.
const Name = ".asyncapi-impl.json"

// Undo is the directory, in the package's own, that keeps the files which the
// last run overwrote.
const Undo = ".asyncapi-impl-undo"

// Bases is the directory, in the package's own, that keeps what edited files
// were merged with: an update's text of them is in no commit of the user's. The
// files have their git blob ids as names.
const Bases = ".asyncapi-impl-base"

// UndoName is the file in Undo that says what the run changed.
const UndoName = "undo.json"

// UndoRecord lists the files that the run changed, by name; false means that
// there was none before.
type UndoRecord struct {
	Schema int             `json:"schema"`
	Files  map[string]bool `json:"files"`
}

// Schema is the version of the format.
const Schema = 1

// Manifest says what was ejected. It holds neither time nor path, so the same
// eject gives the same bytes, and the package can move.
type Manifest struct {
	Schema   int             `json:"schema"`
	Driver   string          `json:"driver"`
	Catalog  Source          `json:"catalog"`
	Package  string          `json:"package"`
	Tests    bool            `json:"tests"`
	Requires []Require       `json:"requires,omitempty"`
	Files    map[string]File `json:"files"`
}

// Source is the module that the driver came from.
type Source struct {
	Module  string `json:"module"`
	Version string `json:"version"`
	Sum     string `json:"sum,omitempty"`
}

// Require is a module that the package needs.
type Require struct {
	Path string `json:"path"`
	Min  string `json:"min"`
}

// File is a file as it was ejected, whatever became of it.
type File struct {
	SHA256 string `json:"sha256"`
	Blob   string `json:"blob"`
	// Base is where the file came from, if an update to the manifest's own
	// version had to leave it as it was.
	Base *Source `json:"base,omitempty"`
}

// Describe gives a file's entry.
func Describe(data []byte) File {
	data = LF(data)
	blob := sha1.New()
	_, _ = fmt.Fprintf(blob, "blob %d\x00", len(data))
	blob.Write(data)
	return File{SHA256: Sum(data), Blob: hex.EncodeToString(blob.Sum(nil))}
}

// Sum is the SHA-256 of a file with its line endings as LF: a checkout that
// turned them into CRLF is no edit.
func Sum(data []byte) string {
	sum := sha256.Sum256(LF(data))
	return hex.EncodeToString(sum[:])
}

// LF turns CRLF line endings into LF.
func LF(data []byte) []byte { return bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n")) }

// Encode gives the file's bytes.
func (m *Manifest) Encode() ([]byte, error) {
	data, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return nil, err
	}
	return append(data, '\n'), nil
}

// Plain says whether a name is one of a file in a directory, and leads nowhere
// else.
func Plain(name string) bool {
	return name != "" && name != "." && name != ".." && !strings.ContainsAny(name, `/\:`)
}

// NewerError is a manifest of a later version of the format.
type NewerError struct{ Schema int }

func (e *NewerError) Error() string {
	return fmt.Sprintf("schema %d is newer than this tool (%d)", e.Schema, Schema)
}

// Decode reads a manifest.
func Decode(data []byte) (*Manifest, error) {
	var head struct{ Schema int }
	if err := json.Unmarshal(data, &head); err != nil {
		return nil, err
	}
	if head.Schema > Schema {
		return nil, &NewerError{head.Schema}
	}
	var m Manifest
	if err := json.Unmarshal(data, &m); err != nil {
		return nil, err
	}
	if m.Schema < 1 || m.Driver == "" || m.Files == nil {
		return nil, fmt.Errorf("schema, driver or files is missing")
	}
	for name := range m.Files {
		if !Plain(name) || strings.HasPrefix(name, ".") {
			return nil, fmt.Errorf("files: %q is no name of a file in this directory", name)
		}
	}
	return &m, nil
}
