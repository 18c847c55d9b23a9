package streadway

import (
	"encoding/binary"
	"math"
	"strconv"
)

// readable rewrites the header fields of a message that the library can't read,
// and over which it would close the connection, again and again: bytes and
// unsigned integers, which go into the next larger type. It gives false where
// nothing is to be changed.
func readable(payload []byte) ([]byte, bool) {
	const flagContentType, flagContentEncoding, flagHeaders = 0x8000, 0x4000, 0x2000
	const fixed = 14 // class, weight, size of the body, flags
	if len(payload) < fixed {
		return nil, false
	}
	flags, rest := binary.BigEndian.Uint16(payload[12:]), payload[fixed:]
	for _, flag := range []uint16{flagContentType, flagContentEncoding} {
		if flags&flag == 0 {
			continue
		}
		_, after, ok := shortText(rest)
		if !ok {
			return nil, false
		}
		rest = after
	}
	if flags&flagHeaders == 0 {
		return nil, false
	}
	before := payload[:len(payload)-len(rest)]
	table, rest, ok := longText(rest)
	if !ok {
		return nil, false
	}
	r := rewriter{}
	changed := r.table(table)
	if r.broken || !r.changed {
		return nil, false
	}
	out := append([]byte{}, before...)
	out = binary.BigEndian.AppendUint32(out, uint32(len(changed)))
	return append(append(out, changed...), rest...), true
}

func longText(in []byte) (text, rest []byte, ok bool) {
	if len(in) < 4 || uint64(len(in)-4) < uint64(binary.BigEndian.Uint32(in)) {
		return nil, nil, false
	}
	n := 4 + int(binary.BigEndian.Uint32(in))
	return in[4:n], in[n:], true
}

// rewriter copies tables field by field.
type rewriter struct{ changed, broken bool }

func (r *rewriter) table(in []byte) []byte {
	var out []byte
	for len(in) > 0 && !r.broken {
		key, rest, ok := shortText(in)
		if r.broken = !ok; r.broken {
			return nil
		}
		out = append(append(out, byte(len(key))), key...)
		out, in = r.field(out, rest)
	}
	return out
}

func (r *rewriter) array(in []byte) []byte {
	var out []byte
	for len(in) > 0 && !r.broken {
		out, in = r.field(out, in)
	}
	return out
}

// sizes are those of the types that have a fixed one.
var sizes = map[byte]int{
	't': 1, 'b': 1, 'B': 1, 's': 2, 'u': 2, 'I': 4, 'i': 4, 'l': 8, 'L': 8, 'f': 4, 'd': 8, 'D': 5, 'T': 8, 'V': 0,
}

// field appends the field that in begins with to out.
func (r *rewriter) field(out, in []byte) (_, rest []byte) {
	if r.broken = len(in) == 0; r.broken {
		return out, nil
	}
	kind, in := in[0], in[1:]
	if size, fixed := sizes[kind]; fixed {
		if r.broken = len(in) < size; r.broken {
			return out, nil
		}
		return r.number(out, kind, in[:size]), in[size:]
	}
	value, rest, ok := longText(in)
	switch {
	case !ok:
		r.broken = true
	case kind == 'F':
		value = r.table(value)
	case kind == 'A':
		value = r.array(value)
	case kind != 'S' && kind != 'x':
		r.broken = true
	}
	return append(binary.BigEndian.AppendUint32(append(out, kind), uint32(len(value))), value...), rest
}

func (r *rewriter) number(out []byte, kind byte, value []byte) []byte {
	if kind == 'b' || kind == 'B' || kind == 'u' || kind == 'i' || kind == 'L' {
		r.changed = true
	}
	switch kind {
	case 'b': // signed, which the library does not know
		return binary.BigEndian.AppendUint16(append(out, 's'), uint16(int8(value[0])))
	case 'B':
		return binary.BigEndian.AppendUint16(append(out, 's'), uint16(value[0]))
	case 'u':
		return binary.BigEndian.AppendUint32(append(out, 'I'), uint32(binary.BigEndian.Uint16(value)))
	case 'i':
		return binary.BigEndian.AppendUint64(append(out, 'l'), uint64(binary.BigEndian.Uint32(value)))
	case 'L':
		n := binary.BigEndian.Uint64(value)
		if n <= math.MaxInt64 {
			return binary.BigEndian.AppendUint64(append(out, 'l'), n)
		}
		text := strconv.FormatUint(n, 10)
		return append(binary.BigEndian.AppendUint32(append(out, 'S'), uint32(len(text))), text...)
	}
	return append(append(out, kind), value...)
}
