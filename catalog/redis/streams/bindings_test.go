package streams_test

import (
	"errors"
	"fmt"
	"testing"

	driver "github.com/asyncapi-impl/asyncapi-impl/catalog/redis/streams"
	"github.com/asyncapi-impl/asyncapi-impl/internal/redistest"
)

func inGroup(group string) *driver.ChannelBindings {
	return &driver.ChannelBindings{Operation: &driver.OperationBindings{Group: group}}
}

func TestMaxLenTrims(t *testing.T) {
	url, stream := redistest.URL(t), newStream()
	p, most := producer(t, url, nil), int64(10)
	pub, err := p.Publisher(t.Context(), stream, &driver.ChannelBindings{MaxLen: &most})
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for i := range 1000 {
		all = append(all, fmt.Sprint(i))
	}
	send(t, pub, all...)
	// The server trims whole nodes, of 100 entries by default.
	if n := p.Native().XLen(t.Context(), stream).Val(); n < most || n > 200 {
		t.Errorf("the stream has %d entries", n)
	}
	entries := p.Native().XRevRangeN(t.Context(), stream, "+", "-", 1).Val()
	if len(entries) != 1 || entries[0].Values["payload"] != "999" {
		t.Errorf("the last entry is %v", entries)
	}
}

func TestGroupAndConsumerAreTheServers(t *testing.T) {
	url, stream := redistest.URL(t), newStream()
	c := consumer(t, url, nil)
	sub := subscriber(t, c, stream, &driver.ChannelBindings{Operation: &driver.OperationBindings{Group: "g", Consumer: "me"}})
	groups, err := c.Native().XInfoGroups(t.Context(), stream).Result()
	if err != nil || len(groups) != 1 || groups[0].Name != "g" {
		t.Errorf("groups %v: %v", groups, err)
	}
	send(t, publisher(t, producer(t, url, nil), stream), "x")
	receive(t, sub, 1)
	if err := sub.Close(); err != nil {
		t.Error(err)
	}
	// A member with a name of its own stays.
	members, err := c.Native().XInfoConsumers(t.Context(), stream, "g").Result()
	if err != nil || len(members) != 1 || members[0].Name != "me" {
		t.Errorf("consumers %v: %v", members, err)
	}
}

func TestBindingsThatStreamsRefuse(t *testing.T) {
	url, none := redistest.URL(t), int64(0)
	p, c := producer(t, url, nil), consumer(t, url, nil)
	for name, b := range map[string]*driver.ChannelBindings{
		"x-pattern":                 {Pattern: true},
		"x-maxLen of 0":             {MaxLen: &none},
		"x-consumer and no x-group": {Operation: &driver.OperationBindings{Consumer: "c"}},
	} {
		_, sending := p.Publisher(t.Context(), "a", b)
		_, receiving := c.Subscriber(t.Context(), "a", b)
		if sending == nil || receiving == nil {
			t.Errorf("%s: publisher %v, subscriber %v", name, sending, receiving)
		}
		if b.Pattern && (!errors.Is(sending, driver.ErrUnsupported) || !errors.Is(receiving, driver.ErrUnsupported)) {
			t.Errorf("%s: publisher %v, subscriber %v", name, sending, receiving)
		}
	}
	if _, err := p.Publisher(t.Context(), "", nil); err == nil {
		t.Error("an empty address was accepted")
	}
}
