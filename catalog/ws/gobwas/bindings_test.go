package gobwas_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	driver "github.com/asyncapi-impl/asyncapi-impl/catalog/ws/gobwas"
)

// handshake gives the request that the bindings make, or the error.
func handshake(t testing.TB, b *driver.ChannelBindings, change ...func(*driver.Options)) (*http.Request, error) {
	t.Helper()
	c := consumer(t, anywhere, quick())
	sub := subscriber(t, c, "a", nil)
	pub, err := producer(t, c.URL(), quick(change...)).Publisher(t.Context(), "a", b)
	if err != nil {
		return nil, err
	}
	send(t, pub, text("x"))
	return receive(t, sub, 1)[0].Peer().Request(), nil
}

func TestBindingMethod(t *testing.T) {
	for method, want := range map[string]error{"": nil, "GET": nil, "POST": driver.ErrUnsupported, "PUT": errors.New("another")} {
		b, err := decode(t, `{"method": "`+method+`", "bindingVersion": "0.1.0"}`)
		if err != nil {
			t.Fatal(err)
		}
		_, err = handshake(t, b)
		if (err == nil) != (want == nil) || errors.Is(want, driver.ErrUnsupported) && !errors.Is(err, want) {
			t.Errorf("%s: %v", method, err)
		}
		if _, err := consumer(t, anywhere, quick()).Subscriber(t.Context(), "a", b); (err == nil) != (want == nil) {
			t.Errorf("%s for a side that listens: %v", method, err)
		}
	}
}

const schemas = `{
	"query": {"type": "object", "description": "d", "required": ["v", "n"], "properties": {
		"v": {"type": "string", "const": "2"}, "n": {"type": "integer", "default": 5, "title": "t"},
		"only": {"enum": ["one"]}, "choice": {"type": "string", "enum": ["a", "b"]}, "free": {"type": "string", "pattern": "^[a-z]+$"},
		"flag": {"type": "boolean"}, "rate": {"type": "number"}, "fixed": {"enum": [true, 1.5], "const": 1.5}}},
	"headers": {"type": "object", "required": ["x-client"], "properties": {
		"x-client": {"type": "string", "default": "go"}, "X-Trace": {"type": "string"}}}}`

// TestBindingsSent: the dialling side sends what the schemas give a value for.
func TestBindingsSent(t *testing.T) {
	b, err := decode(t, schemas)
	if err != nil {
		t.Fatal(err)
	}
	r, err := handshake(t, b)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := r.URL.RawQuery, "fixed=1.5&n=5&only=one&v=2"; got != want {
		t.Errorf("query %q, want %q", got, want)
	}
	if r.Header.Get("X-Client") != "go" || r.Header.Get("X-Trace") != "" {
		t.Errorf("headers %v", r.Header)
	}
	r, err = handshake(t, b, func(o *driver.Options) {
		o.Query, o.Header = map[string][]string{"choice": {"b"}, "n": {"7"}, "extra": {"1"}}, http.Header{"X-Trace": {"t"}, "X-Client": {"mine"}}
	})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := r.URL.RawQuery, "choice=b&extra=1&fixed=1.5&n=7&only=one&v=2"; got != want {
		t.Errorf("query %q, want %q", got, want)
	}
	if r.Header.Get("X-Client") != "mine" || r.Header.Get("X-Trace") != "t" {
		t.Errorf("headers %v", r.Header)
	}
}

// TestBindingsChecked: both sides refuse what does not fit, the one before it
// dials, the other with status 400.
func TestBindingsChecked(t *testing.T) {
	b, err := decode(t, schemas)
	if err != nil {
		t.Fatal(err)
	}
	c := consumer(t, anywhere, quick())
	subscriber(t, c, "a", b)
	for query, works := range map[string]bool{
		"v=2&n=1": true, "v=2&n=1&choice=a&free=abc&flag=true&rate=1.5&other=x": true,
		"v=2": false, "n=1": false, "v=3&n=1": false, "v=2&n=x": false, "v=2&n=1.5": false, "v=2&n=1&choice=c": false,
		"v=2&n=1&free=ABC": false, "v=2&n=1&flag=1": false, "v=2&n=1&rate=fast": false, "v=2&n=1&n=x": false, "v=2&n=1&only=two": false,
	} {
		p := producer(t, c.URL(), quick(func(o *driver.Options) {
			o.Query, o.Header = map[string][]string{}, http.Header{"X-Client": {"c"}}
			for _, pair := range strings.Split(query, "&") {
				name, value, _ := strings.Cut(pair, "=")
				o.Query[name] = append(o.Query[name], value)
			}
		}))
		_, err := p.Publisher(t.Context(), "a", nil)
		if works != (err == nil) || !works && (!errors.Is(err, driver.ErrRefused) || !strings.Contains(err.Error(), "400")) {
			t.Errorf("%s: the side that listens: %v", query, err)
		}
	}
	missing := producer(t, c.URL(), quick(func(o *driver.Options) { o.Query = map[string][]string{"v": {"2"}, "n": {"1"}} }))
	if _, err := missing.Publisher(t.Context(), "a", nil); !errors.Is(err, driver.ErrRefused) || !strings.Contains(err.Error(), "x-client") {
		t.Errorf("without a header: %v", err)
	}
	for name, change := range map[string]func(*driver.Options){
		"choice": func(o *driver.Options) { o.Query = map[string][]string{"choice": {"c"}} },
		"v":      func(o *driver.Options) { o.Query = map[string][]string{"v": {"3"}} },
	} {
		if _, err := producer(t, c.URL(), quick(change)).Publisher(t.Context(), "a", b); err == nil || errors.Is(err, driver.ErrRefused) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: the side that dials: %v", name, err)
		}
	}
	required := &driver.ChannelBindings{Headers: &driver.Parameters{Required: []string{"authorization"}}}
	if _, err := handshake(t, required); err == nil || !strings.Contains(err.Error(), "authorization") {
		t.Errorf("a header that nobody gives: %v", err)
	}
	if _, err := handshake(t, required, func(o *driver.Options) { o.Security = driver.UserPassword{User: "u"} }); err != nil {
		t.Errorf("a header that the security gives: %v", err)
	}
}

// TestBindingsProtocol: a subprotocol given as a header is negotiated.
func TestBindingsProtocol(t *testing.T) {
	c := consumer(t, anywhere, quick(func(o *driver.Options) { o.Subprotocols = []string{"graphql-ws"} }))
	subscriber(t, c, "a", nil)
	b, err := decode(t, `{"headers": {"type": "object", "properties": {"Sec-WebSocket-Protocol": {"const": "graphql-ws"}}}}`)
	if err != nil {
		t.Fatal(err)
	}
	if got := publisher(t, producer(t, c.URL(), quick()), "a", b).Peers()[0].Subprotocol(); got != "graphql-ws" {
		t.Errorf("subprotocol %q", got)
	}
}

// TestBindingsRefused: what the driver can't honour is an error, never ignored.
func TestBindingsRefused(t *testing.T) {
	for text, unsupported := range map[string]bool{
		`{"query": {"type": "array"}}`:                                                  false,
		`{"query": {"$ref": "#/components/schemas/q"}}`:                                 false,
		`{"query": {"properties": {"a": {"$ref": "#/x"}}}}`:                             false,
		`{"query": {"properties": {"a": {"type": "object"}}}}`:                          true,
		`{"query": {"properties": {"a": {"minLength": 2}}}}`:                            true,
		`{"query": {"properties": {"a": {"pattern": "("}}}}`:                            false,
		`{"query": {"additionalProperties": false}}`:                                    true,
		`{"headers": {"allOf": []}}`:                                                    true,
		`{"headers": {"properties": 5}}`:                                                false,
		`{"headers": {"properties": {"Upgrade": {"type": "string"}}}}`:                  true,
		`{"headers": {"properties": {"sec-websocket-extensions": {"type": "string"}}}}`: true,
		`{"headers": {"properties": {"Host": {"const": "a"}}}}`:                         true,
	} {
		b, err := decode(t, text)
		if err == nil {
			_, err = handshake(t, b)
		}
		if err == nil || unsupported != errors.Is(err, driver.ErrUnsupported) {
			t.Errorf("%s: %v", text, err)
		}
	}
	if _, err := handshake(t, &driver.ChannelBindings{Query: &driver.Parameters{Properties: map[string]driver.Parameter{"a": {Type: "array", Enum: []string{"x"}}}}}); !errors.Is(err, driver.ErrUnsupported) {
		t.Errorf("an unknown type: %v", err)
	}
	if b, err := decode(t, `{"query": {"x-note": 1, "properties": {"a": {"description": "d", "examples": ["b"], "x-note": 1, "format": "uuid"}}}}`); err != nil {
		t.Error(err)
	} else if _, err := handshake(t, b); err != nil {
		t.Error(err)
	}
}
