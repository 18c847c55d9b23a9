package jetstream

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// ServerBindings are AsyncAPI's nats server bindings, which have no field.
type ServerBindings struct {
	BindingVersion string `json:"bindingVersion,omitempty"`
}

// ChannelBindings are AsyncAPI's nats channel bindings, which have no field,
// with those of the operation.
type ChannelBindings struct {
	BindingVersion string `json:"bindingVersion,omitempty"`

	// Operation is not part of AsyncAPI's channel object.
	Operation *OperationBindings `json:"operation,omitempty"`
}

// OperationBindings are AsyncAPI's nats operation bindings.
type OperationBindings struct {
	// Queue is the queue group of a Subscriber, at most 255 characters. The
	// Subscribers of a group share the messages; it means nothing to a
	// Publisher.
	Queue          string `json:"queue,omitempty"`
	BindingVersion string `json:"bindingVersion,omitempty"`
}

// MessageBindings are AsyncAPI's nats message bindings, which have no field.
type MessageBindings struct {
	BindingVersion string `json:"bindingVersion,omitempty"`
}

// UnmarshalJSON refuses fields, of which AsyncAPI has none here.
func (b *ServerBindings) UnmarshalJSON(data []byte) error {
	type plain ServerBindings
	return decode("server", data, (*plain)(b))
}

// UnmarshalJSON refuses fields that are neither AsyncAPI's nor Operation.
func (b *ChannelBindings) UnmarshalJSON(data []byte) error {
	type plain ChannelBindings
	return decode("channel", data, (*plain)(b), "operation")
}

// UnmarshalJSON refuses fields that are not AsyncAPI's.
func (b *OperationBindings) UnmarshalJSON(data []byte) error {
	type plain OperationBindings
	return decode("operation", data, (*plain)(b), "queue")
}

// UnmarshalJSON refuses fields, of which AsyncAPI has none here.
func (b *MessageBindings) UnmarshalJSON(data []byte) error {
	type plain MessageBindings
	return decode("message", data, (*plain)(b))
}

// decode takes the known fields. A field that it would pass over in silence is
// an error, but for AsyncAPI's extensions.
func decode(level string, data []byte, to any, known ...string) error {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(data, &fields); err != nil {
		return fmt.Errorf("nats: %s bindings: %w", level, err)
	}
next:
	for name := range fields {
		if name == "bindingVersion" || strings.HasPrefix(name, "x-") {
			continue
		}
		for _, k := range known {
			if name == k {
				continue next
			}
		}
		return fmt.Errorf("nats: %s bindings: %w: the field %q", level, ErrUnsupported, name)
	}
	if err := json.Unmarshal(data, to); err != nil {
		return fmt.Errorf("nats: %s bindings: %w", level, err)
	}
	return nil
}

// queue is the queue group, "" for none.
func (b *ChannelBindings) queue() (string, error) {
	if b == nil || b.Operation == nil {
		return "", nil
	}
	queue := b.Operation.Queue
	switch {
	case len([]rune(queue)) > 255:
		return "", errors.New("operation bindings: queue has more than 255 characters")
	case strings.ContainsAny(queue, " \t\r\n"):
		return "", fmt.Errorf("operation bindings: queue %q has white space in it", queue)
	}
	return queue, nil
}
