package streadway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"time"

	amqp "github.com/streadway/amqp"
)

// EnvelopeOut is a message to send. It may be used again, changed or not, as
// soon as Send has returned.
type EnvelopeOut struct {
	payload       []byte
	headers       Headers
	contentType   string
	bindings      MessageBindings
	key           string
	messageID     string
	correlationID string
	replyTo       string
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

// SetHeaders replaces the headers. All integers go out with 64 bits, a time in
// whole seconds as AMQP has it, a slice as an array.
func (e *EnvelopeOut) SetHeaders(headers Headers) { e.headers = headers }

// SetContentType sets the property content-type.
func (e *EnvelopeOut) SetContentType(contentType string) { e.contentType = contentType }

// SetBindings sets the message bindings.
func (e *EnvelopeOut) SetBindings(bindings MessageBindings) { e.bindings = bindings }

// SetRoutingKey sends this message by another routing key than the channel's
// address; in a queue channel, to another queue.
func (e *EnvelopeOut) SetRoutingKey(key string) { e.key = key }

// SetMessageID sets the property message-id, by which a receiver can tell that
// a message comes twice. Each Send makes its own by default.
func (e *EnvelopeOut) SetMessageID(id string) { e.messageID = id }

// SetCorrelationID sets the property correlation-id. Request and Reply set it
// by themselves.
func (e *EnvelopeOut) SetCorrelationID(id string) { e.correlationID = id }

// SetReplyTo sets the property reply-to: the queue where a reply is to go.
func (e *EnvelopeOut) SetReplyTo(queue string) { e.replyTo = queue }

// message is the message as it will be sent over a channel. It shares no
// memory with the envelope: it may outlive the Send that gave up on it.
func (e *EnvelopeOut) message(ctx context.Context, c *channel) (*message, error) {
	if e == nil {
		return nil, errors.New("the envelope is nil")
	}
	o := &c.operation
	m := &message{
		exchange: c.exchange.Name, key: c.key, mandatory: yes(o.Mandatory),
		ctx: ctx, done: make(chan error, 1),
		properties: amqp.Publishing{
			ContentType: e.contentType, ContentEncoding: e.bindings.ContentEncoding,
			DeliveryMode: amqp.Persistent, Priority: uint8(o.Priority),
			CorrelationId: e.correlationID, ReplyTo: e.replyTo, MessageId: e.messageID,
			Type: e.bindings.MessageType, UserId: o.UserID, Body: bytes.Clone(e.payload),
		},
	}
	p := &m.properties
	if e.key != "" {
		m.key = e.key
	}
	if p.ReplyTo == "" {
		p.ReplyTo = o.ReplyTo
	}
	if p.MessageId == "" {
		p.MessageId = newID()
	}
	if o.DeliveryMode != 0 {
		p.DeliveryMode = uint8(o.DeliveryMode)
	}
	if o.Expiration != nil {
		p.Expiration = strconv.FormatInt(*o.Expiration, 10)
	}
	if o.Timestamp {
		p.Timestamp = time.Now()
	}
	for _, text := range [...]struct{ name, value string }{
		{"routing key", m.key}, {"content type", p.ContentType}, {"content encoding", p.ContentEncoding}, {"message type", p.Type},
		{"message id", p.MessageId}, {"correlation id", p.CorrelationId}, {"reply-to", p.ReplyTo},
	} {
		if len(text.value) > shortString {
			return nil, fmt.Errorf("%w: a %s has at most %d bytes in AMQP, not %d", ErrUnsupported, text.name, shortString, len(text.value))
		}
		m.header += 1 + len(text.value)
	}
	headers, size, err := encodeHeaders(e.headers, o)
	if err != nil {
		return nil, err
	}
	p.Headers = headers
	m.header += size + len(p.UserId) + len(p.Expiration)
	return m, nil
}

func encodeHeaders(headers Headers, o *OperationBindings) (amqp.Table, int, error) {
	if len(headers)+len(o.CC)+len(o.BCC) == 0 {
		return nil, 0, nil
	}
	table, total := make(amqp.Table, len(headers)+2), 0
	put := func(key string, value any) error {
		if len(key) > shortString {
			return fmt.Errorf("%w: header %.20q...: a key has at most %d bytes in AMQP", ErrUnsupported, key, shortString)
		}
		if _, twice := table[key]; twice {
			return fmt.Errorf("%w: header %q is given twice, as a header and by the bindings", ErrUnsupported, key)
		}
		field, size, ok := encodeField(value, true)
		if !ok {
			return fmt.Errorf("%w: header %q: a %T has no form in AMQP", ErrUnsupported, key, value)
		}
		table[key] = field
		total += 1 + len(key) + size
		return nil
	}
	for key, value := range headers {
		if err := put(key, value); err != nil {
			return nil, 0, err
		}
	}
	for key, keys := range map[string][]string{"CC": o.CC, "BCC": o.BCC} {
		if len(keys) > 0 {
			if err := put(key, keys); err != nil {
				return nil, 0, err
			}
		}
	}
	return table, total, nil
}

// encodeField gives a header's value in a type that every AMQP client reads,
// and its size on the wire.
func encodeField(value any, slices bool) (any, int, bool) {
	const number = 9
	switch v := value.(type) {
	case bool:
		return v, 2, true
	case []byte:
		return append([]byte{}, v...), 5 + len(v), true
	case time.Time:
		return v, number, true
	}
	switch v := reflect.ValueOf(value); v.Kind() {
	case reflect.String:
		return v.String(), 5 + v.Len(), true
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return v.Int(), number, true
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return int64(v.Uint()), number, v.Uint() <= math.MaxInt64
	case reflect.Float32:
		return float32(v.Float()), number, true
	case reflect.Float64:
		return v.Float(), number, true
	case reflect.Slice:
		if !slices {
			return nil, 0, false
		}
		list, total := make([]any, v.Len()), 5
		for i := range list {
			field, size, ok := encodeField(v.Index(i).Interface(), false)
			if !ok {
				return nil, 0, false
			}
			list[i] = field
			total += size
		}
		return list, total, true
	}
	return nil, 0, false
}

// EnvelopeIn is a received message. It belongs to the handler, which may keep
// and change it.
type EnvelopeIn struct {
	delivery amqp.Delivery
	unread   []byte
	replier  func(context.Context) (*sender, error)
}

// Read reads the payload, from where the last Read ended.
func (e *EnvelopeIn) Read(p []byte) (int, error) {
	n, err := bytes.NewReader(e.unread).Read(p)
	e.unread = e.unread[n:]
	return n, err
}

// Payload is the message's body.
func (e *EnvelopeIn) Payload() []byte { return e.delivery.Body }

// Headers are the message's headers as the library decodes them: string,
// []byte, bool, integers, floats, time.Time, nil, []any for an array, Headers for
// a nested table, amqp.Decimal.
func (e *EnvelopeIn) Headers() Headers { return decodeTable(e.delivery.Headers) }

func decodeTable(table amqp.Table) Headers {
	headers := make(Headers, len(table))
	for key, value := range table {
		headers[key] = decodeField(value)
	}
	return headers
}

func decodeField(value any) any {
	switch v := value.(type) {
	case amqp.Table:
		return decodeTable(v)
	case []any:
		list := make([]any, len(v))
		for i := range v {
			list[i] = decodeField(v[i])
		}
		return list
	}
	return value
}

// Header is the first value of a header as text, "" where there is none.
func (e *EnvelopeIn) Header(key string) string { return text(e.delivery.Headers[key]) }

func text(value any) string {
	switch v := value.(type) {
	case nil:
		return ""
	case string:
		return v
	case []byte:
		return string(v)
	case time.Time:
		return v.UTC().Format(time.RFC3339)
	case []any:
		if len(v) == 0 {
			return ""
		}
		return text(v[0])
	}
	return fmt.Sprint(value)
}

// ContentType is the property content-type.
func (e *EnvelopeIn) ContentType() string { return e.delivery.ContentType }

// ContentEncoding is the property content-encoding.
func (e *EnvelopeIn) ContentEncoding() string { return e.delivery.ContentEncoding }

// MessageType is the property type.
func (e *EnvelopeIn) MessageType() string { return e.delivery.Type }

// Exchange is the exchange that the message was published to, "" for the
// default one.
func (e *EnvelopeIn) Exchange() string { return e.delivery.Exchange }

// RoutingKey is the routing key that the message was published with.
func (e *EnvelopeIn) RoutingKey() string { return e.delivery.RoutingKey }

// MessageID is the property message-id.
func (e *EnvelopeIn) MessageID() string { return e.delivery.MessageId }

// CorrelationID is the property correlation-id.
func (e *EnvelopeIn) CorrelationID() string { return e.delivery.CorrelationId }

// ReplyTo is the property reply-to: where a reply is to go, "" where none is
// wanted.
func (e *EnvelopeIn) ReplyTo() string { return e.delivery.ReplyTo }

// Redelivered tells that the message was delivered before, here or elsewhere.
func (e *EnvelopeIn) Redelivered() bool { return e.delivery.Redelivered }

// Timestamp is the property timestamp, in seconds; zero where there is none.
func (e *EnvelopeIn) Timestamp() time.Time { return e.delivery.Timestamp }

// Native gives the message in the client library's form. Settling it is
// Receive's business.
func (e *EnvelopeIn) Native() *amqp.Delivery { return &e.delivery }
