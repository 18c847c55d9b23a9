package paho

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
)

// ServerBindings are AsyncAPI's mqtt server bindings. Those of MQTT 5 alone are
// ErrUnsupported.
type ServerBindings struct {
	// ClientID names the client, and with it its session on the server. One
	// that is made up is used without it.
	ClientID string `json:"clientId,omitempty"`
	// CleanSession false takes up the session that the server has kept for
	// ClientID, which it needs. The default is a new session.
	CleanSession *bool     `json:"cleanSession,omitempty"`
	LastWill     *LastWill `json:"lastWill,omitempty"`
	// KeepAlive in seconds: how often the server and this client have to hear
	// of each other. 0 is never. The default is 15.
	KeepAlive *int `json:"keepAlive,omitempty"`
	// SessionExpiryInterval and MaximumPacketSize are of MQTT 5.
	SessionExpiryInterval *Integer `json:"sessionExpiryInterval,omitempty"`
	MaximumPacketSize     *Integer `json:"maximumPacketSize,omitempty"`
	BindingVersion        string   `json:"bindingVersion,omitempty"`
}

// LastWill is the message that the server publishes for a client that is gone
// without a goodbye.
type LastWill struct {
	Topic   string `json:"topic,omitempty"`
	QoS     int    `json:"qos,omitempty"`
	Message string `json:"message,omitempty"`
	Retain  bool   `json:"retain,omitempty"`
}

// ChannelBindings hold the operation's bindings; AsyncAPI has none for an MQTT
// channel.
type ChannelBindings struct {
	BindingVersion string `json:"bindingVersion,omitempty"`

	// Operation is not part of AsyncAPI's channel object.
	Operation *OperationBindings `json:"operation,omitempty"`
}

// OperationBindings are AsyncAPI's mqtt operation bindings.
type OperationBindings struct {
	// QoS is 0, 1 or 2: of what is sent, and at most of what is received. The
	// default is 1.
	QoS *int `json:"qos,omitempty"`
	// Retain makes the server keep what is sent, for later subscribers.
	Retain bool `json:"retain,omitempty"`
	// MessageExpiryInterval is of MQTT 5.
	MessageExpiryInterval *Integer `json:"messageExpiryInterval,omitempty"`
	BindingVersion        string   `json:"bindingVersion,omitempty"`

	// Group makes a shared subscription: the Subscribers of a group share the
	// messages, as with the address $share/group/address. It is an extension
	// of AsyncAPI's object, and of MQTT 3.1.1 by the server.
	Group string `json:"x-group,omitempty"`
}

// MessageBindings are AsyncAPI's mqtt message bindings, all of MQTT 5: one that
// is set is ErrUnsupported from Send.
type MessageBindings struct {
	PayloadFormatIndicator *int   `json:"payloadFormatIndicator,omitempty"`
	CorrelationData        Value  `json:"correlationData,omitempty"`
	ContentType            string `json:"contentType,omitempty"`
	ResponseTopic          Value  `json:"responseTopic,omitempty"`
	BindingVersion         string `json:"bindingVersion,omitempty"`
}

// Integer is a number that AsyncAPI gives as such or as a schema: its const,
// its only enum or its default.
type Integer int64

// UnmarshalJSON takes a schema or an integer.
func (i *Integer) UnmarshalJSON(data []byte) error {
	value, err := schemaValue(data)
	if err != nil {
		return err
	}
	n, ok := value.(float64)
	if !ok || n != math.Trunc(n) || math.Abs(n) > 1<<53 {
		return fmt.Errorf("mqtt: expected an integer or a schema that gives one, not %s", data)
	}
	*i = Integer(n)
	return nil
}

// Value is a text that AsyncAPI gives as such or as a schema: its const, its
// only enum or its default.
type Value string

// UnmarshalJSON takes a schema or a string.
func (v *Value) UnmarshalJSON(data []byte) error {
	value, err := schemaValue(data)
	if err != nil {
		return err
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
		return fmt.Errorf("mqtt: expected a string or a schema that gives one, not %s", data)
	}
	return nil
}

func schemaValue(data []byte) (any, error) {
	var value any
	if err := json.Unmarshal(data, &value); err != nil {
		return nil, err
	}
	schema, ok := value.(map[string]any)
	if !ok {
		return value, nil
	}
	if ref, ok := schema["$ref"]; ok {
		return nil, fmt.Errorf("mqtt: resolve the reference %v before decoding the bindings", ref)
	}
	if value, ok := schema["const"]; ok {
		return value, nil
	}
	if enum, _ := schema["enum"].([]any); len(enum) == 1 {
		return enum[0], nil
	}
	return schema["default"], nil
}

// checked gives the bindings, those of nil too, or says what is wrong in them.
func (b *ServerBindings) checked() (ServerBindings, error) {
	if b == nil {
		return ServerBindings{}, nil
	}
	if b.CleanSession != nil && !*b.CleanSession && b.ClientID == "" {
		return *b, errors.New("server bindings: cleanSession false needs a clientId: the session is kept under it")
	}
	if err := text("server bindings: clientId", b.ClientID); err != nil {
		return *b, err
	}
	if b.KeepAlive != nil && (*b.KeepAlive < 0 || *b.KeepAlive > math.MaxUint16) {
		return *b, fmt.Errorf("server bindings: keepAlive is 0 to 65535 seconds, not %d", *b.KeepAlive)
	}
	if b.SessionExpiryInterval != nil {
		return *b, onlyMQTT5("server bindings: sessionExpiryInterval")
	}
	if b.MaximumPacketSize != nil {
		return *b, onlyMQTT5("server bindings: maximumPacketSize")
	}
	if w := b.LastWill; w != nil {
		if err := topicName(w.Topic); err != nil {
			return *b, fmt.Errorf("server bindings: lastWill: %w", err)
		}
		if w.QoS < 0 || w.QoS > 2 {
			return *b, fmt.Errorf("server bindings: lastWill: qos is 0, 1 or 2, not %d", w.QoS)
		}
		if len(w.Message) > math.MaxUint16 {
			return *b, fmt.Errorf("%w: server bindings: lastWill: the message has %d bytes, 65535 are possible", ErrTooLarge, len(w.Message))
		}
	}
	return *b, nil
}

// operation gives the operation's bindings, or says what is wrong in them.
func (b *ChannelBindings) operation() (OperationBindings, error) {
	if b == nil || b.Operation == nil {
		return OperationBindings{}, nil
	}
	o := *b.Operation
	if o.QoS != nil && (*o.QoS < 0 || *o.QoS > 2) {
		return o, fmt.Errorf("operation bindings: qos is 0, 1 or 2, not %d", *o.QoS)
	}
	if o.MessageExpiryInterval != nil {
		return o, onlyMQTT5("operation bindings: messageExpiryInterval")
	}
	return o, nil
}

func (o OperationBindings) qos() byte {
	if o.QoS == nil {
		return 1
	}
	return byte(*o.QoS)
}

// check refuses what MQTT 3.1.1 has no place for.
func (b *MessageBindings) check() error {
	for name, set := range map[string]bool{
		"payloadFormatIndicator": b.PayloadFormatIndicator != nil, "correlationData": b.CorrelationData != "",
		"contentType": b.ContentType != "", "responseTopic": b.ResponseTopic != "",
	} {
		if set {
			return onlyMQTT5("message bindings: " + name)
		}
	}
	return nil
}

func onlyMQTT5(what string) error {
	return fmt.Errorf("%w: %s: MQTT 3.1.1 has no place for it, MQTT 5 has", ErrUnsupported, what)
}
