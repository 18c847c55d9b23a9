package rabbitmq

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// socket is the network connection below one of the library's. It closes
// itself as soon as reading fails, or the peer is silent for too long: the
// library would first wait for writes that have no end any more.
type socket struct {
	net.Conn
	silence time.Duration // how long the peer may be silent
	open    atomic.Bool   // the login is over, and with it the deadline for it

	mu  sync.Mutex
	err error // why it was closed
}

// Read implements net.Conn.
func (s *socket) Read(p []byte) (int, error) {
	if s.open.Load() && s.silence > 0 {
		if err := s.Conn.SetReadDeadline(time.Now().Add(s.silence)); err != nil {
			return 0, err
		}
	}
	n, err := s.Conn.Read(p)
	if err != nil {
		s.fail(err)
	}
	return n, err
}

// SetDeadline implements net.Conn. The library takes the deadline away when it
// has logged in.
func (s *socket) SetDeadline(t time.Time) error {
	err := s.Conn.SetDeadline(t)
	if t.IsZero() {
		s.open.Store(true)
	}
	return err
}

// SetReadDeadline implements net.Conn. The library's own is not needed, and
// is not kept up while a write of its heartbeats waits.
func (s *socket) SetReadDeadline(time.Time) error { return nil }

// fail closes the socket and keeps the first reason.
func (s *socket) fail(err error) {
	s.mu.Lock()
	if s.err == nil {
		s.err = err
	}
	s.mu.Unlock()
	s.Conn.Close()
}

// cause is why the socket was closed, nil while it is open.
func (s *socket) cause() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}
