// Package catalog holds the drivers, embedded as source, and finds them by
// name. It is all that the command reads.
package catalog

import (
	"embed"
	"encoding/json"
	"fmt"
	"go/doc"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"

	asyncapiimpl "github.com/asyncapi-impl/asyncapi-impl"
)

//go:generate go test .. -run ^(TestTwins|TestReadmeTable|TestMatrix)$ -write

// drivers are the entries, the lead driver of each protocol first: it holds
// the original of the files that stand identically in all of them.
var drivers = []Driver{
	{Protocol: "kafka", Library: "segmentio", Import: "github.com/segmentio/kafka-go", Go: "1.23"},
	{Protocol: "kafka", Library: "franz", Import: "github.com/twmb/franz-go/pkg/kgo", Go: "1.26.0", Default: true},
	{Protocol: "amqp", Library: "rabbitmq", Import: "github.com/rabbitmq/amqp091-go", Go: "1.21", Default: true},
	{Protocol: "amqp", Library: "streadway", Import: "github.com/streadway/amqp", Go: "1.21", Note: "library unmaintained: prefer amqp/rabbitmq"},
	{Protocol: "nats", Library: "natsgo", Import: "github.com/nats-io/nats.go", Go: "1.26.0", Default: true, Note: "core NATS: at most once"},
	{Protocol: "nats", Library: "jetstream", Import: "github.com/nats-io/nats.go/jetstream", Go: "1.26.0", Note: "JetStream: stored, at least once"},
	{Protocol: "redis", Library: "goredis", Import: "github.com/redis/go-redis/v9", Go: "1.26.0", Default: true, Note: "Pub/Sub"},
	{Protocol: "redis", Library: "streams", Import: "github.com/redis/go-redis/v9", Go: "1.26.0", Note: "streams and consumer groups"},
	{Protocol: "mqtt5", Library: "paho", Import: "github.com/eclipse/paho.golang/paho", Go: "1.24.0", Default: true},
	{Protocol: "mqtt", Library: "paho", Import: "github.com/eclipse/paho.mqtt.golang", Go: "1.24.0", Default: true, Note: "MQTT 3.1.1; mqtt5 has headers and refusals"},
	{Protocol: "http", Library: "std", Go: "1.24", Default: true},
	{Protocol: "ws", Library: "coder", Import: "github.com/coder/websocket", Go: "1.23", Default: true},
	{Protocol: "ws", Library: "gobwas", Import: "github.com/gobwas/ws", Go: "1.26"},
	{Protocol: "tcp", Library: "std", Go: "1.24", Default: true},
	{Protocol: "udp", Library: "std", Go: "1.24", Default: true},
	{Protocol: "ip", Library: "std", Go: "1.24", Default: true, Note: "needs root or CAP_NET_RAW"},
}

// All files but the tests that stay here, which would make the command a third
// larger: names that do not end in test, spelt out for lack of a pattern that
// says so, and the tests that can be ejected. TestEmbedded sees what is missing.
//
//go:embed */*/*[^t].go */*/*[^s]t.go */*/*[^t]est.go */*/conformance_test.go */*/example_test.go
//go:embed conformance/*[^t].go conformance/*[^s]t.go
var files embed.FS

// results say what the conformance suite found, for each driver.
//
//go:embed results.json
var results []byte

// Results tell how a driver did in the conformance suite: for each server how
// many checks passed, and which were left out for which reason.
func (c *Catalog) Results(d Driver) ([]string, error) {
	var all map[string][]string
	if err := json.Unmarshal(results, &all); err != nil {
		return nil, err
	}
	return append([]string{}, all[d.ID()]...), nil
}

// Suite is the directory of the conformance suite.
const Suite = "conformance"

// Driver is one entry.
type Driver struct {
	Protocol string
	// Library names the directory below the protocol's.
	Library string
	// Import is the client library's import path, empty for a driver made of
	// the standard library alone.
	Import string
	// Go is the lowest go line that the driver and its library allow.
	Go      string
	Default bool
	// Note is what to know before choosing the driver.
	Note string
}

// ID is the driver's name, also its directory in the catalog.
func (d Driver) ID() string { return d.Protocol + "/" + d.Library }

// Catalog is a set of drivers with their source.
type Catalog struct {
	// FS holds the drivers' directories and the suite's.
	FS fs.FS
	// Drivers are the entries, in the order of the catalog.
	Drivers []Driver
	// Module is the path of the module that holds the catalog.
	Module   string
	requires []module.Version
}

// Load gives the embedded catalog.
func Load() (*Catalog, error) { return New(files, asyncapiimpl.GoMod, drivers) }

// New makes a catalog of the source below fsys; gomod names the versions.
func New(fsys fs.FS, gomod []byte, drivers []Driver) (*Catalog, error) {
	mod, err := modfile.ParseLax("go.mod", gomod, nil)
	if err != nil {
		return nil, err
	}
	c := &Catalog{FS: fsys, Drivers: drivers, Module: mod.Module.Mod.Path}
	for _, r := range mod.Require {
		c.requires = append(c.requires, r.Mod)
	}
	return c, nil
}

// Path is the import path below which the catalog's packages stand.
func (c *Catalog) Path() string { return c.Module + "/catalog" }

// Requirement finds the module, with the tested version, that provides a
// package; false for the standard library.
func (c *Catalog) Requirement(importPath string) (module.Version, bool) {
	var best module.Version
	for _, m := range c.requires {
		if (importPath == m.Path || strings.HasPrefix(importPath, m.Path+"/")) && len(m.Path) > len(best.Path) {
			best = m
		}
	}
	return best, best.Path != ""
}

// Protocols are the protocols that have a driver, sorted.
func (c *Catalog) Protocols() []string {
	var names []string
	for _, d := range c.Drivers {
		names = append(names, d.Protocol)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Of gives the drivers of a protocol.
func (c *Catalog) Of(protocol string) []Driver {
	var found []Driver
	for _, d := range c.Drivers {
		if d.Protocol == protocol {
			found = append(found, d)
		}
	}
	return found
}

// Files are the names of the driver's files, sorted.
func (c *Catalog) Files(d Driver) ([]string, error) {
	entries, err := fs.ReadDir(c.FS, d.ID())
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, nil
}

// Source is the text of one of the driver's files.
func (c *Catalog) Source(d Driver, name string) ([]byte, error) {
	return fs.ReadFile(c.FS, path.Join(d.ID(), name))
}

// Doc is the text of the driver's package doc.
func (c *Catalog) Doc(d Driver) (string, error) {
	src, err := c.Source(d, "doc.go")
	if err != nil {
		return "", err
	}
	f, err := parser.ParseFile(token.NewFileSet(), "doc.go", src, parser.PackageClauseOnly|parser.ParseComments)
	if err != nil {
		return "", err
	}
	return f.Doc.Text(), nil
}

// Promise is the first sentence that the driver's package doc says about
// delivery, empty if it says nothing.
func (c *Catalog) Promise(d Driver) (string, error) {
	text, err := c.Doc(d)
	if err != nil {
		return "", err
	}
	_, delivery, _ := strings.Cut(text, "# Delivery\n\n")
	return new(doc.Package).Synopsis(delivery), nil
}

// Summary is the first sentence of the driver's package doc, without the
// package's name.
func (c *Catalog) Summary(d Driver) (string, error) {
	text, err := c.Doc(d)
	if err != nil {
		return "", err
	}
	synopsis := new(doc.Package).Synopsis(text)
	summary, ok := strings.CutPrefix(synopsis, "Package "+d.Library+" ")
	if !ok {
		return "", fmt.Errorf("%s: the package doc does not begin with %q", d.ID(), "Package "+d.Library)
	}
	return strings.TrimSuffix(summary, "."), nil
}
