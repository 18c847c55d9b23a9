package std

import (
	"bytes"
	"context"
	"errors"
	"fmt"
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

// SetHeaders is for the sake of the other drivers' callers: TCP has no headers,
// so Send refuses any with ErrUnsupported.
func (e *EnvelopeOut) SetHeaders(headers Headers) { e.headers = headers }

// SetContentType is like SetHeaders: Send refuses one with ErrUnsupported.
func (e *EnvelopeOut) SetContentType(contentType string) { e.contentType = contentType }

// SetBindings takes the message bindings, which have no fields that could
// change a message.
func (e *EnvelopeOut) SetBindings(bindings MessageBindings) {}

// frame appends the message to what goes on the wire.
func (e *EnvelopeOut) frame(wire []byte, o *Options) ([]byte, error) {
	switch {
	case e == nil:
		return wire, errors.New("the envelope is nil")
	case len(e.headers) > 0:
		return wire, fmt.Errorf("%w: headers: TCP has none", ErrUnsupported)
	case e.contentType != "":
		return wire, fmt.Errorf("%w: content type: TCP has none", ErrUnsupported)
	case len(e.payload) > o.MaxMessageBytes:
		return wire, fmt.Errorf("%w: %d bytes, Options.MaxMessageBytes is %d", ErrTooLarge, len(e.payload), o.MaxMessageBytes)
	case o.Framing.Append == nil:
		return wire, fmt.Errorf("%w: Options.Framing has no Append", ErrUnsupported)
	}
	longer, err := o.Framing.Append(wire, e.payload)
	if err != nil {
		return wire, err
	}
	return longer, nil
}

// EnvelopeIn is a received message. It belongs to the handler, which may keep
// and change it.
type EnvelopeIn struct {
	peer    *Peer
	payload []byte
	unread  []byte
}

// Read reads the payload, from where the last Read ended.
func (e *EnvelopeIn) Read(p []byte) (int, error) {
	n, err := bytes.NewReader(e.unread).Read(p)
	e.unread = e.unread[n:]
	return n, err
}

// Payload is the message's payload, without its framing.
func (e *EnvelopeIn) Payload() []byte { return e.payload }

// Headers are empty: TCP has none.
func (e *EnvelopeIn) Headers() Headers { return Headers{} }

// Header is always "".
func (e *EnvelopeIn) Header(key string) string { return "" }

// ContentType is always "".
func (e *EnvelopeIn) ContentType() string { return "" }

// Peer is the other end of the connection that the message came by.
func (e *EnvelopeIn) Peer() *Peer { return e.peer }

// Reply sends on the connection that the message came by, as Peer's Send does,
// also when the peer has ended its own side. ErrClosed: the connection has
// ended meanwhile.
func (e *EnvelopeIn) Reply(ctx context.Context, envelope *EnvelopeOut) error {
	return e.peer.Send(ctx, envelope)
}
