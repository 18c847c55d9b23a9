package streadway

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"

	amqp "github.com/streadway/amqp"
)

// This file and frames.go hold what is peculiar to the client library.

// adapt gives the connection that the library is to use, and what explains
// the error of a login over it. The library takes every end of the connection
// for wrong credentials, and keeps what the server says of it to itself.
func adapt(s *socket) (net.Conn, func(error) error) {
	f := &frames{socket: s, in: bufio.NewReader(s)}
	return f, func(err error) error {
		if errors.Is(err, amqp.ErrSASL) {
			return err
		}
		if f.answer != nil {
			return f.answer
		}
		if cause := s.cause(); !errors.Is(cause, errLogin) {
			return cause
		}
		return err
	}
}

// channels opens and closes a session's channels. The library gives the number
// of a channel free whenever that is closed, also when it was closed before: the
// channel that has the number by then would hear nothing any more.
type channels struct {
	mu   sync.Mutex
	ends map[*amqp.Channel]<-chan *amqp.Error
}

func (c *channels) open(conn *amqp.Connection) (*amqp.Channel, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	channel, err := conn.Channel()
	if err == nil {
		if c.ends == nil {
			c.ends = map[*amqp.Channel]<-chan *amqp.Error{}
		}
		c.ends[channel] = channel.NotifyClose(make(chan *amqp.Error, 1))
	}
	return channel, err
}

func (c *channels) close(channel *amqp.Channel) {
	c.mu.Lock()
	defer c.mu.Unlock()
	end := c.ends[channel]
	delete(c.ends, channel)
	if end == nil {
		return // closed by an earlier call
	}
	select {
	case _, _ = <-end: //nolint:staticcheck // told before the number is free; the value is an error that is nil
	default:
		channel.Close()
	}
}

// frames reads whole frames before the library does, to see the server close
// the connection, and to put headers into types that the library can read.
type frames struct {
	*socket
	in     *bufio.Reader
	frame  []byte
	unread []byte
	answer *amqp.Error // the server's last word
}

const (
	frameMethod, frameHeader = 1, 2
	frameHead                = 7 // type, channel, size
	// maxFrame is far above what a server offers, and bounds what one that is no
	// AMQP server can make this side wait for.
	maxFrame = 16 << 20
)

// Read implements net.Conn.
func (f *frames) Read(p []byte) (int, error) {
	if len(f.unread) == 0 {
		if err := f.next(); err != nil {
			f.fail(err)
			return 0, err
		}
	}
	n := copy(p, f.unread)
	f.unread = f.unread[n:]
	return n, nil
}

func (f *frames) next() error {
	head, err := f.in.Peek(frameHead)
	if err != nil {
		return err
	}
	size := int(binary.BigEndian.Uint32(head[3:]))
	if size > maxFrame {
		return amqp.ErrFrame
	}
	whole := frameHead + size + 1 // with the end byte
	if cap(f.frame) < whole {
		f.frame = make([]byte, whole)
	}
	f.frame = f.frame[:whole]
	if _, err := io.ReadFull(f.in, f.frame); err != nil {
		return err
	}
	f.unread = f.frame
	payload := f.frame[frameHead : whole-1]
	switch f.frame[0] {
	case frameMethod:
		f.answer = closing(payload)
	case frameHeader:
		if changed, ok := readable(payload); ok {
			f.unread = append(append(append([]byte{}, f.frame[:frameHead]...), changed...), f.frame[whole-1])
			binary.BigEndian.PutUint32(f.unread[3:], uint32(len(changed)))
		}
	}
	return nil
}

// closing reads the server's reason in a connection.close, nil for any other
// method.
func closing(payload []byte) *amqp.Error {
	const class, method = 10, 50
	if len(payload) < 7 || binary.BigEndian.Uint16(payload) != class || binary.BigEndian.Uint16(payload[2:]) != method {
		return nil
	}
	text, _, ok := shortText(payload[6:])
	if !ok {
		return nil
	}
	return &amqp.Error{Code: int(binary.BigEndian.Uint16(payload[4:])), Reason: string(text), Server: true}
}

// shortText cuts off a text of at most 255 bytes.
func shortText(in []byte) (text, rest []byte, ok bool) {
	if len(in) < 1 || len(in) < 1+int(in[0]) {
		return nil, nil, false
	}
	return in[1 : 1+int(in[0])], in[1+int(in[0]):], true
}
