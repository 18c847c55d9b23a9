package conformance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync/atomic"
	"time"
)

type refOut struct {
	payload     []byte
	headers     map[string]any
	contentType string
	key         string
	replyTo     string
	bare        bool // the protocol has neither headers nor content type
	bug         string
}

func (e *refOut) Write(p []byte) (int, error) {
	e.payload = append(e.payload, p...)
	return len(p), nil
}
func (e *refOut) ResetPayload()                     { e.payload = nil }
func (e *refOut) SetPayload(p []byte)               { e.payload = p }
func (e *refOut) SetHeaders(headers map[string]any) { e.headers = headers }
func (e *refOut) SetContentType(s string)           { e.contentType = s }

// message turns the envelope into its form on the wire.
func (e *refOut) message() (*refMessage, error) {
	if e.bare && e.bug != "drops headers" && (e.headers != nil || e.contentType != "") {
		return nil, fmt.Errorf("ref: headers: %w", errors.ErrUnsupported)
	}
	m := &refMessage{Key: e.key, Payload: bytes.Clone(e.payload), ContentType: e.contentType, ReplyTo: e.replyTo}
	for key, value := range e.headers {
		switch v := reflect.ValueOf(value); {
		case e.bug == "drops headers":
		case v.Kind() == reflect.Slice && v.Type().Elem().Kind() != reflect.Uint8:
			for i := 0; i < v.Len(); i++ {
				h, err := e.text(v.Index(i).Interface())
				if err != nil {
					return nil, err
				}
				m.Headers = append(m.Headers, refHeader{key, h})
				if e.bug == "drops repeated headers" {
					break
				}
			}
		default:
			h, err := e.text(value)
			if err != nil && e.bug == "ignores headers of a wrong type" {
				continue
			}
			if err != nil {
				return nil, err
			}
			if _, binary := value.([]byte); binary && e.bug == "changes binary headers" {
				h = []byte(fmt.Sprint(value))
			}
			if e.bug == "trims headers" {
				h = bytes.TrimSpace(h)
			}
			if e.bug == "changes header keys" {
				key = strings.ToUpper(key)
			}
			m.Headers = append(m.Headers, refHeader{key, h})
		}
	}
	switch e.bug {
	case "drops the content type":
		m.ContentType = ""
	case "truncates large payloads":
		m.Payload = m.Payload[:min(len(m.Payload), 64<<10)]
	case "text only":
		m.Payload = bytes.ToValidUTF8(m.Payload, []byte("?"))
	case "trims line ends":
		m.Payload = bytes.TrimRight(m.Payload, "\n")
	}
	return m, nil
}

func (e *refOut) text(value any) ([]byte, error) {
	switch v := value.(type) {
	case int:
		if e.bug == "panics on numbers" {
			panic("interface conversion: interface {} is int, not string")
		}
	case []byte:
		return v, nil
	case string:
		return []byte(v), nil
	case time.Time:
		return []byte(v.Format(time.RFC3339Nano)), nil
	}
	switch reflect.ValueOf(value).Kind() {
	case reflect.Struct, reflect.Map, reflect.Func, reflect.Chan, reflect.Pointer:
		return nil, fmt.Errorf("ref: a header of type %T: %w", value, errors.ErrUnsupported)
	}
	return []byte(fmt.Sprint(value)), nil
}

type refIn struct {
	m    *refMessage
	c    *refClient
	rest *bytes.Reader
	bug  string
}

func (e *refIn) Read(p []byte) (int, error) {
	if e.rest == nil {
		e.rest = bytes.NewReader(e.m.Payload)
	}
	if e.bug == "Read never ends" && e.rest.Len() == 0 {
		return 0, nil
	}
	return e.rest.Read(p)
}

func (e *refIn) Payload() []byte {
	if e.bug == "private form of messages" {
		payload, mine := bytes.CutPrefix(e.m.Payload, []byte("ref:"))
		if !mine {
			return nil
		}
		return payload
	}
	return e.m.Payload
}

func (e *refIn) ContentType() string { return e.m.ContentType }

func (e *refIn) Headers() map[string]any {
	all := map[string]any{}
	for _, h := range e.m.Headers {
		switch earlier := all[h.Key].(type) {
		case nil:
			all[h.Key] = h.Value
		case []byte:
			all[h.Key] = [][]byte{earlier, h.Value}
		case [][]byte:
			all[h.Key] = append(earlier, h.Value)
		}
	}
	return all
}

func (e *refIn) Header(key string) string {
	for _, h := range e.m.Headers {
		if h.Key == key {
			return string(h.Value)
		}
	}
	return ""
}

type refProducer struct{ c *refClient }

type refPublisher struct {
	c       *refClient
	address string
	strict  bool
	closed  atomic.Bool
	inbox   *refSubscriber
}

func (p *refProducer) publisher(ctx context.Context, address string, channel Channel) (*refPublisher, error) {
	p.c.mu.Lock()
	defer p.c.mu.Unlock()
	if p.c.closed {
		return nil, errRefClosed
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if p.c.bug == "one publisher for all" {
		if p.c.shared == nil {
			p.c.shared = &refPublisher{c: p.c, address: address}
		}
		return p.c.shared, nil
	}
	return &refPublisher{c: p.c, address: address, strict: channel.NoDeclare}, nil
}

type refSendErrors []error

func (e refSendErrors) Error() string   { return fmt.Sprint([]error(e)) }
func (e refSendErrors) Unwrap() []error { return e.failed() }
func (e refSendErrors) failed() (failed []error) {
	for _, err := range e {
		if err != nil {
			failed = append(failed, err)
		}
	}
	return failed
}

func (p *refPublisher) Send(ctx context.Context, envelopes ...*refOut) error {
	errs := make(refSendErrors, len(envelopes))
	switch p.c.bug {
	case "reorders batches":
		if len(envelopes) > 1 {
			envelopes[0], envelopes[1] = envelopes[1], envelopes[0]
		}
	case "sends before it looks at ctx":
		if ctx.Err() != nil {
			p.send(context.Background(), envelopes[0])
		}
	}
	for i, envelope := range envelopes {
		errs[i] = p.send(ctx, envelope)
		if errs[i] != nil && p.c.bug == "stops at the first failure" {
			return errs[i]
		}
	}
	if len(envelopes) == 1 {
		return errs[0]
	}
	if len(errs.failed()) > 0 {
		return errs
	}
	return nil
}

var (
	refSent atomic.Int64
	refLock = make(chan bool, 1)
)

func (p *refPublisher) send(ctx context.Context, envelope *refOut) error {
	if p.closed.Load() && p.c.bug != "sends after Close" {
		return errRefClosed
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	envelope.bug = p.c.bug
	m, err := envelope.message()
	if err != nil {
		return err
	}
	if len(m.Payload) > refMaxPayload && p.c.bug == "wrong error for a large payload" {
		return errRefRefused
	}
	if len(m.Payload) > refMaxPayload {
		return errRefTooLarge
	}
	address := p.address
	switch n := refSent.Add(1); p.c.bug {
	case "loses":
		if n%50 == 0 {
			return nil
		}
	case "doubles":
		if n%50 == 0 {
			p.c.request(ctx, frame{Op: "pub", Address: address, Message: m, Strict: p.strict})
		}
	case "envelope empty after Send":
		defer envelope.ResetPayload()
	case "swallows refusals":
		p.c.request(ctx, frame{Op: "pub", Address: address, Message: m, Strict: p.strict})
		return nil
	case "creates what is missing":
		p.strict = false
	case "a connection for each message":
		other, err := newRefClient(p.c.s, "")
		if err != nil {
			return err
		}
		defer other.close()
		return other.request(ctx, frame{Op: "pub", Address: address, Message: m, Strict: p.strict})
	case "retains payloads":
		go func() {
			time.Sleep(5 * time.Millisecond)
			m.Payload = bytes.Clone(envelope.payload)
			p.c.request(ctx, frame{Op: "pub", Address: address, Message: m, Strict: p.strict})
		}()
		return nil
	case "drops empty payloads":
		if len(m.Payload) == 0 {
			return nil
		}
	case "Send and handler share a lock":
		select {
		case refLock <- true:
			defer func() { <-refLock }()
		case <-ctx.Done():
			return ctx.Err()
		}
	case "ignores keys":
		m.Key = ""
	case "private form of messages":
		m.Payload = append([]byte("ref:"), m.Payload...)
	}
	return p.c.request(ctx, frame{Op: "pub", Address: address, Message: m, Strict: p.strict})
}

func (p *refPublisher) Close() error {
	if p.closed.Swap(true) && p.c.bug == "second Close is an error" {
		return errRefClosed
	}
	if p.c.bug == "a child cannot be closed after its parent" && p.c.ctx.Err() != nil {
		return errRefClosed
	}
	if p.inbox != nil {
		return p.inbox.Close()
	}
	return nil
}

// refRequest subscribes to an address of its own for each request.
func refRequest(ctx context.Context, p *refPublisher, envelope *refOut) (*refIn, error) {
	reply := fmt.Sprintf("reply-%d", refSent.Add(1))
	if p.c.bug == "mixes replies" {
		reply = "reply-of-all-" + p.address
	}
	s, err := (&refConsumer{p.c}).subscriber(ctx, reply, Channel{})
	if err != nil {
		return nil, err
	}
	defer s.Close()
	envelope.replyTo = reply
	if err := p.Send(ctx, envelope); err != nil {
		return nil, err
	}
	if p.c.bug == "Request ignores ctx" {
		ctx = context.Background()
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var got *refIn
	err = s.Receive(ctx, func(_ context.Context, in *refIn) error { got = in; cancel(); return nil })
	if got != nil {
		err = nil
	}
	return got, err
}

func refReply(c *refClient) func(context.Context, *refIn, *refOut) error {
	return func(ctx context.Context, request *refIn, envelope *refOut) error {
		p := &refPublisher{c: c, address: request.m.ReplyTo}
		return p.Send(ctx, envelope)
	}
}
