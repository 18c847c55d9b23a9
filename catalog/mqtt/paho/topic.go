package paho

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"unicode/utf8"
)

// topicName checks a topic that messages are sent to.
func topicName(topic string) error {
	if strings.ContainsAny(topic, "+#") {
		return fmt.Errorf("the topic %q holds a wildcard, which only a Subscriber can have", topic)
	}
	if topic == "" {
		return errors.New("the topic is empty")
	}
	return text("the topic", topic)
}

// topicFilter makes the filter of an address that may hold wildcards and name
// the group of a shared subscription.
func topicFilter(address, group string) (string, error) {
	filter := address
	if strings.ContainsAny(group, "+#/") {
		return "", fmt.Errorf("%q is no name for a group", group)
	}
	if group != "" {
		if strings.HasPrefix(address, "$share/") {
			return "", errors.New("the group is given twice, in the address and in the operation bindings")
		}
		filter = "$share/" + group + "/" + address
	}
	rest := filter
	if shared, ok := strings.CutPrefix(filter, "$share/"); ok {
		group, topic, _ := strings.Cut(shared, "/")
		if group == "" || strings.ContainsAny(group, "+#") {
			return "", fmt.Errorf("%q names no group", address)
		}
		rest = topic
	}
	if rest == "" {
		return "", errors.New("the address is empty")
	}
	levels := strings.Split(rest, "/")
	for i, level := range levels {
		if strings.Contains(level, "#") && (level != "#" || i < len(levels)-1) {
			return "", fmt.Errorf("%q: # stands for all the levels at the end, alone", address)
		}
		if strings.Contains(level, "+") && level != "+" {
			return "", fmt.Errorf("%q: + stands for one level, alone", address)
		}
	}
	return filter, text("the address", filter)
}

// text checks what goes out as an MQTT string. The library would cut one that
// is too long; servers hang up on control characters, which the standard
// (1.5.4) allows them to.
func text(what, s string) error {
	if len(s) > math.MaxUint16 {
		return fmt.Errorf("%w: %s has %d bytes, 65535 are possible", ErrUnsupported, what, len(s))
	}
	if !utf8.ValidString(s) {
		return fmt.Errorf("%w: %s is not UTF-8", ErrUnsupported, what)
	}
	for _, r := range s {
		if r < 0x20 || r >= 0x7f && r < 0xa0 || r&0xfffe == 0xfffe || r >= 0xfdd0 && r <= 0xfdef {
			return fmt.Errorf("%w: %s holds the character %U, which MQTT has no place for", ErrUnsupported, what, r)
		}
	}
	return nil
}
