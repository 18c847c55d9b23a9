package streams

import (
	"errors"
	"fmt"
	"iter"

	"github.com/redis/go-redis/v9"
)

// entry is one of a stream. The fields are key after value, as the server gives
// them: the library's own form loses repeated ones.
type entry struct {
	id     string
	fields []string // nil where it was trimmed
}

func (e entry) all() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for i := 0; i+1 < len(e.fields); i += 2 {
			if !yield(e.fields[i], e.fields[i+1]) {
				return
			}
		}
	}
}

func (e entry) value(key string) (string, bool) {
	for k, v := range e.all() {
		if k == key {
			return v, true
		}
	}
	return "", false
}

var errAnswer = errors.New("unreadable answer")

// ofStream reads the answer of XREAD and XREADGROUP for one stream.
func ofStream(answer any, err error) ([]entry, error) {
	if errors.Is(err, redis.Nil) {
		return nil, nil // nothing came while the server waited
	}
	if err != nil {
		return nil, err
	}
	streams, _ := answer.([]any)
	if byName, ok := answer.(map[any]any); ok { // of protocol 3
		for name, entries := range byName {
			streams = append(streams, []any{name, entries})
		}
	}
	if len(streams) != 1 {
		return nil, fmt.Errorf("%w: %d streams", errAnswer, len(streams))
	}
	stream, _ := streams[0].([]any)
	if len(stream) != 2 {
		return nil, fmt.Errorf("%w: %d parts of a stream", errAnswer, len(stream))
	}
	entries, _, err := readEntries(stream[1])
	return entries, err
}

// ofClaim reads the answer of XAUTOCLAIM: where to go on, and the entries. Holes
// are entries that were trimmed, of which Redis 6 does not tell the id here.
func ofClaim(answer any, err error) (next string, entries []entry, holes int, _ error) {
	if err != nil {
		return "", nil, 0, err
	}
	parts, _ := answer.([]any)
	if len(parts) < 2 {
		return "", nil, 0, fmt.Errorf("%w: %d parts of a claim", errAnswer, len(parts))
	}
	next, _ = parts[0].(string)
	entries, holes, err = readEntries(parts[1])
	return next, entries, holes, err
}

func readEntries(answer any) (entries []entry, holes int, _ error) {
	list, ok := answer.([]any)
	if !ok {
		return nil, 0, fmt.Errorf("%w: %T for entries", errAnswer, answer)
	}
	for _, item := range list {
		if item == nil {
			holes++
			continue
		}
		pair, _ := item.([]any)
		if len(pair) != 2 {
			return nil, 0, fmt.Errorf("%w: %d parts of an entry", errAnswer, len(pair))
		}
		id, ok := pair[0].(string)
		if !ok {
			return nil, 0, fmt.Errorf("%w: %T for an id", errAnswer, pair[0])
		}
		e := entry{id: id}
		if values, ok := pair[1].([]any); ok {
			e.fields = make([]string, len(values))
			for i, v := range values {
				if e.fields[i], ok = v.(string); !ok {
					return nil, 0, fmt.Errorf("%w: %T in an entry", errAnswer, v)
				}
			}
		}
		entries = append(entries, e)
	}
	return entries, holes, nil
}
