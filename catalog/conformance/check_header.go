package conformance

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"
)

var headerChecks = []check{
	{name: "header-values", topic: "headers", rows: []int{6},
		promise: "A header value arrives as it was set or is refused with ErrUnsupported; it is never changed or dropped.",
		needs:   []need{headers},
		run:     headerValues},
	{name: "header-binary", topic: "headers", rows: []int{6},
		promise: "A binary header value arrives byte for byte or is refused with ErrUnsupported.",
		needs:   []need{headers},
		run:     headerBinary},
	{name: "header-types", topic: "headers", rows: []int{6},
		promise: "Numbers, booleans and times arrive readable or are refused with ErrUnsupported.",
		needs:   []need{headers},
		run:     headerTypes},
	{name: "header-repeated", topic: "headers", rows: []int{6},
		promise: "A repeated header arrives with all its values in order or is refused with ErrUnsupported.",
		needs:   []need{headers},
		run:     headerRepeated},
	{name: "header-keys", topic: "headers", rows: []int{6},
		promise: "A header key arrives as it was set or is refused with ErrUnsupported.",
		needs:   []need{headers},
		run:     headerKeys},
	{name: "header-refused", topic: "headers", rows: []int{6, 56},
		promise: "A header of another type is ErrUnsupported from Send, and nothing is sent.",
		run:     headerRefused},
	{name: "headers-apart", topic: "headers",
		promise: "Each message has its own headers and content type, also when they are set anew on one envelope.",
		needs:   []need{headers},
		run:     headersApart},
	{name: "headers-refused", topic: "headers",
		promise: "Where messages carry no headers, setting one is ErrUnsupported from Send.",
		needs:   []need{noHeaders},
		run: func(t *trial) {
			t.refusesEnvelope(func(out EnvelopeOut) { out.SetHeaders(map[string]any{"key": "value"}) })
		}},
	{name: "content-type-refused", topic: "headers",
		promise: "Where messages carry no content type, setting one is ErrUnsupported from Send.",
		needs:   []need{noType},
		run:     func(t *trial) { t.refusesEnvelope(func(out EnvelopeOut) { out.SetContentType("text/plain") }) }},
	{name: "content-type-values", topic: "headers", rows: []int{1},
		promise: "A content type arrives as it was set; none is none.",
		needs:   []need{contentType},
		run:     contentTypeValues},
}

// header gives all values of a header as text.
func (t *trial) header(in EnvelopeIn, key string) []string {
	value, found := in.Headers()[key]
	if !found && t.caps.FoldedHeaderKeys {
		for k, v := range in.Headers() {
			if strings.EqualFold(k, key) {
				value, found = v, true
			}
		}
	}
	if !found {
		return nil
	}
	return values(value)
}

func values(value any) []string {
	switch v := value.(type) {
	case []byte:
		return []string{string(v)}
	case string:
		return []string{v}
	}
	if slice := reflect.ValueOf(value); slice.Kind() == reflect.Slice {
		var all []string
		for i := 0; i < slice.Len(); i++ {
			all = append(all, values(slice.Index(i).Interface())...)
		}
		return all
	}
	return []string{fmt.Sprint(value)}
}

// sendHeader sends a message with one header and gives it as it came, nil if
// it was refused as it should be.
func (l *link) sendHeader(in *inbox, key string, value any) EnvelopeIn {
	l.t.Helper()
	before := len(in.texts())
	out := l.t.envelope(text(before))
	out.SetHeaders(map[string]any{key: value})
	err := l.publisher.Send(l.t.ctx, out)
	if errors.Is(err, l.t.d.errors.Unsupported) {
		l.t.Logf("the header %.40q: %.40q is refused: %v", key, fmt.Sprint(value), err)
		return nil
	}
	l.t.must(err, fmt.Sprintf("Send with the header %.40q: %.40q", key, fmt.Sprint(value)))
	return in.wait(before + 1)[before].in
}

func headerValues(t *trial) {
	l := t.open(setup{})
	in := l.receive(accept)
	for _, value := range []string{
		"", " ", "  two  ", "\ttab", "a\nb", "a\r\nX-Injected: b", "\x00", "nul\x00inside", "ü", "日本語", "🙂", "\u202eabc",
		`"quoted"`, `back\slash`, "a,b;c=d", "%20", "true", "1e400", strings.Repeat("long", 1000),
	} {
		got := l.sendHeader(in, "x-value", value)
		if got == nil {
			if value == "true" {
				t.fail("a plain text value was refused")
			}
			continue
		}
		if have := t.header(got, "x-value"); len(have) != 1 || have[0] != value || got.Header("x-value") != value {
			t.fail("expected the header value %.40q, got %.40q and Header() %.40q", value, have, got.Header("x-value"))
		}
	}
}

func headerBinary(t *trial) {
	l := t.open(setup{})
	in := l.receive(accept)
	for _, value := range [][]byte{{}, []byte("text"), {0, 1, 255, 254}, pattern(256)} {
		got := l.sendHeader(in, "x-binary", bytes.Clone(value))
		if got == nil {
			continue
		}
		if have := t.header(got, "x-binary"); len(have) != 1 || have[0] != string(value) {
			t.fail("expected the header value %.40q, got %.40q", value, have)
		}
	}
}

func headerTypes(t *trial) {
	l := t.open(setup{})
	in := l.receive(accept)
	for _, c := range []struct {
		value any
		want  string
	}{
		{42, "42"}, {int64(-1 << 62), "-4611686018427387904"}, {int8(-7), "-7"}, {uint16(65535), "65535"}, {uint64(1 << 62), "4611686018427387904"},
		{true, "true"}, {false, "false"}, {1.5, "1.5"}, {float32(0.25), "0.25"},
	} {
		if got := l.sendHeader(in, "x-typed", c.value); got != nil && got.Header("x-typed") != c.want {
			t.fail("expected the header %T(%v) to read %q, got %q", c.value, c.value, c.want, got.Header("x-typed"))
		}
	}
	moment := time.Date(2024, 2, 29, 12, 30, 15, 0, time.UTC)
	if got := l.sendHeader(in, "x-time", moment); got != nil && !strings.Contains(got.Header("x-time"), "2024") {
		t.fail("expected the header %v to be readable, got %q", moment, got.Header("x-time"))
	}
}

func headerRepeated(t *trial) {
	l := t.open(setup{})
	in := l.receive(accept)
	for _, c := range []struct {
		value any
		want  string
	}{
		{[]string{"a", "b", "a"}, "a|b|a"}, {[][]byte{{'x'}, {'y'}}, "x|y"}, {[]int{1, 2}, "1|2"}, {[]any{"a", 1}, "a|1"},
	} {
		got := l.sendHeader(in, "x-repeated", c.value)
		if got == nil {
			continue
		}
		first, _, _ := strings.Cut(c.want, "|")
		if have := strings.Join(t.header(got, "x-repeated"), "|"); have != c.want || got.Header("x-repeated") != first {
			t.fail("expected %v to come as %q with %q first, got %q with %q first", c.value, c.want, first, have, got.Header("x-repeated"))
		}
	}
}

func headerKeys(t *trial) {
	l := t.open(setup{})
	in := l.receive(accept)
	for _, key := range []string{"x", "X-Mixed-Case", "under_score", "dotted.key", "with space", "ключ", strings.Repeat("k", 100)} {
		got := l.sendHeader(in, key, "value")
		if got == nil {
			if key == "x" {
				t.fail("a plain key was refused")
			}
			continue
		}
		if have := t.header(got, key); len(have) != 1 || have[0] != "value" || got.Header(key) != "value" {
			t.fail("expected the key %q, got the headers %v", key, got.Headers())
		}
	}
}

// refusesEnvelope checks that an envelope is refused and nothing of it comes.
func (t *trial) refusesEnvelope(set func(EnvelopeOut)) {
	t.Helper()
	l := t.open(setup{})
	in := l.receive(accept)
	out := t.envelope("refused")
	set(out)
	if err := l.publisher.Send(t.ctx, out); !errors.Is(err, t.d.errors.Unsupported) {
		t.fail("expected ErrUnsupported from Send, got %s", describe(err))
	}
	l.send(text(0))
	in.waitFor(text(0))
	if got := in.texts(); len(got) != 1 {
		t.fail("expected only the message that was not refused, got %s", short(got))
	}
}

func headerRefused(t *trial) {
	t.refusesEnvelope(func(out EnvelopeOut) {
		out.SetHeaders(map[string]any{"x-good": "1", "x-bad": struct{ A int }{1}})
	})
	t.refusesEnvelope(func(out EnvelopeOut) { out.SetHeaders(map[string]any{"x-bad": map[string]string{"a": "b"}}) })
}

func headersApart(t *trial) {
	l := t.open(setup{})
	in := l.receive(accept)
	out := t.d.newEnvelope()
	const n = 20
	for i := 0; i < n; i++ {
		headers := map[string]any{"x-number": text(i), fmt.Sprintf("x-only-%d", i): "1"}
		out.SetPayload([]byte(text(i)))
		out.SetHeaders(headers)
		if !t.caps.NoContentType {
			out.SetContentType(fmt.Sprintf("text/x-%d", i))
		}
		t.must(l.publisher.Send(t.ctx, out), "Send")
		clear(headers)
	}
	for _, d := range in.wait(n) {
		i := number(d.text)
		if have := d.in.Header("x-number"); have != d.text {
			t.fail("expected %s to have the header x-number: %s, got %q", d.text, d.text, have)
		}
		for other := 0; other < n; other++ {
			if has := d.in.Header(fmt.Sprintf("x-only-%d", other)) != ""; has != (other == i) {
				t.fail("%s has headers of another message or lacks its own: %v", d.text, d.in.Headers())
				break
			}
		}
		if want := fmt.Sprintf("text/x-%d", i); !t.caps.NoContentType && d.in.ContentType() != want {
			t.fail("expected %s to have the content type %s, got %q", d.text, want, d.in.ContentType())
		}
	}
}

func contentTypeValues(t *trial) {
	l := t.open(setup{})
	in := l.receive(accept)
	for i, want := range []string{"application/json", "text/plain; charset=utf-8", `multipart/mixed; boundary="a b"`, ""} {
		out := t.envelope(text(i))
		if want != "" {
			out.SetContentType(want)
		}
		t.must(l.publisher.Send(t.ctx, out), "Send")
		if have := in.wait(i + 1)[i].in.ContentType(); have != want {
			t.fail("expected the content type %q, got %q", want, have)
		}
	}
}
