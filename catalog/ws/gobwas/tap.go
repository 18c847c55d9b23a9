package gobwas

import (
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// errAbrupt stands for io.EOF.
var errAbrupt = errors.New("the connection ended without a close frame")

// tap is what frames are read from and written to.
type tap struct {
	io.ReadWriteCloser
	reading atomic.Int64 // since when a read waits, in Unix nanoseconds, 0 for none

	mu     sync.Mutex
	idle   *sync.Cond
	busy   bool   // something is being written
	queue  []byte // pings and pongs to be written
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

// Write writes one frame; the wire sees to it that it is one at a time.
func (t *tap) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for t.busy {
		t.idle.Wait()
	}
	n, err := t.write(p)
	if len(t.queue) > 0 {
		t.busy = true
		go t.flush()
	}
	return n, err
}

// control writes a ping or pong without waiting: whoever reads, or watches the
// peer, must not depend on the peer's reading.
func (t *tap) control(p []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.enqueue(p)
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
