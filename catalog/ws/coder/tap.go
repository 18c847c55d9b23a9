package coder

import (
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// errAbrupt stands for io.EOF, which the library takes for the end of a message
// when it comes between two of its fragments.
var errAbrupt = errors.New("the connection ended without a close frame")

// tap is what the library reads from and writes to.
type tap struct {
	io.ReadWriteCloser
	reading atomic.Int64 // since when a read waits, in Unix nanoseconds, 0 for none

	mu     sync.Mutex
	idle   *sync.Cond
	busy   bool   // something is being written
	queue  []byte // pings and pongs to be written
	left   uint64 // what is to come of a frame that has begun
	failed error
}

func newTap(conn io.ReadWriteCloser) *tap {
	t := &tap{ReadWriteCloser: conn}
	t.idle = sync.NewCond(&t.mu)
	return t
}

func (t *tap) Read(p []byte) (int, error) {
	t.reading.Store(time.Now().UnixNano())
	n, err := t.ReadWriteCloser.Read(p)
	t.reading.Store(0)
	if errors.Is(err, io.EOF) {
		err = errAbrupt
	}
	return n, err
}

// silence is how long a read has waited already. While nothing is read, because
// no handler has time, there is nothing to be heard.
func (t *tap) silence() time.Duration {
	since := t.reading.Load()
	if since == 0 {
		return 0
	}
	return time.Since(time.Unix(0, since))
}

// Write does not wait to write pings and pongs: the library gives up the
// connection when one of them takes 5 s, although the peer may only be slow.
func (t *tap) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.left == 0 && len(p) > 0 {
		if opCode := p[0] & 0x0f; opCode == 0x9 || opCode == 0xa {
			t.enqueue(p)
			return len(p), t.failed
		}
		t.left = frameSize(p)
	}
	for t.busy {
		t.idle.Wait()
	}
	t.left -= min(t.left, uint64(len(p)))
	n, err := t.write(p)
	if t.left == 0 && len(t.queue) > 0 {
		t.busy = true
		go t.flush()
	}
	return n, err
}

// enqueue is called with mu held.
func (t *tap) enqueue(p []byte) {
	if len(t.queue) < keptBuffer {
		t.queue = append(t.queue, p...)
	}
	if !t.busy {
		t.busy = true
		go t.flush()
	}
}

// write is called, and returns, with mu held.
func (t *tap) write(p []byte) (int, error) {
	if t.failed != nil {
		return 0, t.failed
	}
	t.busy = true
	t.mu.Unlock()
	n, err := t.ReadWriteCloser.Write(p)
	t.mu.Lock()
	t.busy = false
	t.failed = err
	t.idle.Broadcast()
	return n, err
}

func (t *tap) flush() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for len(t.queue) > 0 {
		queue := t.queue
		t.queue = nil
		_, _ = t.write(queue) // failed keeps the error
	}
	t.busy = false
	t.idle.Broadcast()
}

// frameSize reads the header of a frame (RFC 6455, section 5.2), which the
// library writes together with what follows it.
func frameSize(p []byte) uint64 {
	if len(p) < 2 {
		return uint64(len(p))
	}
	size, header := uint64(p[1]&0x7f), 2
	if more := map[uint64]int{126: 2, 127: 8}[size]; more > 0 && len(p) >= 2+more {
		size, header = 0, 2+more
		for _, b := range p[2:header] {
			size = size<<8 | uint64(b)
		}
	}
	if p[1]&0x80 != 0 {
		header += 4 // the mask
	}
	return size + uint64(header)
}

// tapped is a tap of a net.Conn.
type tapped struct {
	net.Conn
	*tap
}

func (t tapped) Read(p []byte) (int, error)  { return t.tap.Read(p) }
func (t tapped) Write(p []byte) (int, error) { return t.tap.Write(p) }
func (t tapped) Close() error                { return t.Conn.Close() }
