package paho

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"time"

	"github.com/eclipse/paho.golang/packets"
	"github.com/eclipse/paho.golang/paho"
)

// EnvelopeOut is a message to send. It may be used again, changed or not, as
// soon as Send has returned.
type EnvelopeOut struct {
	payload         []byte
	topic           string
	headers         Headers
	contentType     string
	responseTopic   string
	correlationData []byte
	bindings        MessageBindings
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

// SetHeaders replaces the headers, which go out as user properties, sorted by
// key: text and numbers as decimal text, times as RFC 3339, a slice as one
// property for each element.
func (e *EnvelopeOut) SetHeaders(headers Headers) { e.headers = headers }

// SetContentType sets the content type.
func (e *EnvelopeOut) SetContentType(contentType string) { e.contentType = contentType }

// SetBindings sets the message bindings.
func (e *EnvelopeOut) SetBindings(bindings MessageBindings) { e.bindings = bindings }

// SetTopic sends this message to another topic than the Publisher's.
func (e *EnvelopeOut) SetTopic(topic string) { e.topic = topic }

// SetResponseTopic says where the reply is to be sent. Request gives one by
// itself.
func (e *EnvelopeOut) SetResponseTopic(topic string) { e.responseTopic = topic }

// SetCorrelationData sets what a reply repeats, so that it can be told from
// others. Request gives it by itself.
func (e *EnvelopeOut) SetCorrelationData(data []byte) { e.correlationData = data }

// packet is the message as it will be sent. It shares no memory with the
// envelope: it may outlive the Send that gave up on it.
func (e *EnvelopeOut) packet(topic string, o OperationBindings) (*packets.Publish, error) {
	if e == nil {
		return nil, errors.New("the envelope is nil")
	}
	p := &packets.Publish{
		Topic: topic, QoS: o.qos(), Retain: o.Retain, Payload: bytes.Clone(e.payload),
		Properties: &packets.Properties{
			MessageExpiry:   o.MessageExpiryInterval.uint32(),
			ContentType:     e.contentType,
			ResponseTopic:   e.responseTopic,
			CorrelationData: bytes.Clone(e.correlationData),
		},
	}
	if e.topic != "" {
		p.Topic = e.topic
		if err := topicName(p.Topic); err != nil {
			return nil, err
		}
	}
	b := e.bindings
	if f := b.PayloadFormatIndicator; f != nil {
		if *f != 0 && *f != 1 {
			return nil, fmt.Errorf("message bindings: payloadFormatIndicator is 0 or 1, not %d", *f)
		}
		p.Properties.PayloadFormat = paho.Byte(byte(*f))
	}
	if p.Properties.ContentType == "" {
		p.Properties.ContentType = b.ContentType
	}
	if p.Properties.ResponseTopic == "" {
		p.Properties.ResponseTopic = string(b.ResponseTopic)
	}
	if p.Properties.CorrelationData == nil && b.CorrelationData != "" {
		p.Properties.CorrelationData = []byte(b.CorrelationData)
	}
	if len(p.Properties.CorrelationData) > math.MaxUint16 {
		return nil, fmt.Errorf("%w: correlation data of %d bytes, 65535 are possible", ErrTooLarge, len(p.Properties.CorrelationData))
	}
	if r := p.Properties.ResponseTopic; r != "" {
		if err := topicName(r); err != nil {
			return nil, fmt.Errorf("response topic: %w", err)
		}
	}
	if err := text("the content type", p.Properties.ContentType); err != nil {
		return nil, err
	}
	var err error
	p.Properties.User, err = encodeHeaders(e.headers)
	return p, err
}

func encodeHeaders(headers Headers) ([]packets.User, error) {
	if len(headers) == 0 {
		return nil, nil
	}
	out := make([]packets.User, 0, len(headers))
	for _, key := range slices.Sorted(maps.Keys(headers)) {
		value := headers[key]
		all := []any{value}
		if list := reflect.ValueOf(value); list.Kind() == reflect.Slice && list.Type().Elem().Kind() != reflect.Uint8 {
			all = all[:0]
			for i := range list.Len() {
				all = append(all, list.Index(i).Interface())
			}
		}
		for _, one := range all {
			s, ok := headerText(one)
			if !ok {
				return nil, fmt.Errorf("%w: header %q: a %T has no form in MQTT", ErrUnsupported, key, value)
			}
			if err := errors.Join(text("a header's key", key), text(fmt.Sprintf("header %.100q", key), s)); err != nil {
				return nil, err
			}
			out = append(out, packets.User{Key: key, Value: s})
		}
	}
	return out, nil
}

func headerText(value any) (string, bool) {
	switch v := value.(type) {
	case string:
		return v, true
	case []byte:
		return string(v), true
	case bool:
		return strconv.FormatBool(v), true
	case time.Time:
		return v.Format(time.RFC3339Nano), true
	}
	switch v := reflect.ValueOf(value); v.Kind() {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return strconv.FormatInt(v.Int(), 10), true
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return strconv.FormatUint(v.Uint(), 10), true
	case reflect.Float32, reflect.Float64:
		return strconv.FormatFloat(v.Float(), 'g', -1, v.Type().Bits()), true
	}
	return "", false
}

// EnvelopeIn is a received message. It belongs to the handler, which may keep
// and change it.
type EnvelopeIn struct {
	session *session
	publish *paho.Publish
	unread  []byte
}

// newEnvelopeIn copies what a handler may change: the message may have to be
// handled again.
func newEnvelopeIn(s *session, p *paho.Publish) *EnvelopeIn {
	own, properties := *p, *p.Properties
	own.Payload = append([]byte{}, p.Payload...)
	properties.CorrelationData = bytes.Clone(properties.CorrelationData)
	properties.User = slices.Clone(properties.User)
	own.Properties = &properties
	return &EnvelopeIn{s, &own, own.Payload}
}

// Read reads the payload, from where the last Read ended.
func (e *EnvelopeIn) Read(p []byte) (int, error) {
	n, err := bytes.NewReader(e.unread).Read(p)
	e.unread = e.unread[n:]
	return n, err
}

// Payload is the message's payload, never nil.
func (e *EnvelopeIn) Payload() []byte { return e.publish.Payload }

// Headers are the user properties as string, or []string where a key is
// repeated.
func (e *EnvelopeIn) Headers() Headers {
	headers := make(Headers, len(e.publish.Properties.User))
	for _, u := range e.publish.Properties.User {
		switch seen := headers[u.Key].(type) {
		case nil:
			headers[u.Key] = u.Value
		case string:
			headers[u.Key] = []string{seen, u.Value}
		case []string:
			headers[u.Key] = append(seen, u.Value)
		}
	}
	return headers
}

// Header is the first value of a user property, "" where there is none.
func (e *EnvelopeIn) Header(key string) string { return e.publish.Properties.User.Get(key) }

// ContentType is the message's content type.
func (e *EnvelopeIn) ContentType() string { return e.publish.Properties.ContentType }

// Topic is the topic the message was sent to.
func (e *EnvelopeIn) Topic() string { return e.publish.Topic }

// QoS is the quality of service that the message was delivered with.
func (e *EnvelopeIn) QoS() int { return int(e.publish.QoS) }

// Retained tells whether the message was there before the subscription.
func (e *EnvelopeIn) Retained() bool { return e.publish.Retain }

// ResponseTopic is where Reply sends, "" where no reply is asked for.
func (e *EnvelopeIn) ResponseTopic() string { return e.publish.Properties.ResponseTopic }

// CorrelationData is what Reply repeats, nil where there is none.
func (e *EnvelopeIn) CorrelationData() []byte { return e.publish.Properties.CorrelationData }

// Native gives the message in the client library's form.
func (e *EnvelopeIn) Native() *paho.Publish { return e.publish }
