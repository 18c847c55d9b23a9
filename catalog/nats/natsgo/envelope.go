package natsgo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// contentTypeHeader carries the content type, by convention: NATS has no place
// of its own for it.
const contentTypeHeader = "Content-Type"

// EnvelopeOut is a message to send. It may be used again, changed or not, as
// soon as Send has returned.
type EnvelopeOut struct {
	payload     []byte
	subject     string
	replyTo     string
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

// SetHeaders replaces the headers. Numbers go out as decimal text, times as RFC
// 3339, a slice as one header for each element. A key is made of printable
// ASCII without space and colon; a value has neither line breaks nor white
// space at its ends.
func (e *EnvelopeOut) SetHeaders(headers Headers) { e.headers = headers }

// SetContentType sets the header "Content-Type".
func (e *EnvelopeOut) SetContentType(contentType string) { e.contentType = contentType }

// SetBindings sets the message bindings, which in NATS say nothing.
func (e *EnvelopeOut) SetBindings(bindings MessageBindings) { e.bindings = bindings }

// SetSubject sends this message to another subject than the Publisher's.
func (e *EnvelopeOut) SetSubject(subject string) { e.subject = subject }

// SetReplyTo asks for replies on a subject. Request chooses one by itself.
func (e *EnvelopeOut) SetReplyTo(subject string) { e.replyTo = subject }

// message is what the library sends, to a subject that is known to be well
// formed or to the envelope's own. It shares no memory with the envelope: the
// library may still be busy with it when the Send that gave up has returned.
func (e *EnvelopeOut) message(subject string) (*nats.Msg, error) {
	if e == nil {
		return nil, errors.New("the envelope is nil")
	}
	m := &nats.Msg{Subject: subject, Reply: e.replyTo, Data: bytes.Clone(e.payload)}
	if e.subject != "" {
		if err := checkSubject(e.subject, false); err != nil {
			return nil, err
		}
		m.Subject = e.subject
	}
	if m.Reply != "" {
		if err := checkSubject(m.Reply, false); err != nil {
			return nil, fmt.Errorf("reply to: %w", err)
		}
	}
	header, err := encodeHeaders(e.headers)
	if err != nil {
		return nil, err
	}
	m.Header = header
	if e.contentType != "" {
		if contentTypeOf(header) != "" {
			return nil, fmt.Errorf("%w: the content type is given twice, as a header and by SetContentType", ErrUnsupported)
		}
		if !headerValue(e.contentType) {
			return nil, fmt.Errorf("%w: the content type %q has no form in NATS", ErrUnsupported, e.contentType)
		}
		if m.Header == nil {
			m.Header = nats.Header{}
		}
		m.Header.Set(contentTypeHeader, e.contentType)
	}
	return m, nil
}

// checkSubject refuses what the server would take for something else.
func checkSubject(subject string, wildcards bool) error {
	if strings.ContainsAny(subject, " \t\r\n") {
		return fmt.Errorf("%w: the subject %q has white space in it", ErrUnsupported, subject)
	}
	tokens := strings.Split(subject, ".")
	for i, token := range tokens {
		switch {
		case token == "":
			return fmt.Errorf("%w: the subject %q has an empty token", ErrUnsupported, subject)
		case !wildcards && (token == "*" || token == ">"):
			return fmt.Errorf("%w: nothing can be sent to the wildcard %q", ErrUnsupported, subject)
		case token == ">" && i < len(tokens)-1:
			return fmt.Errorf("%w: in the subject %q something follows the wildcard >", ErrUnsupported, subject)
		}
	}
	return nil
}

func encodeHeaders(headers Headers) (nats.Header, error) {
	if len(headers) == 0 {
		return nil, nil
	}
	out := make(nats.Header, len(headers)+1)
	for key, value := range headers {
		if !headerKey(key) {
			return nil, fmt.Errorf("%w: the header key %q has no form in NATS", ErrUnsupported, key)
		}
		texts, ok := headerTexts(value)
		if !ok {
			return nil, fmt.Errorf("%w: header %q: a %T has no form in NATS", ErrUnsupported, key, value)
		}
		for _, text := range texts {
			if !headerValue(text) {
				return nil, fmt.Errorf("%w: header %q: the value %.100q has no form in NATS", ErrUnsupported, key, text)
			}
		}
		if len(texts) > 0 {
			out[key] = texts
		}
	}
	return out, nil
}

func headerKey(key string) bool {
	return key != "" && strings.IndexFunc(key, func(r rune) bool { return r <= ' ' || r > '~' || r == ':' }) < 0
}

func headerValue(value string) bool {
	return value == strings.TrimSpace(value) && !strings.ContainsAny(value, "\r\n\x00")
}

// headerTexts gives the values of a header, which a slice repeats.
func headerTexts(value any) (texts []string, ok bool) {
	if text, ok := headerText(value); ok {
		return []string{text}, true
	}
	list := reflect.ValueOf(value)
	if list.Kind() != reflect.Slice {
		return nil, false
	}
	for i := range list.Len() {
		text, ok := headerText(list.Index(i).Interface())
		if !ok {
			return nil, false
		}
		texts = append(texts, text)
	}
	return texts, true
}

func headerText(value any) (string, bool) {
	switch v := value.(type) {
	case string:
		return v, true
	case []byte:
		return string(v), true
	case time.Time:
		return v.Format(time.RFC3339Nano), true
	}
	switch v := reflect.ValueOf(value); v.Kind() {
	case reflect.Bool:
		return strconv.FormatBool(v.Bool()), true
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return strconv.FormatInt(v.Int(), 10), true
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return strconv.FormatUint(v.Uint(), 10), true
	case reflect.Float32, reflect.Float64:
		return strconv.FormatFloat(v.Float(), 'g', -1, v.Type().Bits()), true
	}
	return "", false
}

// contentTypeOf finds the content type in any spelling: keys are case sensitive
// in NATS, and other clients write it in their own way.
func contentTypeOf(header nats.Header) string {
	if value := header.Get(contentTypeHeader); value != "" {
		return value
	}
	for key := range header {
		if strings.EqualFold(key, contentTypeHeader) {
			return header.Get(key)
		}
	}
	return ""
}

// EnvelopeIn is a received message. It belongs to the handler, which may keep
// and change it.
type EnvelopeIn struct {
	message    *nats.Msg
	unread     []byte
	connection *connection
}

func newEnvelopeIn(m *nats.Msg, c *connection) *EnvelopeIn {
	return &EnvelopeIn{message: m, unread: m.Data, connection: c}
}

// Read reads the payload, from where the last Read ended.
func (e *EnvelopeIn) Read(p []byte) (int, error) {
	n, err := bytes.NewReader(e.unread).Read(p)
	e.unread = e.unread[n:]
	return n, err
}

// Payload is the message's payload.
func (e *EnvelopeIn) Payload() []byte { return e.message.Data }

// Headers are the message's headers as string, or []string where a key is
// repeated.
func (e *EnvelopeIn) Headers() Headers {
	headers := make(Headers, len(e.message.Header))
	for key, values := range e.message.Header {
		if len(values) == 1 {
			headers[key] = values[0]
		} else {
			headers[key] = values
		}
	}
	return headers
}

// Header is the first value of a header, "" where there is none. Keys are case
// sensitive.
func (e *EnvelopeIn) Header(key string) string { return e.message.Header.Get(key) }

// ContentType is the header "Content-Type", in upper or lower case.
func (e *EnvelopeIn) ContentType() string { return contentTypeOf(e.message.Header) }

// Subject is the subject the message was sent to.
func (e *EnvelopeIn) Subject() string { return e.message.Subject }

// ReplyTo is the subject on which the sender awaits replies, "" for none.
func (e *EnvelopeIn) ReplyTo() string { return e.message.Reply }

// Reply answers a request, and returns as Send does. Errors: ErrUnsupported
// where the message asks for no reply or the envelope names a subject of its
// own, else those of Send.
func (e *EnvelopeIn) Reply(ctx context.Context, envelope *EnvelopeOut) error {
	if err := e.reply(ctx, envelope); err != nil {
		return fmt.Errorf("nats: reply to %q: %w", e.message.Subject, err)
	}
	return nil
}

func (e *EnvelopeIn) reply(ctx context.Context, envelope *EnvelopeOut) error {
	if e.message.Reply == "" {
		return fmt.Errorf("%w: the message asks for no reply", ErrUnsupported)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	m, err := envelope.message(e.message.Reply)
	if err != nil {
		return err
	}
	if envelope.subject != "" {
		return fmt.Errorf("%w: a reply goes where the request says, not to %q", ErrUnsupported, envelope.subject)
	}
	ctx, cancel := e.connection.bounded(ctx, context.Background())
	defer cancel()
	errs, err := e.connection.deliver(ctx, []*nats.Msg{m})
	return errors.Join(append(errs, err)...)
}

// Native gives the message in the client library's form.
func (e *EnvelopeIn) Native() *nats.Msg { return e.message }
