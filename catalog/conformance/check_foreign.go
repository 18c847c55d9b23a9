package conformance

import (
	"bytes"
	"context"
	"time"
)

var foreignChecks = []check{
	{name: "foreign-sends", topic: "interoperation", rows: []int{7, 60, 61},
		promise: "A message of another client is read, with its headers.",
		needs:   []need{foreigner},
		run:     foreignSends},
	{name: "foreign-receives", topic: "interoperation", rows: []int{60, 61},
		promise: "Another client reads a message of this driver, with its headers.",
		needs:   []need{foreigner},
		run:     foreignReceives},
}

func (t *trial) foreignHeaders() map[string]string {
	if t.caps.NoHeaders {
		return nil
	}
	return map[string]string{"x-foreign": "value"}
}

func foreignSends(t *trial) {
	l := t.open(setup{})
	in := l.receive(accept)
	send := func(payload []byte) {
		ctx, cancel := context.WithTimeout(t.ctx, t.arrive)
		defer cancel()
		err := aside(func() error { return t.d.foreign.Send(ctx, l.directURL(), l.address, payload, t.foreignHeaders()) })
		t.must(err, "the foreign client's send")
	}
	for i, payload := range []string{"from elsewhere", "ü and more", text(0)} {
		send([]byte(payload))
		got := in.wait(i + 1)[i]
		if got.text != payload {
			t.fail("expected %q, got %q", payload, got.text)
		}
		for key, want := range t.foreignHeaders() {
			if have := got.in.Header(key); have != want {
				t.fail("expected the header %s: %s, got %v", key, want, got.in.Headers())
			}
		}
	}
}

// directURL is the server's, not the proxy's.
func (l *link) directURL() string {
	if l.t.caps.NoServer {
		return l.url
	}
	return l.t.d.broker.URL
}

func foreignReceives(t *trial) {
	if t.caps.NoServer {
		t.skip("the foreign client would have to listen")
	}
	l := t.open(setup{})
	ctx, cancel := context.WithTimeout(t.ctx, t.arrive)
	defer cancel()
	ready, done := make(chan struct{}), make(chan struct{})
	var payload []byte
	var headers map[string]string
	var err error
	go func() {
		defer close(done)
		err = aside(func() (err error) {
			payload, headers, err = t.d.foreign.Receive(ctx, l.directURL(), l.address, func() { close(ready) })
			return err
		})
	}()
	select {
	case <-ready:
	case <-done:
		t.must(err, "the foreign client's receive")
	case <-time.After(t.arrive):
		t.fatal("the foreign client was not ready in time")
	}
	out := t.envelope(text(0))
	if sent := t.foreignHeaders(); sent != nil {
		out.SetHeaders(map[string]any{"x-foreign": sent["x-foreign"]})
	}
	t.must(l.publisher.Send(t.ctx, out), "Send")
	<-done
	t.must(err, "the foreign client's receive")
	if !bytes.Equal(payload, []byte(text(0))) {
		t.fail("expected the foreign client to read %q, it read %q", text(0), payload)
	}
	if headers != nil && headers["x-foreign"] != "value" && !t.caps.NoHeaders {
		t.fail("expected the foreign client to see x-foreign: value, it saw %v", headers)
	}
}
