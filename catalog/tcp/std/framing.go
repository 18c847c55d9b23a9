package std

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
)

// Framing says where a message ends in a stream of bytes. The zero value is a
// length of four bytes, big-endian, before each message.
type Framing struct {
	// Split finds the next message, as for a bufio.Scanner: a token is a
	// message. At the end of the stream it has what is left over; to give that
	// as a token makes a message of what may be half of one. It must not panic.
	Split bufio.SplitFunc
	// Append appends a message to what goes on the wire. It refuses a payload
	// that Split would not give back with an error that is ErrUnsupported.
	// Without it nothing can be sent.
	Append func(wire, payload []byte) ([]byte, error)
}

// Lines ends each message with a line feed. Of a received line the carriage
// return at its end is not part. What holds a line feed, or ends with a
// carriage return, can't be sent: ErrUnsupported.
func Lines() Framing { return Framing{Split: splitLine, Append: appendLine} }

func splitLine(data []byte, _ bool) (int, []byte, error) {
	end := bytes.IndexByte(data, '\n')
	if end < 0 {
		return 0, nil, nil
	}
	return end + 1, bytes.TrimSuffix(data[:end:end], []byte("\r")), nil
}

func appendLine(wire, payload []byte) ([]byte, error) {
	if bytes.IndexByte(payload, '\n') >= 0 || bytes.HasSuffix(payload, []byte("\r")) {
		return wire, fmt.Errorf("%w: a line can't hold a line feed, nor end with a carriage return", ErrUnsupported)
	}
	return append(append(wire, payload...), '\n'), nil
}

// lengthPrefix refuses a message that is too large before it has come.
func lengthPrefix(limit int) Framing {
	const size = 4
	return Framing{
		Split: func(data []byte, _ bool) (int, []byte, error) {
			if len(data) < size {
				return 0, nil, nil
			}
			length := binary.BigEndian.Uint32(data)
			if uint64(length) > uint64(limit) {
				return 0, nil, fmt.Errorf("%w: one of %d bytes is announced, Options.MaxMessageBytes is %d", ErrTooLarge, length, limit)
			}
			end := size + int(length)
			if len(data) < end {
				return 0, nil, nil
			}
			return end, data[size:end], nil
		},
		Append: func(wire, payload []byte) ([]byte, error) {
			if uint64(len(payload)) > math.MaxUint32 {
				return wire, ErrTooLarge
			}
			return append(binary.BigEndian.AppendUint32(wire, uint32(len(payload))), payload...), nil
		},
	}
}

// framingBytes is how much a framing of one's own may add to a message.
const framingBytes = 4 << 10

// frames reads messages from a connection.
type frames struct {
	scanner *bufio.Scanner
	stream  io.Reader
	framing bufio.SplitFunc
	limit   int
	ended   error // what Read returned last, if an error
	cause   error
}

func newFrames(stream io.Reader, o *Options) *frames {
	f := &frames{stream: stream, framing: o.Framing.Split, limit: o.MaxMessageBytes}
	f.scanner = bufio.NewScanner(f)
	f.scanner.Buffer(nil, f.limit+framingBytes)
	f.scanner.Split(f.split)
	return f
}

// Read keeps the error: a Scanner takes every one for the end of the stream.
func (f *frames) Read(p []byte) (int, error) {
	n, err := f.stream.Read(p)
	if err != nil {
		f.ended = err
	}
	return n, err
}

// split tells the framing of the end of the stream only where that was an
// orderly one, and tells bytes that are left over from none.
func (f *frames) split(data []byte, atEOF bool) (int, []byte, error) {
	advance, token, err := f.framing(data, atEOF && errors.Is(f.ended, io.EOF))
	switch {
	case len(token) > f.limit:
		return 0, nil, ErrTooLarge
	case atEOF && err == nil && token == nil && advance == 0 && len(data) > 0:
		f.cause = fmt.Errorf("%w: the connection ended after %d bytes of a message", io.ErrUnexpectedEOF, len(data))
		if !errors.Is(f.ended, io.EOF) {
			f.cause = fmt.Errorf("after %d bytes of a message: %w", len(data), f.ended)
		}
	}
	return advance, token, err
}

// next gives the next message, or why there is none: io.EOF when the peer has
// ended its side between two messages, io.ErrUnexpectedEOF within one,
// ErrTooLarge, or what the connection says.
func (f *frames) next() ([]byte, error) {
	if f.scanner.Scan() {
		return append([]byte{}, f.scanner.Bytes()...), nil
	}
	err := f.scanner.Err()
	switch {
	case f.cause != nil:
		return nil, f.cause
	case errors.Is(err, bufio.ErrTooLong):
		return nil, fmt.Errorf("%w: more than Options.MaxMessageBytes, %d", ErrTooLarge, f.limit)
	case err == nil:
		return nil, io.EOF
	}
	return nil, err
}
