package std

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// ServerBindings are AsyncAPI's http server bindings, which are empty.
type ServerBindings struct {
	BindingVersion string `json:"bindingVersion,omitempty"`
}

// ChannelBindings are AsyncAPI's http channel bindings, which are empty, with
// those of the operation.
type ChannelBindings struct {
	BindingVersion string `json:"bindingVersion,omitempty"`

	// Operation is not part of AsyncAPI's channel object.
	Operation *OperationBindings `json:"operation,omitempty"`
}

// OperationBindings are AsyncAPI's http operation bindings.
type OperationBindings struct {
	// Method is that of the requests that a Publisher makes and a Subscriber
	// takes. Default POST.
	Method string `json:"method,omitempty"`
	// Query are the parameters of the URL: a Publisher sets those that have a
	// value, and both sides refuse a request that lacks a required one.
	Query Parameters `json:"query,omitempty"`
	// Type is from version 0.1.0. A Publisher is the side of the request:
	// "response" is refused, Reply makes responses.
	Type           string `json:"type,omitempty"`
	BindingVersion string `json:"bindingVersion,omitempty"`
}

// MessageBindings are AsyncAPI's http message bindings.
type MessageBindings struct {
	// Headers are set where they have a value, and those that are required
	// must be set by SetHeaders else.
	Headers Parameters `json:"headers,omitempty"`
	// StatusCode is a Reply's. Default 200.
	StatusCode     *int   `json:"statusCode,omitempty"`
	BindingVersion string `json:"bindingVersion,omitempty"`
}

// Parameters are what AsyncAPI gives as a schema of type object: its
// properties by name.
type Parameters map[string]Parameter

// Parameter is one property.
type Parameter struct {
	// Value is the schema's const, its only enum or its default, as text.
	Value *string
	// Allowed are the values of const or enum; empty means any.
	Allowed  []string
	Required bool
}

// UnmarshalJSON takes the schema.
func (p *Parameters) UnmarshalJSON(data []byte) error {
	var schema struct {
		Ref        *string `json:"$ref"`
		Type       any     `json:"type"`
		Properties map[string]struct {
			Ref     *string `json:"$ref"`
			Const   any     `json:"const"`
			Enum    []any   `json:"enum"`
			Default any     `json:"default"`
		} `json:"properties"`
		Required []string `json:"required"`
	}
	if err := json.Unmarshal(data, &schema); err != nil {
		return err
	}
	switch {
	case schema.Ref != nil:
		return fmt.Errorf("http: resolve the reference %s before decoding the bindings", *schema.Ref)
	case schema.Type != nil && schema.Type != "object", schema.Properties == nil:
		return errors.New("http: query and headers are schemas of type object with properties")
	}
	all := Parameters{}
	for name, property := range schema.Properties {
		if property.Ref != nil {
			return fmt.Errorf("http: resolve the reference %s before decoding the bindings", *property.Ref)
		}
		values := property.Enum
		if property.Const != nil {
			values = []any{property.Const}
		}
		one := Parameter{Required: slices.Contains(schema.Required, name)}
		for _, v := range values {
			one.Allowed = append(one.Allowed, scalar(v))
		}
		if len(values) == 1 {
			one.Value = &one.Allowed[0]
		} else if property.Default != nil {
			text := scalar(property.Default)
			one.Value = &text
		}
		all[name] = one
	}
	for _, name := range schema.Required {
		if _, ok := all[name]; !ok {
			all[name] = Parameter{Required: true}
		}
	}
	*p = all
	return nil
}

// scalar is a JSON value as a query or header spells it.
func scalar(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	text, _ := json.Marshal(v)
	return string(text)
}

// check compares what a message has with what the schema says. Names of headers
// are looked up by get, so their case does not matter.
func (p Parameters) check(what string, get func(name string) (string, bool)) error {
	for _, name := range slices.Sorted(maps.Keys(p)) {
		value, ok := get(name)
		switch {
		case !ok && p[name].Required:
			return fmt.Errorf("%s %q is required", what, name)
		case ok && len(p[name].Allowed) > 0 && !slices.Contains(p[name].Allowed, value):
			return fmt.Errorf("%s %q is %q, allowed are %s", what, name, value, strings.Join(p[name].Allowed, ", "))
		}
	}
	return nil
}

var methods = []string{"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "CONNECT", "TRACE"}

func (b *ChannelBindings) operation() (OperationBindings, error) {
	o := OperationBindings{Method: "POST"}
	if b == nil || b.Operation == nil {
		return o, nil
	}
	o = *b.Operation
	switch {
	case o.Type != "" && o.Type != "request" && o.Type != "response":
		return o, fmt.Errorf("operation bindings: type is request or response, not %q", o.Type)
	case o.Type == "response":
		return o, fmt.Errorf("%w: operation bindings: type response (answer with EnvelopeIn.Reply)", ErrUnsupported)
	case o.Method == "":
		o.Method = "POST"
	case o.Method == "CONNECT":
		return o, fmt.Errorf("%w: operation bindings: method CONNECT opens a tunnel and carries no message", ErrUnsupported)
	case !slices.Contains(methods, o.Method):
		return o, fmt.Errorf("operation bindings: method is one of %s, not %q", strings.Join(methods, ", "), o.Method)
	}
	return o, nil
}
