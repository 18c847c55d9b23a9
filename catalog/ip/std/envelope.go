package std

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
)

// EnvelopeOut is a datagram to send. It may be used again, changed or not, as
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

// SetHeaders is for the sake of the other drivers' callers: IP has no headers,
// so Send refuses any with ErrUnsupported.
func (e *EnvelopeOut) SetHeaders(headers Headers) { e.headers = headers }

// SetContentType is like SetHeaders: Send refuses one with ErrUnsupported.
func (e *EnvelopeOut) SetContentType(contentType string) { e.contentType = contentType }

// SetBindings takes the message bindings, which have no fields that could
// change a message.
func (e *EnvelopeOut) SetBindings(bindings MessageBindings) {}

// check tells whether the message can be sent.
func (e *EnvelopeOut) check(limit int) error {
	switch {
	case e == nil:
		return errors.New("the envelope is nil")
	case len(e.headers) > 0:
		return fmt.Errorf("%w: headers: IP has none for an application", ErrUnsupported)
	case e.contentType != "":
		return fmt.Errorf("%w: content type: IP has none", ErrUnsupported)
	case len(e.payload) > limit:
		return fmt.Errorf("%w: %d bytes, Options.MaxMessageBytes is %d", ErrTooLarge, len(e.payload), limit)
	}
	return nil
}

// EnvelopeIn is a received datagram. It belongs to the handler, which may keep
// and change it.
type EnvelopeIn struct {
	subscriber *Subscriber
	header     IPHeader
	payload    []byte
	unread     []byte
}

// Read reads the payload, from where the last Read ended.
func (e *EnvelopeIn) Read(p []byte) (int, error) {
	n, err := bytes.NewReader(e.unread).Read(p)
	e.unread = e.unread[n:]
	return n, err
}

// Payload is the datagram's payload, which may be empty.
func (e *EnvelopeIn) Payload() []byte { return e.payload }

// Headers are empty: IP has none for an application. See IP for its own.
func (e *EnvelopeIn) Headers() Headers { return Headers{} }

// Header is always "".
func (e *EnvelopeIn) Header(key string) string { return "" }

// ContentType is always "".
func (e *EnvelopeIn) ContentType() string { return "" }

// IP is the datagram's IP header.
func (e *EnvelopeIn) IP() IPHeader { return e.header }

// Peer is where the datagram came from.
func (e *EnvelopeIn) Peer() netip.Addr { return e.header.Src }

// Reply sends to where the datagram came from, as SendTo of the Subscriber
// does.
func (e *EnvelopeIn) Reply(ctx context.Context, envelope *EnvelopeOut) error {
	return e.subscriber.SendTo(ctx, e.header.Src, envelope)
}
