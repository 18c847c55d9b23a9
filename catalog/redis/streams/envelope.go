package streams

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// The fields of an entry that are no headers, by convention.
const (
	payloadField     = "payload"
	contentTypeField = "content-type"
)

// EnvelopeOut is an entry to add. It may be used again, changed or not, as soon
// as Send has returned.
type EnvelopeOut struct {
	payload     []byte
	headers     Headers
	contentType string
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

// SetHeaders replaces the headers, each a field of the entry. They go out sorted
// by key, text and numbers as decimal text, times as RFC 3339, a slice as one
// field for each element.
func (e *EnvelopeOut) SetHeaders(headers Headers) { e.headers = headers }

// SetContentType sets the field "content-type".
func (e *EnvelopeOut) SetContentType(contentType string) { e.contentType = contentType }

// SetBindings sets the message bindings, which have no field.
func (e *EnvelopeOut) SetBindings(bindings MessageBindings) {}

// fields are the entry's, key after value. They share no memory with the
// envelope: a pipeline may outlive the Send that gave up on it.
func (e *EnvelopeOut) fields() ([]any, error) {
	out := make([]any, 0, 4+2*len(e.headers))
	out = append(out, payloadField, append([]byte{}, e.payload...))
	if e.contentType != "" {
		if _, twice := e.headers[contentTypeField]; twice {
			return nil, fmt.Errorf("%w: the content type is given twice, as header %q and by SetContentType", ErrUnsupported, contentTypeField)
		}
		out = append(out, contentTypeField, e.contentType)
	}
	for _, key := range slices.Sorted(maps.Keys(e.headers)) {
		if key == payloadField {
			return nil, fmt.Errorf("%w: header %q: the payload has that field", ErrUnsupported, key)
		}
		value := e.headers[key]
		if b, ok := headerBytes(value); ok {
			out = append(out, key, b)
			continue
		}
		list := reflect.ValueOf(value)
		if list.Kind() != reflect.Slice || list.Len() == 0 {
			return nil, fmt.Errorf("%w: header %q: a %T has no form in Redis", ErrUnsupported, key, value)
		}
		for i := range list.Len() {
			b, ok := headerBytes(list.Index(i).Interface())
			if !ok {
				return nil, fmt.Errorf("%w: header %q: a %T has no form in Redis", ErrUnsupported, key, value)
			}
			out = append(out, key, b)
		}
	}
	return out, nil
}

func headerBytes(value any) ([]byte, bool) {
	switch v := value.(type) {
	case string:
		return []byte(v), true
	case []byte:
		return bytes.Clone(append([]byte{}, v...)), true
	case bool:
		return strconv.AppendBool(nil, v), true
	case time.Time:
		return v.AppendFormat(nil, time.RFC3339Nano), true
	}
	switch v := reflect.ValueOf(value); v.Kind() {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return strconv.AppendInt(nil, v.Int(), 10), true
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return strconv.AppendUint(nil, v.Uint(), 10), true
	case reflect.Float32, reflect.Float64:
		return strconv.AppendFloat(nil, v.Float(), 'g', -1, v.Type().Bits()), true
	}
	return nil, false
}

// EnvelopeIn is a received entry. It belongs to the handler, which may keep and
// change it.
type EnvelopeIn struct {
	stream  string
	entry   entry
	payload []byte
	unread  []byte
}

func newEnvelopeIn(stream string, e entry) *EnvelopeIn {
	in := &EnvelopeIn{stream: stream, entry: e}
	if payload, ok := e.value(payloadField); ok {
		in.payload = []byte(payload)
	}
	in.unread = in.payload
	return in
}

// Read reads the payload, from where the last Read ended.
func (e *EnvelopeIn) Read(p []byte) (int, error) {
	if len(e.unread) == 0 {
		return 0, io.EOF
	}
	n := copy(p, e.unread)
	e.unread = e.unread[n:]
	return n, nil
}

// Payload is the field "payload", nil where another client added an entry
// without it.
func (e *EnvelopeIn) Payload() []byte { return e.payload }

// Headers are the entry's other fields as string, or []string where one is
// repeated.
func (e *EnvelopeIn) Headers() Headers {
	headers := make(Headers, len(e.entry.fields)/2)
	paid := false
	for key, value := range e.entry.all() {
		if key == payloadField && !paid {
			paid = true
			continue
		}
		switch seen := headers[key].(type) {
		case nil:
			headers[key] = value
		case string:
			headers[key] = []string{seen, value}
		case []string:
			headers[key] = append(seen, value)
		}
	}
	return headers
}

// Header is the first value of a header, "" where there is none.
func (e *EnvelopeIn) Header(key string) string {
	if key == payloadField {
		return ""
	}
	value, _ := e.entry.value(key)
	return value
}

// ContentType is the field "content-type".
func (e *EnvelopeIn) ContentType() string { return e.Header(contentTypeField) }

// Address is the stream's key.
func (e *EnvelopeIn) Address() string { return e.stream }

// ID is the entry's id, which begins with when it was added, in milliseconds.
func (e *EnvelopeIn) ID() string { return e.entry.id }

// Native gives the entry in the client library's form, which keeps only one
// value of a repeated field.
func (e *EnvelopeIn) Native() redis.XMessage {
	m := redis.XMessage{ID: e.entry.id, Values: map[string]any{}}
	for key, value := range e.entry.all() {
		m.Values[key] = value
	}
	return m
}
