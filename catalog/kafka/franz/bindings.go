package franz

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"sort"
	"strconv"
	"strings"
)

// ServerBindings are AsyncAPI's kafka server bindings. The driver carries
// bytes: schemas and their registry are the business of whoever encodes the
// payload, so these fields are descriptive.
type ServerBindings struct {
	SchemaRegistryURL    string `json:"schemaRegistryUrl,omitempty"`
	SchemaRegistryVendor string `json:"schemaRegistryVendor,omitempty"`
	BindingVersion       string `json:"bindingVersion,omitempty"`
}

// ChannelBindings are AsyncAPI's kafka channel bindings, with those of the
// operation.
type ChannelBindings struct {
	// Topic is the topic's name where it differs from the address.
	Topic string `json:"topic,omitempty"`
	// Partitions, Replicas and TopicConfiguration create a missing topic. One
	// that exists must have them, else ErrRefused.
	Partitions         *int                `json:"partitions,omitempty"`
	Replicas           *int                `json:"replicas,omitempty"`
	TopicConfiguration *TopicConfiguration `json:"topicConfiguration,omitempty"`
	BindingVersion     string              `json:"bindingVersion,omitempty"`

	// Operation is not part of AsyncAPI's channel object.
	Operation *OperationBindings `json:"operation,omitempty"`
}

// TopicConfiguration is a topic's configuration by Kafka's names.
type TopicConfiguration struct {
	CleanupPolicy     []string // cleanup.policy: delete, compact
	RetentionMs       *int64   // retention.ms, -1 for ever
	RetentionBytes    *int64   // retention.bytes, -1 unlimited
	DeleteRetentionMs *int64   // delete.retention.ms
	MaxMessageBytes   *int64   // max.message.bytes
	// Other holds every other entry, confluent.* among them, as Kafka spells
	// its value. The server refuses names that it does not know.
	Other map[string]string
}

// OperationBindings are AsyncAPI's kafka operation bindings.
type OperationBindings struct {
	// GroupID is the consumer group of a Subscriber. Without one it gets every
	// message from now on; it means nothing to a Publisher.
	GroupID Value `json:"groupId,omitempty"`
	// ClientID is the label that the server's logs and quotas know this client by.
	ClientID       Value  `json:"clientId,omitempty"`
	BindingVersion string `json:"bindingVersion,omitempty"`
}

// MessageBindings are AsyncAPI's kafka message bindings. The schema fields are
// descriptive, as in ServerBindings.
type MessageBindings struct {
	// Key is the record's key where the schema gives a value; a schema without
	// one describes a key that SetKey gives.
	Key                     Value  `json:"key,omitempty"`
	SchemaIDLocation        string `json:"schemaIdLocation,omitempty"`
	SchemaIDPayloadEncoding string `json:"schemaIdPayloadEncoding,omitempty"`
	SchemaLookupStrategy    string `json:"schemaLookupStrategy,omitempty"`
	BindingVersion          string `json:"bindingVersion,omitempty"`
}

// Value is a value that AsyncAPI gives as a schema: its const, its only enum
// or its default. In JSON a plain string stands for itself.
type Value string

// UnmarshalJSON takes a schema or a string.
func (v *Value) UnmarshalJSON(data []byte) error {
	var schema any
	if err := json.Unmarshal(data, &schema); err != nil {
		return err
	}
	object, ok := schema.(map[string]any)
	if !ok {
		text, ok := schema.(string)
		if !ok {
			return fmt.Errorf("kafka: expected a schema or a string, not %s", data)
		}
		*v = Value(text)
		return nil
	}
	if ref, ok := object["$ref"]; ok {
		return fmt.Errorf("kafka: resolve the reference %v before decoding the bindings", ref)
	}
	enum, _ := object["enum"].([]any)
	value, ok := object["const"]
	if !ok && len(enum) == 1 {
		value, ok = enum[0], true
	}
	if !ok {
		value = object["default"]
	}
	switch value := value.(type) {
	case nil:
		*v = ""
	case string:
		*v = Value(value)
	case bool:
		*v = Value(strconv.FormatBool(value))
	case float64:
		*v = Value(strconv.FormatFloat(value, 'f', -1, 64))
	default:
		return fmt.Errorf("kafka: the schema's value must be a string, number or boolean, not %v", value)
	}
	return nil
}

// UnmarshalJSON takes the object with Kafka's dotted names.
func (c *TopicConfiguration) UnmarshalJSON(data []byte) error {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(data, &fields); err != nil {
		return err
	}
	*c = TopicConfiguration{}
	for name, raw := range fields {
		var err error
		switch name {
		case "cleanup.policy":
			err = json.Unmarshal(raw, &c.CleanupPolicy)
		case "retention.ms":
			err = json.Unmarshal(raw, &c.RetentionMs)
		case "retention.bytes":
			err = json.Unmarshal(raw, &c.RetentionBytes)
		case "delete.retention.ms":
			err = json.Unmarshal(raw, &c.DeleteRetentionMs)
		case "max.message.bytes":
			err = json.Unmarshal(raw, &c.MaxMessageBytes)
		default:
			if c.Other == nil {
				c.Other = map[string]string{}
			}
			var text string
			if json.Unmarshal(raw, &text) != nil {
				text = string(raw)
			}
			c.Other[name] = text
		}
		if err != nil {
			return fmt.Errorf("kafka: topicConfiguration: %s: %w", name, err)
		}
	}
	return nil
}

// entries is the configuration as Kafka takes it, sorted by name.
func (c *TopicConfiguration) entries() [][2]string {
	if c == nil {
		return nil
	}
	var list [][2]string
	if len(c.CleanupPolicy) > 0 {
		list = append(list, [2]string{"cleanup.policy", strings.Join(c.CleanupPolicy, ",")})
	}
	for name, n := range map[string]*int64{
		"retention.ms": c.RetentionMs, "retention.bytes": c.RetentionBytes,
		"delete.retention.ms": c.DeleteRetentionMs, "max.message.bytes": c.MaxMessageBytes,
	} {
		if n != nil {
			list = append(list, [2]string{name, strconv.FormatInt(*n, 10)})
		}
	}
	for name, value := range c.Other {
		list = append(list, [2]string{name, value})
	}
	sort.Slice(list, func(i, j int) bool { return list[i][0] < list[j][0] })
	return list
}

func (b *ServerBindings) check() error {
	if b != nil && b.SchemaRegistryVendor != "" && b.SchemaRegistryURL == "" {
		return errors.New("server bindings: schemaRegistryVendor must not be given without schemaRegistryUrl")
	}
	return nil
}

func (b *ChannelBindings) check() error {
	if b == nil {
		return nil
	}
	for name, n := range map[string]*int{"partitions": b.Partitions, "replicas": b.Replicas} {
		if n != nil && (*n < 1 || *n > math.MaxInt32) {
			return fmt.Errorf("channel bindings: %s must be 1 or more, not %d", name, *n)
		}
	}
	if c := b.TopicConfiguration; c != nil {
		for _, policy := range c.CleanupPolicy {
			if policy != "delete" && policy != "compact" {
				return fmt.Errorf("channel bindings: cleanup.policy is made of delete and compact, not %q", policy)
			}
		}
	}
	return nil
}

func (b *ChannelBindings) topic(address string) (string, error) {
	if b != nil && b.Topic != "" {
		return b.Topic, nil
	}
	if address == "" {
		return "", errors.New("the address is empty, and no binding names a topic")
	}
	return address, nil
}

func (b *ChannelBindings) operation() OperationBindings {
	if b == nil || b.Operation == nil {
		return OperationBindings{}
	}
	return *b.Operation
}

// declares tells whether the bindings say how to create the topic.
func (b *ChannelBindings) declares() bool {
	return b != nil && (b.Partitions != nil || b.Replicas != nil || len(b.TopicConfiguration.entries()) > 0)
}

func (b *MessageBindings) key() ([]byte, error) {
	if b.SchemaIDLocation != "" && b.SchemaIDLocation != "header" && b.SchemaIDLocation != "payload" {
		return nil, fmt.Errorf("message bindings: schemaIdLocation is header or payload, not %q", b.SchemaIDLocation)
	}
	if b.Key == "" {
		return nil, nil
	}
	return []byte(b.Key), nil
}
