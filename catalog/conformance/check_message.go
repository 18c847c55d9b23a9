package conformance

import (
	"bytes"
	"errors"
	"io"
	"strings"
)

var messageChecks = []check{
	{name: "round-trip", topic: "messages", rows: []int{1},
		promise: "A message arrives with its payload, headers and content type.",
		run:     roundTrip},
	{name: "empty-payload", topic: "messages", rows: []int{2},
		promise: "A message without payload is a message.",
		run:     func(t *trial) { t.sameBytes([]byte{}) }},
	{name: "payload-sizes", topic: "messages", rows: []int{3},
		promise: "Payloads of every size up to the documented maximum arrive whole.",
		run:     payloadSizes},
	{name: "binary-payload", topic: "messages", rows: []int{5},
		promise: "A payload arrives byte for byte, whether it is text or not.",
		run:     binaryPayload},
	{name: "payload-too-large", topic: "messages", rows: []int{4, 56},
		promise: "A payload over the maximum is ErrTooLarge, and the publisher goes on to work.",
		needs:   []need{limited},
		run:     payloadTooLarge},
	{name: "envelope-reuse", topic: "messages",
		promise: "An envelope can be sent twice; Write appends, ResetPayload empties, SetPayload replaces.",
		run:     envelopeReuse},
	{name: "payload-not-retained", topic: "messages",
		promise: "A published payload is not retained after Send.",
		run:     payloadNotRetained},
	{name: "received-payload-owned", topic: "messages",
		promise: "A received payload belongs to the handler: later messages leave it alone.",
		run:     receivedPayloadOwned},
	{name: "received-payload-apart", topic: "messages",
		promise: "A received payload belongs to the handler: changing it does not reach the next delivery.",
		needs:   []need{redelivery},
		run:     receivedPayloadApart},
	{name: "envelope-read", topic: "messages",
		promise: "Read gives the payload piece by piece and then io.EOF.",
		run:     envelopeRead},
}

func roundTrip(t *trial) {
	l := t.open(setup{})
	in := l.receive(accept)
	out := t.envelope(text(0))
	if !t.caps.NoHeaders {
		out.SetHeaders(map[string]any{"x-request-id": "42", "x-other": "a b"})
	}
	if !t.caps.NoContentType {
		out.SetContentType("application/vnd.test+json")
	}
	t.must(l.publisher.Send(t.ctx, out), "Send")
	got := in.wait(1)[0]
	if got.text != text(0) {
		t.fail("expected the payload %q, got %q", text(0), got.text)
	}
	if !t.caps.NoHeaders {
		for key, want := range map[string]string{"x-request-id": "42", "x-other": "a b", "x-absent": ""} {
			if have := got.in.Header(key); have != want {
				t.fail("expected Header(%q) to be %q, got %q", key, want, have)
			}
		}
		if values := t.header(got.in, "x-request-id"); len(values) != 1 || values[0] != "42" {
			t.fail("expected Headers() to hold x-request-id: 42, got %v", got.in.Headers())
		}
	}
	if have := got.in.ContentType(); !t.caps.NoContentType && have != "application/vnd.test+json" {
		t.fail("expected the content type application/vnd.test+json, got %q", have)
	}
	in.stop()
}

// sameBytes sends payloads and compares what comes.
func (t *trial) sameBytes(payloads ...[]byte) {
	t.Helper()
	l := t.open(setup{})
	in := l.receive(accept)
	for i, payload := range payloads {
		out := t.d.newEnvelope()
		out.SetPayload(bytes.Clone(payload))
		t.must(l.publisher.Send(t.ctx, out), "Send")
		got := in.wait(i + 1)[i].in.Payload()
		if !bytes.Equal(got, payload) {
			t.fatal("a payload of %d bytes came as %d bytes, the first difference is at %d", len(payload), len(got), difference(payload, got))
		}
	}
}

func difference(a, b []byte) int {
	for i := range a {
		if i >= len(b) || a[i] != b[i] {
			return i
		}
	}
	return len(a)
}

func payloadSizes(t *trial) {
	limit := 1 << 20
	if t.caps.MaxPayload > 0 {
		limit = t.caps.MaxPayload
	}
	var payloads [][]byte
	for _, size := range []int{1, 1000, 32<<10 + 1, 64<<10 + 1, 1 << 20, limit} {
		if size <= limit {
			payloads = append(payloads, pattern(size))
		}
	}
	t.sameBytes(payloads...)
}

// pattern is a payload in which every cut shows.
func pattern(size int) []byte {
	payload := make([]byte, size)
	for i := range payload {
		payload[i] = byte(i ^ i>>8 ^ i>>16)
	}
	return payload
}

func binaryPayload(t *trial) {
	t.sameBytes(pattern(256), []byte{0}, []byte("\xff\xfe\xc3("), []byte("a\r\n\r\nb\n"), []byte("\n"), []byte("\x00\x00\x00\x05hello"))
}

func payloadTooLarge(t *trial) {
	l := t.open(setup{})
	in := l.receive(accept)
	out := t.d.newEnvelope()
	out.SetPayload(make([]byte, t.caps.MaxPayload+1))
	if err := l.publisher.Send(t.ctx, out); !errors.Is(err, t.d.errors.TooLarge) {
		t.fail("expected ErrTooLarge for a payload of %d bytes, got %s", t.caps.MaxPayload+1, describe(err))
	}
	l.send(text(0))
	if got := in.wait(1)[0].text; got != text(0) {
		t.fail("expected only the next message, got one of %d bytes", len(got))
	}
}

func envelopeReuse(t *trial) {
	l := t.open(setup{})
	in := l.receive(accept)
	out := t.d.newEnvelope()
	send := func() { t.must(l.publisher.Send(t.ctx, out), "Send") }
	for _, part := range []string{"one ", "two"} {
		if n, err := out.Write([]byte(part)); n != len(part) || err != nil {
			t.fail("expected Write to give %d and nil, got %d and %v", len(part), n, err)
		}
	}
	send()
	send()
	out.ResetPayload()
	out.Write([]byte("three"))
	send()
	out.SetPayload([]byte("four"))
	send()
	var got []string
	for _, d := range in.wait(4) {
		got = append(got, d.text)
	}
	if t.caps.Unordered {
		return
	}
	if want := "one two|one two|three|four"; strings.Join(got, "|") != want {
		t.fail("expected %q, got %q", want, strings.Join(got, "|"))
	}
}

func payloadNotRetained(t *trial) {
	l := t.open(setup{})
	in := l.receive(accept)
	payload := []byte(text(0))
	out := t.d.newEnvelope()
	out.SetPayload(payload)
	for i := 0; i < 20; i++ {
		copy(payload, text(i))
		t.must(l.publisher.Send(t.ctx, out), "Send")
		copy(payload, "overwritten...")
	}
	in.waitFor(texts(0, 20)...)
}

func receivedPayloadOwned(t *trial) {
	l := t.open(setup{})
	in := l.receive(accept)
	l.send(texts(0, 50)...)
	for _, d := range in.wait(50) {
		if now := string(d.in.Payload()); now != d.text {
			t.fatal("the payload %q had become %q when later messages had come", d.text, now)
		}
	}
}

func receivedPayloadApart(t *trial) {
	l := t.open(setup{Channel: Channel{Group: "owners"}})
	in := l.receive(func(d delivery) error {
		payload := d.in.Payload()
		for i := range payload {
			payload[i] = 'x'
		}
		if d.nth == 1 && number(d.text) == 0 {
			return errors.New("once more")
		}
		return nil
	})
	l.send(text(0))
	if got := in.wait(2)[1].text; got != text(0) {
		t.fail("expected the second delivery to be %q, got %q", text(0), got)
	}
}

func envelopeRead(t *trial) {
	l := t.open(setup{})
	in := l.receive(accept)
	l.send(text(0))
	envelope := in.wait(1)[0].in
	var got []byte
	piece := make([]byte, 4)
	for {
		n, err := envelope.Read(piece)
		got = append(got, piece[:n]...)
		if err == io.EOF {
			break
		}
		t.must(err, "Read")
		if n == 0 {
			t.fatal("Read gave 0 and no error")
		}
	}
	if string(got) != text(0) {
		t.fail("expected to read %q, got %q", text(0), got)
	}
}
