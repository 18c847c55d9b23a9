package proto

import (
	"bytes"
	"fmt"
	"maps"
	"reflect"
	"time"
)

// EnvelopeOut is a message to send. It may be used again, changed or not, as
// soon as Send has returned. Add setters for what the protocol has beyond this:
// a key, a topic, a priority.
type EnvelopeOut struct {
	payload     []byte
	headers     Headers
	contentType string
	bindings    MessageBindings
}

// NewEnvelopeOut returns an envelope with an empty payload.
func NewEnvelopeOut() *EnvelopeOut { return &EnvelopeOut{} }

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

// SetHeaders replaces the headers.
func (e *EnvelopeOut) SetHeaders(headers Headers) { e.headers = headers }

// SetContentType sets the payload's media type.
func (e *EnvelopeOut) SetContentType(contentType string) { e.contentType = contentType }

// SetBindings sets the message bindings.
func (e *EnvelopeOut) SetBindings(bindings MessageBindings) { e.bindings = bindings }

// message is the envelope as it will be sent. It shares no memory with it. Turn
// this into the library's own message.
func (e *EnvelopeOut) message() (message, error) {
	m := message{payload: append([]byte{}, e.payload...), headers: maps.Clone(e.headers), contentType: e.contentType}
	for key, value := range m.headers {
		copied, err := headerValue(value)
		if err != nil {
			return message{}, fmt.Errorf("%w: header %q: %v", ErrUnsupported, key, err)
		}
		m.headers[key] = copied
	}
	return m, nil
}

// headerValue copies a header's value, or says that it can be none.
func headerValue(value any) (any, error) {
	switch v := value.(type) {
	case string, time.Time:
		return v, nil
	case []byte:
		return bytes.Clone(v), nil
	}
	switch v := reflect.ValueOf(value); v.Kind() {
	case reflect.Bool, reflect.Float32, reflect.Float64,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return value, nil
	case reflect.Slice:
		list := reflect.MakeSlice(v.Type(), 0, v.Len())
		for i := 0; i < v.Len(); i++ {
			one, err := headerValue(v.Index(i).Interface())
			if err != nil {
				return nil, err
			}
			list = reflect.Append(list, reflect.ValueOf(one))
		}
		return list.Interface(), nil
	}
	return nil, fmt.Errorf("a %T has no form in the protocol", value)
}

// message is what goes over the wire.
type message struct {
	payload     []byte
	headers     Headers
	contentType string
}

// EnvelopeIn is a received message. It belongs to the handler, which may keep
// and change it.
type EnvelopeIn struct {
	message message
	unread  []byte
}

// newEnvelopeIn makes an envelope that shares no memory with the message: a
// message whose handler failed comes again, as it was sent.
func newEnvelopeIn(m message) *EnvelopeIn {
	m.payload, m.headers = append([]byte{}, m.payload...), maps.Clone(m.headers)
	for key, value := range m.headers {
		if copied, err := headerValue(value); err == nil {
			m.headers[key] = copied
		}
	}
	return &EnvelopeIn{message: m, unread: m.payload}
}

// Read reads the payload, from where the last Read ended.
func (e *EnvelopeIn) Read(p []byte) (int, error) {
	n, err := bytes.NewReader(e.unread).Read(p)
	e.unread = e.unread[n:]
	return n, err
}

// Payload is the message's payload.
func (e *EnvelopeIn) Payload() []byte { return e.message.payload }

// Headers are the message's headers, with a slice where a key is repeated.
func (e *EnvelopeIn) Headers() Headers {
	if e.message.headers == nil {
		return Headers{}
	}
	return e.message.headers
}

// Header is the first value of a header as text, "" where there is none.
func (e *EnvelopeIn) Header(key string) string {
	switch value := e.message.headers[key].(type) {
	case nil:
		return ""
	case string:
		return value
	case []byte:
		return string(value)
	case time.Time:
		return value.Format(time.RFC3339Nano)
	default:
		if list := reflect.ValueOf(value); list.Kind() == reflect.Slice {
			if list.Len() == 0 {
				return ""
			}
			first := EnvelopeIn{message: message{headers: Headers{"": list.Index(0).Interface()}}}
			return first.Header("")
		}
		return fmt.Sprint(value)
	}
}

// ContentType is the payload's media type, "" where there is none.
func (e *EnvelopeIn) ContentType() string { return e.message.contentType }
