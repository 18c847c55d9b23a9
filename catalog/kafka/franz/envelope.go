package franz

import (
	"bytes"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// contentTypeHeader carries the content type, by convention: Kafka has no
// place of its own for it.
const contentTypeHeader = "content-type"

// EnvelopeOut is a record to send. It may be used again, changed or not, as
// soon as Send has returned.
type EnvelopeOut struct {
	payload     []byte
	tombstone   bool
	key         []byte
	topic       string
	partition   int // the partition + 1, 0 for the one that follows from the key
	timestamp   time.Time
	headers     Headers
	contentType string
	bindings    MessageBindings
}

// NewEnvelopeOut returns an envelope with an empty payload and no key.
func NewEnvelopeOut() *EnvelopeOut {
	return &EnvelopeOut{}
}

// Write appends to the payload. The error is always nil.
func (e *EnvelopeOut) Write(p []byte) (int, error) {
	e.tombstone = false
	e.payload = append(e.payload, p...)
	return len(p), nil
}

// ResetPayload empties the payload.
func (e *EnvelopeOut) ResetPayload() {
	e.tombstone = false
	e.payload = nil
}

// SetPayload replaces the payload, without a copy. A nil payload is a
// tombstone, which deletes the key from a compacted topic; an empty one is an
// empty record.
func (e *EnvelopeOut) SetPayload(payload []byte) {
	e.tombstone = payload == nil
	// The capacity is cut so that Write never touches the caller's array.
	e.payload = payload[:len(payload):len(payload)]
}

// SetHeaders replaces the headers. They go out sorted by key, text and numbers
// as decimal text, times as RFC 3339, a slice as one header for each element.
func (e *EnvelopeOut) SetHeaders(headers Headers) { e.headers = headers }

// SetContentType sets the header "content-type".
func (e *EnvelopeOut) SetContentType(contentType string) { e.contentType = contentType }

// SetBindings sets the message bindings. A key given by SetKey goes before
// theirs.
func (e *EnvelopeOut) SetBindings(bindings MessageBindings) { e.bindings = bindings }

// SetKey sets the record's key. Records of one key go to one partition, in
// order; nil means no key.
func (e *EnvelopeOut) SetKey(key []byte) { e.key = key }

// SetTopic sends this record to another topic than the Publisher's.
func (e *EnvelopeOut) SetTopic(topic string) { e.topic = topic }

// SetPartition chooses the partition, which otherwise follows from the key. A
// negative number undoes the choice.
func (e *EnvelopeOut) SetPartition(partition int) { e.partition = max(partition+1, 0) }

// SetTimestamp sets the record's creation time, in milliseconds on the wire.
// The default is the time of Send.
func (e *EnvelopeOut) SetTimestamp(t time.Time) { e.timestamp = t }

// record is the record as it will be sent, with partition -1 where none was
// chosen. It shares no memory with the envelope: a batch may outlive the Send
// that gave up on it.
func (e *EnvelopeOut) record(topic string) (*kgo.Record, error) {
	m := &kgo.Record{Topic: topic, Partition: int32(min(e.partition-1, math.MaxInt32)), Timestamp: e.timestamp}
	if e.topic != "" {
		m.Topic = e.topic
	}
	if !e.tombstone {
		m.Value = append([]byte{}, e.payload...)
	}
	if m.Key = bytes.Clone(e.key); m.Key == nil {
		key, err := e.bindings.key()
		if err != nil {
			return m, err
		}
		m.Key = key
	}
	headers, err := encodeHeaders(e.headers)
	if err != nil {
		return m, err
	}
	m.Headers = headers
	if e.contentType != "" {
		if _, twice := e.headers[contentTypeHeader]; twice {
			return m, fmt.Errorf("%w: the content type is given twice, as header %q and by SetContentType", ErrUnsupported, contentTypeHeader)
		}
		m.Headers = append(m.Headers, kgo.RecordHeader{Key: contentTypeHeader, Value: []byte(e.contentType)})
	}
	return m, nil
}

func encodeHeaders(headers Headers) ([]kgo.RecordHeader, error) {
	if len(headers) == 0 {
		return nil, nil
	}
	out := make([]kgo.RecordHeader, 0, len(headers)+1)
	for _, key := range slices.Sorted(maps.Keys(headers)) {
		value := headers[key]
		if b, ok := headerBytes(value); ok {
			out = append(out, kgo.RecordHeader{Key: key, Value: b})
			continue
		}
		list := reflect.ValueOf(value)
		if list.Kind() != reflect.Slice {
			return nil, fmt.Errorf("%w: header %q: a %T has no form in Kafka", ErrUnsupported, key, value)
		}
		for i := 0; i < list.Len(); i++ {
			b, ok := headerBytes(list.Index(i).Interface())
			if !ok {
				return nil, fmt.Errorf("%w: header %q: a %T has no form in Kafka", ErrUnsupported, key, value)
			}
			out = append(out, kgo.RecordHeader{Key: key, Value: b})
		}
	}
	return out, nil
}

func headerBytes(value any) ([]byte, bool) {
	switch v := value.(type) {
	case string:
		return []byte(v), true
	case []byte:
		return append([]byte{}, v...), true
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

// EnvelopeIn is a received record. It belongs to the handler, which may keep
// and change it.
type EnvelopeIn struct {
	record kgo.Record
	unread []byte
}

// newEnvelopeIn copies a record, as the handler may change what it is given,
// fail, and be given the record again. It also frees the handler from keeping a
// whole batch in memory for one record of it.
func newEnvelopeIn(r *kgo.Record) *EnvelopeIn {
	e := &EnvelopeIn{record: *r}
	e.record.Key, e.record.Value, e.record.Headers = bytes.Clone(r.Key), bytes.Clone(r.Value), slices.Clone(r.Headers)
	for i, h := range r.Headers {
		e.record.Headers[i].Value = bytes.Clone(h.Value)
	}
	e.unread = e.record.Value
	return e
}

// Read reads the payload, from where the last Read ended.
func (e *EnvelopeIn) Read(p []byte) (int, error) {
	n, err := bytes.NewReader(e.unread).Read(p)
	e.unread = e.unread[n:]
	return n, err
}

// Payload is the record's value: nil for a tombstone, empty for an empty one.
func (e *EnvelopeIn) Payload() []byte { return e.record.Value }

// Headers are the record's headers as []byte, or [][]byte where a key is
// repeated. A header without a value is a nil []byte.
func (e *EnvelopeIn) Headers() Headers {
	headers := make(Headers, len(e.record.Headers))
	for _, h := range e.record.Headers {
		switch seen := headers[h.Key].(type) {
		case nil:
			headers[h.Key] = h.Value
		case []byte:
			headers[h.Key] = [][]byte{seen, h.Value}
		case [][]byte:
			headers[h.Key] = append(seen, h.Value)
		}
	}
	return headers
}

// Header is the first value of a header as text, "" where there is none.
func (e *EnvelopeIn) Header(key string) string {
	for _, h := range e.record.Headers {
		if h.Key == key {
			return string(h.Value)
		}
	}
	return ""
}

// ContentType is the header "content-type".
func (e *EnvelopeIn) ContentType() string { return e.Header(contentTypeHeader) }

// Key is the record's key, nil where it has none.
func (e *EnvelopeIn) Key() []byte { return e.record.Key }

// Topic is the topic the record was read from.
func (e *EnvelopeIn) Topic() string { return e.record.Topic }

// Partition is the partition the record was read from.
func (e *EnvelopeIn) Partition() int { return int(e.record.Partition) }

// Offset is the record's position in its partition.
func (e *EnvelopeIn) Offset() int64 { return e.record.Offset }

// Timestamp is when the record was created, or appended where the topic is
// set up so (message.timestamp.type).
func (e *EnvelopeIn) Timestamp() time.Time { return e.record.Timestamp }

// Native gives the record in the client library's form.
func (e *EnvelopeIn) Native() *kgo.Record { return &e.record }
