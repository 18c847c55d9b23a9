package goredis

import (
	"fmt"
	"io"

	"github.com/redis/go-redis/v9"
)

// EnvelopeOut is a message to send. It may be used again, changed or not, as
// soon as Send has returned.
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

// SetHeaders makes Send fail with ErrUnsupported, but for no headers: Pub/Sub
// has no place for them.
func (e *EnvelopeOut) SetHeaders(headers Headers) { e.headers = headers }

// SetContentType makes Send fail with ErrUnsupported, but for "": Pub/Sub has
// no place for it.
func (e *EnvelopeOut) SetContentType(contentType string) { e.contentType = contentType }

// SetBindings sets the message bindings, which have no field.
func (e *EnvelopeOut) SetBindings(bindings MessageBindings) {}

func (e *EnvelopeOut) check() error {
	switch {
	case len(e.headers) > 0:
		return fmt.Errorf("%w: Pub/Sub messages have no headers", ErrUnsupported)
	case e.contentType != "":
		return fmt.Errorf("%w: Pub/Sub messages have no content type", ErrUnsupported)
	}
	return nil
}

// EnvelopeIn is a received message. It belongs to the handler, which may keep
// and change it.
type EnvelopeIn struct {
	message *redis.Message
	payload []byte
	unread  []byte
}

func newEnvelopeIn(m *redis.Message) *EnvelopeIn {
	payload := []byte(m.Payload)
	return &EnvelopeIn{message: m, payload: payload, unread: payload}
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

// Payload is the message.
func (e *EnvelopeIn) Payload() []byte { return e.payload }

// Headers are empty: Pub/Sub has none.
func (e *EnvelopeIn) Headers() Headers { return Headers{} }

// Header is always "": Pub/Sub has no headers.
func (e *EnvelopeIn) Header(key string) string { return "" }

// ContentType is always "": Pub/Sub has none.
func (e *EnvelopeIn) ContentType() string { return "" }

// Address is the channel that the message was published to, also where the
// Subscriber's address is a pattern.
func (e *EnvelopeIn) Address() string { return e.message.Channel }

// ID is always "": Pub/Sub messages have none.
func (e *EnvelopeIn) ID() string { return "" }

// Native gives the message in the client library's form.
func (e *EnvelopeIn) Native() *redis.Message { return e.message }
