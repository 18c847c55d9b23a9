package std

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// EnvelopeOut is a request to send, or a reply. It may be used again, changed
// or not, as soon as Send has returned.
type EnvelopeOut struct {
	payload     []byte
	headers     Headers
	contentType string
	bindings    MessageBindings
	query       url.Values
	parameters  map[string]string
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

// SetHeaders replaces the headers. Numbers go out as decimal text, times as
// RFC 3339, a slice as one header for each element. What HTTP would change or
// uses itself (Content-Length, Host ...) is ErrUnsupported from Send.
func (e *EnvelopeOut) SetHeaders(headers Headers) { e.headers = headers }

// SetContentType sets the header Content-Type.
func (e *EnvelopeOut) SetContentType(contentType string) { e.contentType = contentType }

// SetBindings sets the message bindings. Headers given by SetHeaders go before
// theirs.
func (e *EnvelopeOut) SetBindings(bindings MessageBindings) { e.bindings = bindings }

// SetQuery sets parameters of the URL, which go before those of the bindings.
func (e *EnvelopeOut) SetQuery(query url.Values) { e.query = query }

// SetParameters gives values to the {parameters} of the Publisher's address.
func (e *EnvelopeOut) SetParameters(parameters map[string]string) { e.parameters = parameters }

// header is what goes on the wire.
func (e *EnvelopeOut) header() (http.Header, error) {
	header := http.Header{}
	for _, name := range slices.Sorted(maps.Keys(e.headers)) {
		key := http.CanonicalHeaderKey(name)
		if !token(name) || slices.Contains(reserved, key) {
			return nil, fmt.Errorf("%w: header %q: HTTP allows no such name, or uses it itself", ErrUnsupported, name)
		}
		if _, twice := header[key]; twice {
			return nil, fmt.Errorf("%w: header %q: it differs from another in case alone, which HTTP does not tell apart", ErrUnsupported, name)
		}
		values, err := headerTexts(e.headers[name])
		if err != nil {
			return nil, fmt.Errorf("header %q: %w", name, err)
		}
		header[key] = values
	}
	for name, p := range e.bindings.Headers {
		if _, ok := header[http.CanonicalHeaderKey(name)]; !ok && p.Value != nil {
			header.Set(name, *p.Value)
		}
	}
	if e.contentType != "" {
		if !plain(e.contentType) {
			return nil, fmt.Errorf("%w: content type %q", ErrUnsupported, e.contentType)
		}
		header.Set("Content-Type", e.contentType)
	}
	return header, e.bindings.Headers.check("header", func(name string) (string, bool) {
		values := header.Values(name)
		return strings.Join(values, ", "), len(values) > 0
	})
}

// reserved are the headers that HTTP itself needs (RFC 9110, section 7.6.1, and
// RFC 9112), and those that have a setter.
var reserved = []string{
	"Authorization", "Connection", "Content-Length", "Content-Type", "Expect", "Host", "Keep-Alive",
	"Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Www-Authenticate",
}

func headerTexts(value any) ([]string, error) {
	if text, ok := headerText(value); ok {
		return checked(text)
	}
	list := reflect.ValueOf(value)
	if list.Kind() != reflect.Slice || list.Len() == 0 {
		return nil, fmt.Errorf("%w: a %T has no form in HTTP", ErrUnsupported, value)
	}
	var texts []string
	for i := range list.Len() {
		text, ok := headerText(list.Index(i).Interface())
		if !ok {
			return nil, fmt.Errorf("%w: a %T has no form in HTTP", ErrUnsupported, value)
		}
		texts = append(texts, text)
	}
	return checked(texts...)
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

func checked(texts ...string) ([]string, error) {
	for _, text := range texts {
		if !plain(text) {
			return nil, fmt.Errorf("%w: HTTP would change or refuse the value %q", ErrUnsupported, text)
		}
	}
	return texts, nil
}

// plain tells whether a field value arrives as it is (RFC 9110, section 5.5):
// no control characters, no space at the ends.
func plain(s string) bool {
	for _, c := range []byte(s) {
		if c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return s == strings.Trim(s, " \t")
}

// EnvelopeIn is a received request, or the response to one. It belongs to the
// handler, which may keep and change it.
type EnvelopeIn struct {
	request    *http.Request
	response   *http.Response
	header     http.Header
	payload    []byte
	unread     []byte
	parameters map[string]string
	reply      *reply
}

// Read reads the payload, from where the last Read ended.
func (e *EnvelopeIn) Read(p []byte) (int, error) {
	n, err := bytes.NewReader(e.unread).Read(p)
	e.unread = e.unread[n:]
	return n, err
}

// Payload is the body.
func (e *EnvelopeIn) Payload() []byte { return e.payload }

// Headers are the headers by canonical name as string, or []string where one
// is repeated.
func (e *EnvelopeIn) Headers() Headers {
	headers := make(Headers, len(e.header))
	for name, values := range e.header {
		if len(values) == 1 {
			headers[name] = values[0]
		} else {
			headers[name] = slices.Clone(values)
		}
	}
	return headers
}

// Header is the first value of a header, "" where there is none. The case of
// the key does not matter.
func (e *EnvelopeIn) Header(key string) string { return e.header.Get(key) }

// ContentType is the header Content-Type.
func (e *EnvelopeIn) ContentType() string { return e.header.Get("Content-Type") }

// Method is the request's.
func (e *EnvelopeIn) Method() string { return e.request.Method }

// Path is that of the request's URL.
func (e *EnvelopeIn) Path() string { return e.request.URL.Path }

// Query are the parameters of the request's URL.
func (e *EnvelopeIn) Query() url.Values { return e.request.URL.Query() }

// Parameter is what stands in the path for a {name} of the address.
func (e *EnvelopeIn) Parameter(name string) string { return e.parameters[name] }

// StatusCode is the response's, 0 for a request.
func (e *EnvelopeIn) StatusCode() int {
	if e.response == nil {
		return 0
	}
	return e.response.StatusCode
}

// Native gives the request that was received, or the response with the request
// that it answers. Their bodies were read.
func (e *EnvelopeIn) Native() (*http.Request, *http.Response) { return e.request, e.response }

// reply is the answer of a handler, kept until the handler has returned.
type reply struct {
	status  int
	header  http.Header
	payload []byte
}

// Reply answers the request: with the status code of the envelope's bindings,
// 200 without one. It goes out when the handler has returned nil; an error from
// the handler goes before it. A request takes one reply.
func (e *EnvelopeIn) Reply(ctx context.Context, envelope *EnvelopeOut) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("http: reply: %w", err)
	}
	switch {
	case e.response != nil:
		return fmt.Errorf("http: reply: %w: a response takes no reply", ErrUnsupported)
	case e.reply != nil:
		return fmt.Errorf("http: reply: the request was answered already")
	}
	header, err := envelope.header()
	if err != nil {
		return fmt.Errorf("http: reply: %w", err)
	}
	status := http.StatusOK
	if code := envelope.bindings.StatusCode; code != nil {
		status = *code
	}
	if status < 200 || status > 599 {
		return fmt.Errorf("http: reply: statusCode %d is none of a response", status)
	}
	e.reply = &reply{status, header, bytes.Clone(envelope.payload)}
	return nil
}
