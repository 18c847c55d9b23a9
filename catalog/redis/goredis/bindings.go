package goredis

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// ServerBindings are AsyncAPI's redis server bindings, which have no field.
type ServerBindings struct {
	BindingVersion string `json:"bindingVersion,omitempty"`
}

// ChannelBindings are AsyncAPI's redis channel bindings, which have no field,
// with those of the operation. What a channel needs beyond its address stands
// in extensions.
type ChannelBindings struct {
	// Pattern makes the address of a Subscriber a pattern with *, ? and [...],
	// for Pub/Sub.
	Pattern bool `json:"x-pattern,omitempty"`
	// MaxLen is about how many entries a stream keeps: what is added trims the
	// oldest ones, read or not. Default all.
	MaxLen         *int64 `json:"x-maxLen,omitempty"`
	BindingVersion string `json:"bindingVersion,omitempty"`

	// Operation is not part of AsyncAPI's channel object.
	Operation *OperationBindings `json:"operation,omitempty"`
}

// OperationBindings are AsyncAPI's redis operation bindings, which have no
// field, with extensions for streams.
type OperationBindings struct {
	// Group is the consumer group of a Subscriber of a stream. It means nothing
	// to a Publisher.
	Group string `json:"x-group,omitempty"`
	// Consumer is the name of the Subscriber in its group, which no other member
	// may have. Default a new one.
	Consumer       string `json:"x-consumer,omitempty"`
	BindingVersion string `json:"bindingVersion,omitempty"`
}

// MessageBindings are AsyncAPI's redis message bindings, which have no field.
type MessageBindings struct {
	BindingVersion string `json:"bindingVersion,omitempty"`
}

// UnmarshalJSON refuses fields, of which AsyncAPI has none here.
func (b *ServerBindings) UnmarshalJSON(data []byte) error {
	type plain ServerBindings
	return decode("server", data, (*plain)(b))
}

// UnmarshalJSON refuses fields that ChannelBindings do not have.
func (b *ChannelBindings) UnmarshalJSON(data []byte) error {
	type plain ChannelBindings
	return decode("channel", data, (*plain)(b), "operation")
}

// UnmarshalJSON refuses fields that OperationBindings do not have.
func (b *OperationBindings) UnmarshalJSON(data []byte) error {
	type plain OperationBindings
	return decode("operation", data, (*plain)(b))
}

// UnmarshalJSON refuses fields, of which AsyncAPI has none here.
func (b *MessageBindings) UnmarshalJSON(data []byte) error {
	type plain MessageBindings
	return decode("message", data, (*plain)(b))
}

// decode takes the known fields. One that it would pass over in silence is an
// error, but for extensions that are somebody else's.
func decode(level string, data []byte, to any, known ...string) error {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(data, &fields); err != nil {
		return fmt.Errorf("redis: %s bindings: %w", level, err)
	}
	for name := range fields {
		if name != "bindingVersion" && !strings.HasPrefix(name, "x-") && !slices.Contains(known, name) {
			return fmt.Errorf("redis: %s bindings: %w: the field %q", level, ErrUnsupported, name)
		}
	}
	if err := json.Unmarshal(data, to); err != nil {
		return fmt.Errorf("redis: %s bindings: %w", level, err)
	}
	return nil
}

func (b *ChannelBindings) operation() OperationBindings {
	if b == nil || b.Operation == nil {
		return OperationBindings{}
	}
	return *b.Operation
}
