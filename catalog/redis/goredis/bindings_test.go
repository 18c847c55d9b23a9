package goredis_test

import (
	"encoding/json"
	"errors"
	"testing"

	driver "github.com/asyncapi-impl/asyncapi-impl/catalog/redis/goredis"
	"github.com/asyncapi-impl/asyncapi-impl/internal/redistest"
)

func TestPatternIsSubscribedTo(t *testing.T) {
	url, prefix := redistest.URL(t), newChannel()
	c, p := consumer(t, url, nil), producer(t, url, nil)
	pattern := subscriber(t, c, prefix+".*", &driver.ChannelBindings{Pattern: true})
	// Without the binding the address is a name, whatever it looks like.
	literal := subscriber(t, c, prefix+".*", nil)
	if n, err := p.Native().PubSubNumPat(t.Context()).Result(); err != nil || n != 1 {
		t.Errorf("the server has %d patterns: %v", n, err)
	}
	send(t, publisher(t, p, prefix+".a"), "1")
	send(t, publisher(t, p, prefix), "not this")
	send(t, publisher(t, p, prefix+".*"), "2")
	got := receive(t, pattern, 2)
	if payloads(got) != "1 2" || got[0].Address() != prefix+".a" || got[1].Address() != prefix+".*" || got[0].Native().Pattern != prefix+".*" {
		t.Errorf("the pattern got %s from %s and %s", payloads(got), got[0].Address(), got[1].Address())
	}
	if got := receive(t, literal, 1); payloads(got) != "2" {
		t.Errorf("the name got %s", payloads(got))
	}
	if _, err := p.Publisher(t.Context(), prefix, &driver.ChannelBindings{Pattern: true}); !errors.Is(err, driver.ErrUnsupported) {
		t.Errorf("publisher of a pattern: %v", err)
	}
}

func TestBindingsForStreamsAreRefused(t *testing.T) {
	url, most := redistest.URL(t), int64(10)
	p, c := producer(t, url, nil), consumer(t, url, nil)
	for name, b := range map[string]*driver.ChannelBindings{
		"x-maxLen":   {MaxLen: &most},
		"x-group":    {Operation: &driver.OperationBindings{Group: "g"}},
		"x-consumer": {Operation: &driver.OperationBindings{Consumer: "c"}},
	} {
		if _, err := p.Publisher(t.Context(), "a", b); !errors.Is(err, driver.ErrUnsupported) {
			t.Errorf("%s: publisher: %v", name, err)
		}
		if _, err := c.Subscriber(t.Context(), "a", b); !errors.Is(err, driver.ErrUnsupported) {
			t.Errorf("%s: subscriber: %v", name, err)
		}
	}
	for name, o := range map[string]*driver.Options{"ClaimAfter": {ClaimAfter: 1}, "Prefetch": {Prefetch: 1}} {
		if _, err := driver.NewProducer(url, nil, o); !errors.Is(err, driver.ErrUnsupported) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestBindingsFromJSON(t *testing.T) {
	var b driver.ChannelBindings
	err := json.Unmarshal([]byte(`{"x-pattern": true, "x-maxLen": 7, "x-other": {}, "bindingVersion": "0.1.0",
		"operation": {"x-group": "g", "x-consumer": "c"}}`), &b)
	if err != nil || !b.Pattern || *b.MaxLen != 7 || b.BindingVersion != "0.1.0" || b.Operation.Group != "g" || b.Operation.Consumer != "c" {
		t.Errorf("%+v: %v", b, err)
	}
	for name, to := range map[string]any{
		"server": &driver.ServerBindings{}, "channel": &driver.ChannelBindings{},
		"operation": &driver.OperationBindings{}, "message": &driver.MessageBindings{},
	} {
		if err := json.Unmarshal([]byte(`{"bindingVersion": "0.1.0"}`), to); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := json.Unmarshal([]byte(`{"db": 1}`), to); !errors.Is(err, driver.ErrUnsupported) {
			t.Errorf("%s: a field that AsyncAPI does not have: %v", name, err)
		}
		if err := json.Unmarshal([]byte(`[]`), to); err == nil {
			t.Errorf("%s: an array was accepted", name)
		}
	}
}
