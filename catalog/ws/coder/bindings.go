package coder

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/textproto"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// ServerBindings are AsyncAPI's ws server bindings, which have no fields.
type ServerBindings struct {
	BindingVersion string `json:"bindingVersion,omitempty"`
}

// ChannelBindings are AsyncAPI's ws channel bindings, with those of the
// operation.
type ChannelBindings struct {
	// Method of the handshake. WebSocket knows GET alone.
	Method string `json:"method,omitempty"`
	// Query and Headers describe the handshake's parameters: the side that
	// dials sends those that have a value, the side that listens refuses a
	// handshake that does not fit.
	Query          *Parameters `json:"query,omitempty"`
	Headers        *Parameters `json:"headers,omitempty"`
	BindingVersion string      `json:"bindingVersion,omitempty"`

	// Operation is not part of AsyncAPI's channel object.
	Operation *OperationBindings `json:"operation,omitempty"`
}

// OperationBindings are AsyncAPI's ws operation bindings, which have no fields.
type OperationBindings struct {
	BindingVersion string `json:"bindingVersion,omitempty"`
}

// MessageBindings are AsyncAPI's ws message bindings, which have no fields.
type MessageBindings struct {
	BindingVersion string `json:"bindingVersion,omitempty"`
}

// Parameters are what AsyncAPI gives as a schema of type object: the
// parameters by name, and the names of those that must be there.
type Parameters struct {
	Properties map[string]Parameter
	Required   []string
}

// Parameter is the schema of one parameter. Values are compared as text.
type Parameter struct {
	// Type is string, integer, number or boolean; none means string.
	Type string
	// Enum are the values that are allowed; const is an enum of one.
	Enum []string
	// Default is sent where the caller gives no value and there is no only one.
	Default *string
	// Pattern is a regular expression that the value has to match.
	Pattern string
}

// descriptive are the keywords of a schema that no value has to follow.
var descriptive = []string{
	"title", "description", "examples", "format", "deprecated", "readOnly", "writeOnly", "externalDocs", "$comment", "$id", "$schema",
}

// UnmarshalJSON takes a schema of type object.
func (p *Parameters) UnmarshalJSON(data []byte) error {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(data, &fields); err != nil {
		return err
	}
	*p = Parameters{}
	for name, raw := range fields {
		var err error
		switch name {
		case "type":
			if string(raw) != `"object"` {
				err = fmt.Errorf("expected the type object, not %s", raw)
			}
		case "properties":
			err = json.Unmarshal(raw, &p.Properties)
		case "required":
			err = json.Unmarshal(raw, &p.Required)
		case "additionalProperties":
			if string(raw) != "true" {
				err = fmt.Errorf("%w: a handshake always has parameters of its own", ErrUnsupported)
			}
		default:
			err = unknown(name)
		}
		if err != nil {
			return fmt.Errorf("ws: %s: %w", name, err)
		}
	}
	return nil
}

// UnmarshalJSON takes the schema of a text, number or boolean.
func (p *Parameter) UnmarshalJSON(data []byte) error {
	var fields map[string]any
	if err := json.Unmarshal(data, &fields); err != nil {
		return err
	}
	*p = Parameter{}
	for name, value := range fields {
		err, text := error(nil), scalar(value)
		switch name {
		case "type":
			if p.Type = text; !slices.Contains([]string{"string", "integer", "number", "boolean"}, text) {
				err = fmt.Errorf("%w: a parameter of type %v", ErrUnsupported, value)
			}
		case "const":
			p.Enum = []string{text}
		case "enum":
			values, _ := value.([]any)
			if _, has := fields["const"]; has {
				break
			}
			for _, v := range values {
				p.Enum = append(p.Enum, scalar(v))
			}
		case "default":
			p.Default = &text
		case "pattern":
			p.Pattern = text
			_, err = regexp.Compile(text)
		default:
			err = unknown(name)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func unknown(keyword string) error {
	if keyword == "$ref" {
		return errors.New("resolve the reference before decoding the bindings")
	}
	if slices.Contains(descriptive, keyword) || strings.HasPrefix(keyword, "x-") {
		return nil
	}
	return fmt.Errorf("%w: this keyword of a schema is not checked", ErrUnsupported)
}

func scalar(value any) string {
	if n, ok := value.(float64); ok {
		return strconv.FormatFloat(n, 'f', -1, 64)
	}
	return fmt.Sprint(value)
}

// value is what is sent where the caller gives none.
func (p Parameter) value() (string, bool) {
	if len(p.Enum) == 1 {
		return p.Enum[0], true
	}
	if p.Default != nil {
		return *p.Default, true
	}
	return "", false
}

func (p Parameter) check(value string) error {
	var err error
	switch p.Type {
	case "", "string":
	case "integer":
		_, err = strconv.ParseInt(value, 10, 64)
	case "number":
		_, err = strconv.ParseFloat(value, 64)
	case "boolean":
		if value != "true" && value != "false" {
			err = errors.New("expected true or false")
		}
	default:
		return fmt.Errorf("%w: a parameter of type %q", ErrUnsupported, p.Type)
	}
	if err != nil {
		return fmt.Errorf("%q is no %s", value, p.Type)
	}
	if len(p.Enum) > 0 && !slices.Contains(p.Enum, value) {
		return fmt.Errorf("%q is none of %q", value, p.Enum)
	}
	if p.Pattern != "" {
		expression, err := regexp.Compile(p.Pattern)
		if err != nil {
			return err
		}
		if !expression.MatchString(value) {
			return fmt.Errorf("%q does not match %s", value, p.Pattern)
		}
	}
	return nil
}

// check holds the values of a handshake to the schema.
func (p *Parameters) check(values map[string][]string, key func(string) string) error {
	if p == nil {
		return nil
	}
	for _, name := range p.Required {
		if len(values[key(name)]) == 0 {
			return fmt.Errorf("%s is missing", name)
		}
	}
	for name, parameter := range p.Properties {
		for _, value := range values[key(name)] {
			if err := parameter.check(value); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return nil
}

// fill adds the values that the schema itself gives.
func (p *Parameters) fill(values map[string][]string, key func(string) string) {
	if p == nil {
		return
	}
	for name, parameter := range p.Properties {
		if value, ok := parameter.value(); ok && len(values[key(name)]) == 0 {
			values[key(name)] = []string{value}
		}
	}
}

func same(name string) string { return name }

// fit holds a handshake's parameters to the bindings.
func (b *ChannelBindings) fit(query url.Values, header http.Header) error {
	if b == nil {
		return nil
	}
	if err := b.Query.check(query, same); err != nil {
		return fmt.Errorf("query: %w", err)
	}
	if err := b.Headers.check(header, textproto.CanonicalMIMEHeaderKey); err != nil {
		return fmt.Errorf("headers: %w", err)
	}
	return nil
}

// complete adds the values that the bindings give, and checks all of them.
func (b *ChannelBindings) complete(query url.Values, header http.Header) error {
	if b == nil {
		return nil
	}
	b.Query.fill(query, same)
	b.Headers.fill(header, textproto.CanonicalMIMEHeaderKey)
	return b.fit(query, header)
}

// handshakeHeaders belong to the handshake itself.
var handshakeHeaders = []string{
	"Connection", "Host", "Upgrade", "Sec-Websocket-Accept", "Sec-Websocket-Extensions", "Sec-Websocket-Key", "Sec-Websocket-Version",
}

func (b *ChannelBindings) check() error {
	switch {
	case b == nil:
		return nil
	case b.Method == http.MethodPost:
		return fmt.Errorf("%w: channel bindings: method POST: a WebSocket begins with GET (RFC 6455, section 4.1)", ErrUnsupported)
	case b.Method != "" && b.Method != http.MethodGet:
		return fmt.Errorf("channel bindings: method is GET, not %q", b.Method)
	case b.Headers == nil:
		return nil
	}
	for name := range b.Headers.Properties {
		if slices.Contains(handshakeHeaders, textproto.CanonicalMIMEHeaderKey(name)) {
			return fmt.Errorf("%w: channel bindings: headers: %s belongs to the handshake itself", ErrUnsupported, name)
		}
	}
	return nil
}
