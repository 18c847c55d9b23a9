package conformance

import (
	"fmt"
	"slices"
	"strings"
)

// text is the payload of message i: unique in the check.
func text(i int) string { return fmt.Sprintf("message-%06d", i) }

func number(payload string) int {
	i := -1
	fmt.Sscanf(payload, "message-%06d", &i)
	return i
}

func texts(from, to int) []string {
	var all []string
	for i := from; i < to; i++ {
		all = append(all, text(i))
	}
	return all
}

// without gives the payloads that are not in the other list.
func without(payloads, other []string) []string {
	in := map[string]bool{}
	for _, p := range other {
		in[p] = true
	}
	return slices.DeleteFunc(slices.Clone(payloads), func(p string) bool { return in[p] })
}

// short lists payloads readably when there are many.
func short(payloads []string) string {
	if len(payloads) == 0 {
		return "none"
	}
	shown := payloads
	if len(shown) > 12 {
		shown = append(slices.Clone(shown[:6]), "...")
		shown = append(shown, payloads[len(payloads)-5:]...)
	}
	shown = slices.Clone(shown)
	for i, p := range shown {
		if len(p) > 40 {
			shown[i] = p[:40] + "..."
		}
	}
	return "[" + strings.Join(shown, " ") + "]"
}

// firsts drops every payload that came before.
func firsts(payloads []string) []string {
	seen := map[string]bool{}
	return slices.DeleteFunc(slices.Clone(payloads), func(p string) bool {
		again := seen[p]
		seen[p] = true
		return again
	})
}
