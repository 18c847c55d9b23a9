// Package document reads which servers an AsyncAPI document names, in versions
// 2 and 3, and which protocols they speak.
package document

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/asyncapi-impl/asyncapi-impl/internal/problem"
)

// Document is what is read of a document.
type Document struct {
	// Version is its AsyncAPI version.
	Version string   `json:"asyncapi"`
	Servers []Server `json:"servers"`
}

// Server is one of its servers.
type Server struct {
	Name string `json:"name"`
	// URL has the defaults of the server's variables filled in.
	URL             string `json:"url"`
	Protocol        string `json:"protocol"`
	ProtocolVersion string `json:"protocolVersion,omitempty"`
	// Needs is the catalog's name for the protocol.
	Needs string `json:"needs"`
}

// maxSize bounds what is read: no document is that long, and a file given by
// mistake may be.
const maxSize = 32 << 20

// Read reads a file.
func Read(name string) (*Document, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, problem.NewUsage(problem.BadDocument, "%v", err).Because(err).
			WithHint("--from wants the file of an AsyncAPI document")
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSize+1))
	if err == nil && len(data) > maxSize {
		err = fmt.Errorf("longer than %d bytes", maxSize)
	}
	var d *Document
	if err == nil {
		d, err = Parse(data)
	}
	if err != nil {
		return nil, problem.NewUsage(problem.BadDocument, "%s: %v", name, err).Because(err).
			WithHint("mend the document, or name the drivers: asyncapi-impl eject DRIVER")
	}
	return d, nil
}

// Parse reads a document, YAML or JSON.
func Parse(data []byte) (*Document, error) {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	var root map[string]any
	var err error
	if bytes.HasPrefix(bytes.TrimSpace(data), []byte("{")) && json.Valid(data) {
		err = json.Unmarshal(data, &root)
	} else {
		err = yaml.Unmarshal(data, &root)
	}
	if err != nil {
		return nil, fmt.Errorf("neither YAML nor JSON: %w", err)
	}
	return parse(tree{root})
}

func parse(t tree) (*Document, error) {
	version, ok := t.root["asyncapi"].(string)
	major, _, _ := strings.Cut(version, ".")
	switch {
	case t.root["asyncapi"] == nil:
		return nil, errors.New(`no AsyncAPI document: it has no "asyncapi"`)
	case !ok:
		return nil, fmt.Errorf("asyncapi: %v is no version; it is a string such as '3.0.0'", t.root["asyncapi"])
	case major != "2" && major != "3":
		return nil, fmt.Errorf("asyncapi: version %s; 2.x and 3.x can be read", version)
	}
	servers, err := t.object(t.root["servers"], "servers")
	if err != nil {
		return nil, err
	}
	d := &Document{Version: version, Servers: []Server{}}
	for _, name := range slices.Sorted(maps.Keys(servers)) {
		s, err := t.server(servers[name], "servers."+name, major)
		if err != nil {
			return nil, err
		}
		s.Name = name
		d.Servers = append(d.Servers, s)
	}
	if len(d.Servers) == 0 {
		return nil, errors.New("it names no servers, and they say which protocol is meant")
	}
	return d, nil
}

// tree is a document as decoded.
type tree struct{ root map[string]any }

func (t tree) server(v any, where, major string) (Server, error) {
	server, err := t.object(v, where)
	if err != nil {
		return Server{}, err
	}
	variables, err := t.variables(server["variables"], where+".variables")
	if err != nil {
		return Server{}, err
	}
	text := func(key string) string {
		switch v := server[key].(type) {
		case nil:
			return ""
		case string:
			return expand(v, variables)
		default:
			return fmt.Sprint(v) // protocolVersion: 5
		}
	}
	s := Server{Protocol: strings.ToLower(text("protocol")), ProtocolVersion: text("protocolVersion"), URL: text("url")}
	if major == "3" {
		s.URL = s.Protocol + "://" + text("host") + text("pathname")
	}
	if s.Protocol == "" {
		return Server{}, fmt.Errorf("%s has no protocol", where)
	}
	s.Needs = needs(s.Protocol, s.ProtocolVersion)
	return s, nil
}

// variables gives the value of each variable: its default, or else the first
// that it may have.
func (t tree) variables(v any, where string) (map[string]string, error) {
	object, err := t.object(v, where)
	if err != nil {
		return nil, err
	}
	values := map[string]string{}
	for name, v := range object {
		variable, err := t.object(v, where+"."+name)
		if err != nil {
			return nil, err
		}
		if list, ok := variable["enum"].([]any); ok && len(list) > 0 {
			values[name] = fmt.Sprint(list[0])
		}
		if d, ok := variable["default"]; ok {
			values[name] = fmt.Sprint(d)
		}
	}
	return values, nil
}

var placeholder = regexp.MustCompile(`\{[^{}]+\}`)

// expand fills variables in; one without a value stays as it is.
func expand(text string, values map[string]string) string {
	return placeholder.ReplaceAllStringFunc(text, func(p string) string {
		if v, ok := values[p[1:len(p)-1]]; ok {
			return v
		}
		return p
	})
}

// maxRefs bounds a chain of references, which may be a circle.
const maxRefs = 32

// object follows references to an object; nothing is an empty one.
func (t tree) object(v any, where string) (map[string]any, error) {
	for range maxRefs {
		if v == nil {
			return nil, nil
		}
		object, ok := v.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("%s is no object", where)
		}
		ref, ok := object["$ref"].(string)
		if !ok {
			return object, nil
		}
		var err error
		if v, err = t.lookup(ref); err != nil {
			return nil, fmt.Errorf("%s: $ref %q %w", where, ref, err)
		}
	}
	return nil, fmt.Errorf("%s: the references lead round in a circle", where)
}

var unescape = strings.NewReplacer("~1", "/", "~0", "~")

// lookup finds what a JSON pointer in the document leads to.
func (t tree) lookup(ref string) (any, error) {
	pointer, ok := strings.CutPrefix(ref, "#/")
	if !ok {
		return nil, errors.New("leads out of the document; bundle it into one file")
	}
	var v any = t.root
	for part := range strings.SplitSeq(pointer, "/") {
		object, ok := v.(map[string]any)
		if v = object[unescape.Replace(part)]; !ok || v == nil {
			return nil, errors.New("leads nowhere")
		}
	}
	return v, nil
}

// aliases are the names that a protocol goes by besides the catalog's: mostly
// those of its secure form, which the URL's scheme tells the driver.
var aliases = map[string]string{
	"kafka-secure": "kafka",
	"amqps":        "amqp",
	"amqp0-9-1":    "amqp",
	"amqp-0-9-1":   "amqp",
	"mqtts":        "mqtt", "secure-mqtt": "mqtt", "mqtt-secure": "mqtt",
	"wss": "ws", "websocket": "ws", "websockets": "ws",
	"https":  "http",
	"stomps": "stomp",
	"rediss": "redis", "redis-secure": "redis",
	"nats-secure": "nats",
	"tls":         "tcp",
}

// needs gives the catalog's name for a protocol in a version. Versions that do
// not understand each other are protocols of their own there.
func needs(protocol, version string) string {
	if name, ok := aliases[protocol]; ok {
		protocol = name
	}
	major, rest, _ := strings.Cut(strings.TrimPrefix(strings.ToLower(version), "v"), ".")
	switch {
	case protocol == "mqtt" && major == "5":
		return "mqtt5"
	case protocol == "amqp" && major == "1" && strings.Trim(rest, "0.") == "":
		return "amqp1"
	}
	return protocol
}
