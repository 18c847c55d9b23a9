package coder

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"unicode/utf8"
)

// OpCode is the kind of a message (RFC 6455, section 5.6).
type OpCode int

// The two kinds.
const (
	OpText   OpCode = 1
	OpBinary OpCode = 2
)

// EnvelopeOut is a message to send. It may be used again, changed or not, as
// soon as Send has returned.
type EnvelopeOut struct {
	payload     []byte
	opCode      OpCode
	headers     Headers
	contentType string
}

// NewEnvelopeOut returns an envelope with an empty payload, to be sent as a
// binary message.
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

// SetOpCode makes it a text or a binary message. A text has to be UTF-8.
func (e *EnvelopeOut) SetOpCode(opCode OpCode) { e.opCode = opCode }

func (e *EnvelopeOut) kind() OpCode {
	if e.opCode == 0 {
		return OpBinary
	}
	return e.opCode
}

// SetHeaders is for the sake of the other drivers' callers: a WebSocket message
// has no headers, so Send refuses any with ErrUnsupported.
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
		return fmt.Errorf("%w: headers: a WebSocket message has none", ErrUnsupported)
	case e.contentType != "":
		return fmt.Errorf("%w: content type: a WebSocket message has none", ErrUnsupported)
	case len(e.payload) > limit:
		return fmt.Errorf("%w: %d bytes, Options.MaxMessageBytes is %d", ErrTooLarge, len(e.payload), limit)
	case e.kind() != OpText && e.kind() != OpBinary:
		return fmt.Errorf("%w: opcode %d: a message is OpText or OpBinary", ErrUnsupported, e.opCode)
	case e.opCode == OpText && !utf8.Valid(e.payload):
		return fmt.Errorf("%w: a text message that is not UTF-8; send it as OpBinary", ErrUnsupported)
	}
	return nil
}

// EnvelopeIn is a received message. It belongs to the handler, which may keep
// and change it.
type EnvelopeIn struct {
	peer    *Peer
	opCode  OpCode
	payload []byte
	unread  []byte
}

// Read reads the payload, from where the last Read ended.
func (e *EnvelopeIn) Read(p []byte) (int, error) {
	n, err := bytes.NewReader(e.unread).Read(p)
	e.unread = e.unread[n:]
	return n, err
}

// Payload is the message's payload.
func (e *EnvelopeIn) Payload() []byte { return e.payload }

// OpCode tells whether it is a text or a binary message.
func (e *EnvelopeIn) OpCode() OpCode { return e.opCode }

// Headers are empty: a WebSocket message has none. Those of the handshake are
// in Peer's Request.
func (e *EnvelopeIn) Headers() Headers { return Headers{} }

// Header is always "".
func (e *EnvelopeIn) Header(key string) string { return "" }

// ContentType is always "".
func (e *EnvelopeIn) ContentType() string { return "" }

// Peer is the other end of the connection that the message came by.
func (e *EnvelopeIn) Peer() *Peer { return e.peer }

// Reply sends on the connection that the message came by, as Peer's Send does.
// ErrClosed: it has ended meanwhile.
func (e *EnvelopeIn) Reply(ctx context.Context, envelope *EnvelopeOut) error {
	return e.peer.Send(ctx, envelope)
}
