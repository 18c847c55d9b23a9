package document

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/asyncapi-impl/asyncapi-impl/catalog"
	"github.com/asyncapi-impl/asyncapi-impl/internal/problem"
)

const v2 = `
asyncapi: '2.6.0'
info: {title: Streetlights, version: 1.0.0}
servers:
  scram:
    url: '{host}.example.com:{port}'
    protocol: kafka-secure
    variables:
      host: {default: lights}
      port:
        $ref: '#/components/serverVariables/port'
  legacy:
    $ref: '#/components/servers/a~1b'
channels:
  200: {}
components:
  serverVariables:
    port: {enum: [18092, 28092]}
  servers:
    a/b: {url: 'mqtt://{unknown}', protocol: secure-mqtt, protocolVersion: 5}
`

func TestParse(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want []Server
	}{
		"2.x": {v2, []Server{
			{"legacy", "mqtt://{unknown}", "secure-mqtt", "5", "mqtt5"},
			{"scram", "lights.example.com:18092", "kafka-secure", "", "kafka"},
		}},
		"3.x": {`
asyncapi: 3.0.0
servers:
  events: {host: 'h:{port}', pathname: /v2, protocol: wss, variables: {port: {default: '443'}}}
`, []Server{{"events", "wss://h:443/v2", "wss", "", "ws"}}},
		"JSON": {"\ufeff" + `{"asyncapi": "3.1.0", "servers": {"a": {"host": "h", "protocol": "amqps", "protocolVersion": "0.9.1"}}}`,
			[]Server{{"a", "amqps://h", "amqps", "0.9.1", "amqp"}}},
		"CRLF": {"asyncapi: 2.0.0\r\nservers:\r\n  a:\r\n    url: h\r\n    protocol: NATS\r\n", []Server{{"a", "h", "nats", "", "nats"}}},
		"anchors": {"asyncapi: 3.0.0\nx-base: &base {host: h, protocol: http}\nservers:\n  a: {<<: *base, protocol: https}\n",
			[]Server{{"a", "https://h", "https", "", "http"}}},
	} {
		d, err := Parse([]byte(c.text))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if len(d.Servers) != len(c.want) {
			t.Errorf("%s: got %+v", name, d.Servers)
			continue
		}
		for i, s := range d.Servers {
			if s != c.want[i] {
				t.Errorf("%s: got %+v, want %+v", name, s, c.want[i])
			}
		}
	}
}

func TestNeeds(t *testing.T) {
	for _, c := range []struct{ protocol, version, want string }{
		{"kafka", "3.2", "kafka"}, {"mqtts", "", "mqtt"}, {"mqtt", "3.1.1", "mqtt"}, {"mqtt", "5.0", "mqtt5"},
		{"mqtt5", "", "mqtt5"}, {"amqp", "1.0.0", "amqp1"}, {"amqp", "v0.9.1", "amqp"}, {"amqp1", "", "amqp1"},
		{"ibmmq", "", "ibmmq"}, {"stomps", "1.2", "stomp"}, {"rediss", "", "redis"}, {"https", "2", "http"},
	} {
		if got := needs(c.protocol, c.version); got != c.want {
			t.Errorf("%s %s: got %s, want %s", c.protocol, c.version, got, c.want)
		}
	}
}

func TestChoose(t *testing.T) {
	c, err := catalog.New(fstest.MapFS{}, []byte("module m\n"), []catalog.Driver{
		{Protocol: "kafka", Library: "one", Default: true}, {Protocol: "kafka", Library: "two"},
		{Protocol: "mqtt5", Library: "three", Default: true}, {Protocol: "ws", Library: "four", Default: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	d, err := Parse([]byte(v2))
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		names []string
		want  string
	}{
		{nil, "[mqtt5/three kafka/one]"},
		{[]string{"kafka/two"}, "[mqtt5/three kafka/two]"},
		{[]string{"kafka/two", "kafka"}, "kafka/two and kafka/one are both for kafka"},
		{[]string{"ws"}, "ws/four was chosen, but no server of the document speaks ws"},
		{[]string{"kafka/none"}, `unknown driver "kafka/none"`},
	} {
		choices, err := d.Choose(c, test.names)
		var drivers []string
		for _, choice := range choices {
			drivers = append(drivers, choice.Driver)
		}
		got := fmt.Sprint(drivers)
		if err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("%v: got %s, want %s", test.names, got, test.want)
		}
	}
}

func TestBad(t *testing.T) {
	for text, want := range map[string]string{
		"":                                 "no AsyncAPI document",
		"openapi: 3.0.0":                   "no AsyncAPI document",
		"a: [":                             "neither YAML nor JSON",
		"- a":                              "neither YAML nor JSON",
		"asyncapi: 3.0":                    "is no version",
		"asyncapi: 1.2.0":                  "2.x and 3.x can be read",
		"asyncapi: 3.0.0":                  "names no servers",
		"asyncapi: 3.0.0\nservers: [a]":    "servers is no object",
		"asyncapi: 3.0.0\nservers: {a: 1}": "servers.a is no object",
		"asyncapi: 3.0.0\nservers: {a: {host: h}}":                               "servers.a has no protocol",
		"asyncapi: 3.0.0\nservers: {a: {$ref: './other.yaml'}}":                  "leads out of the document; bundle it",
		"asyncapi: 3.0.0\nservers: {a: {$ref: '#/components/servers/a'}}":        "leads nowhere",
		"asyncapi: 3.0.0\nservers: {a: {$ref: '#/servers/a'}}":                   "in a circle",
		`{"asyncapi": "3.0.0", "servers": {"a": {"host": "h", "protocol": ""}}}`: "servers.a has no protocol",
	} {
		_, err := Parse([]byte(text))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
	_, err := Read("nowhere.yaml")
	var p *problem.Error
	if !errors.As(err, &p) || p.Code != problem.BadDocument || p.Hint == "" {
		t.Errorf("got %+v", err)
	}
}

var examples = flag.String("examples", "", "a directory with published AsyncAPI documents to read")

// TestExamples reads documents that are not kept here.
func TestExamples(t *testing.T) {
	if *examples == "" {
		t.Skip("-examples names no directory")
	}
	names, err := filepath.Glob(filepath.Join(*examples, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil || !strings.Contains(string(data), "asyncapi") {
			continue
		}
		d, err := Parse(data)
		if err != nil {
			t.Logf("%s: %v", filepath.Base(name), err)
			continue
		}
		for _, s := range d.Servers {
			t.Logf("%s: %s: %s %s → %s (%s)", filepath.Base(name), s.Name, s.Protocol, s.ProtocolVersion, s.Needs, s.URL)
		}
	}
}
