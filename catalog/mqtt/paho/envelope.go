package paho

import (
	"bytes"
	"errors"
	"fmt"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/eclipse/paho.mqtt.golang/packets"
)

// EnvelopeOut is a message to send. It may be used again, changed or not, as
// soon as Send has returned.
type EnvelopeOut struct {
	payload     []byte
	topic       string
	headers     Headers
	contentType string
	bindings    MessageBindings
}

// NewEnvelopeOut returns an envelope with an empty payload.
func NewEnvelopeOut() *EnvelopeOut {
	return &EnvelopeOut{}
}

// Write appends to the payload. The error is always nil.
func (e *EnvelopeOut) Write(p []byte) (int, error) {
	e.payload = append(e.payload, p...)
	return len(p), nil
}

// ResetPayload empties the payload.
func (e *EnvelopeOut) ResetPayload() { e.payload = nil }

// SetPayload replaces the payload, without a copy.
func (e *EnvelopeOut) SetPayload(payload []byte) {
	// The capacity is cut so that Write never touches the caller's array.
	e.payload = payload[:len(payload):len(payload)]
}

// SetHeaders sets what MQTT 3.1.1 has no place for: unless empty, Send gives
// ErrUnsupported.
func (e *EnvelopeOut) SetHeaders(headers Headers) { e.headers = headers }

// SetContentType sets what MQTT 3.1.1 has no place for: unless empty, Send
// gives ErrUnsupported.
func (e *EnvelopeOut) SetContentType(contentType string) { e.contentType = contentType }

// SetBindings sets the message bindings, which MQTT 3.1.1 has no place for.
func (e *EnvelopeOut) SetBindings(bindings MessageBindings) { e.bindings = bindings }

// SetTopic sends this message to another topic than the Publisher's.
func (e *EnvelopeOut) SetTopic(topic string) { e.topic = topic }

// packet is the message as it will be sent. It shares no memory with the
// envelope: it may outlive the Send that gave up on it.
func (e *EnvelopeOut) packet(topic string, o OperationBindings) (*packets.PublishPacket, error) {
	if e == nil {
		return nil, errors.New("the envelope is nil")
	}
	if e.topic != "" {
		topic = e.topic
		if err := topicName(topic); err != nil {
			return nil, err
		}
	}
	if len(e.headers) > 0 {
		return nil, onlyMQTT5("headers")
	}
	if e.contentType != "" {
		return nil, onlyMQTT5("the content type")
	}
	if err := e.bindings.check(); err != nil {
		return nil, err
	}
	const most = 268_435_455 // four groups of seven bits
	if size := 4 + len(topic) + len(e.payload); size > most {
		return nil, fmt.Errorf("%w: a packet of %d bytes, MQTT has room for %d", ErrTooLarge, size, most)
	}
	return &packets.PublishPacket{
		FixedHeader: packets.FixedHeader{MessageType: packets.Publish, Qos: o.qos(), Retain: o.Retain},
		TopicName:   topic, Payload: bytes.Clone(e.payload),
	}, nil
}

// EnvelopeIn is a received message. It belongs to the handler, which may keep
// and change it.
type EnvelopeIn struct {
	message mqtt.Message
	payload []byte
	unread  []byte
}

// newEnvelopeIn copies the payload, which a handler may change: the message may
// have to be handled again.
func newEnvelopeIn(m mqtt.Message) *EnvelopeIn {
	own := append([]byte{}, m.Payload()...)
	return &EnvelopeIn{m, own, own}
}

// Read reads the payload, from where the last Read ended.
func (e *EnvelopeIn) Read(p []byte) (int, error) {
	n, err := bytes.NewReader(e.unread).Read(p)
	e.unread = e.unread[n:]
	return n, err
}

// Payload is the message's payload, never nil.
func (e *EnvelopeIn) Payload() []byte { return e.payload }

// Headers is empty: MQTT 3.1.1 has none.
func (e *EnvelopeIn) Headers() Headers { return Headers{} }

// Header is "": MQTT 3.1.1 has none.
func (e *EnvelopeIn) Header(key string) string { return "" }

// ContentType is "": MQTT 3.1.1 has none.
func (e *EnvelopeIn) ContentType() string { return "" }

// Topic is the topic the message was sent to.
func (e *EnvelopeIn) Topic() string { return e.message.Topic() }

// QoS is the quality of service that the message was delivered with.
func (e *EnvelopeIn) QoS() int { return int(e.message.Qos()) }

// Retained tells whether the message was there before the subscription.
func (e *EnvelopeIn) Retained() bool { return e.message.Retained() }

// Native gives the message in the client library's form. It must not be
// acknowledged: the driver does that, in order.
func (e *EnvelopeIn) Native() mqtt.Message { return e.message }
