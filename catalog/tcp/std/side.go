package std

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"sync"
	"time"
)

// side is what a Producer and a Consumer have in common: they dial or listen.
type side struct {
	options  *Options
	server   server
	listener net.Listener // nil where this side dials
	stop     context.Context
	end      context.CancelFunc
	done     chan struct{} // closed when nobody is let in any more

	mu      sync.Mutex
	channel *channel // whose connections the listener takes
	users   int
	opened  chan struct{} // closed when channel is set
}

func newSide(serverURL string, options *Options, role Role) (*side, error) {
	o, err := options.withDefaults(role)
	if err != nil {
		return nil, fmt.Errorf("tcp: %w", err)
	}
	s := &side{options: &o, opened: make(chan struct{}), done: make(chan struct{})}
	if s.server, err = newServer(serverURL, &o); err != nil {
		return nil, err
	}
	s.stop, s.end = context.WithCancel(context.Background())
	if o.Role == RoleDial {
		close(s.done)
		return s, nil
	}
	if s.listener, err = s.server.listen(&o); err != nil {
		return nil, err
	}
	go func() {
		defer close(s.done)
		s.accept()
	}()
	return s, nil
}

// url is where this side listens.
func (s *side) url() string {
	if s.listener == nil {
		return ""
	}
	scheme := "tcp"
	if s.server.tls != nil {
		scheme = "tls"
	}
	return scheme + "://" + s.listener.Addr().String()
}

// open gives the channel of a Publisher or Subscriber. Where this side listens
// Publishers share one, and there is one Subscriber.
func (s *side) open(ctx context.Context, address string, receives bool) (*channel, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if s.listener == nil {
		c := newChannel(s.options, address, receives)
		return c, s.connect(ctx, c)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.stop.Err() != nil:
		return nil, ErrClosed
	case s.users > 0 && receives:
		return nil, fmt.Errorf("%w: a listening Consumer has one Subscriber at a time, and has that of %q", ErrRefused, s.channel.address)
	case s.users == 0:
		s.channel = newChannel(s.options, address, receives)
		close(s.opened)
	}
	s.users++
	return s.channel, nil
}

// leave ends one use of a channel and tells whether it was the last one.
func (s *side) leave(c *channel) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener != nil && s.channel == c {
		if s.users--; s.users > 0 {
			return false
		}
		s.channel, s.opened = nil, make(chan struct{})
	}
	c.refuse()
	return true
}

// accept lets peers in. While there is no channel for them they wait.
func (s *side) accept() {
	for attempt := 0; ; {
		raw, err := s.listener.Accept()
		switch {
		case s.stop.Err() != nil:
			if err == nil {
				_ = raw.Close()
			}
			return
		case err != nil: // as when there are no file descriptors left
			if attempt == 0 {
				s.options.Logger.Warn("tcp: nobody can be let in", "error", err)
			}
			sleep(s.stop, s.options.backoff(attempt))
			attempt++
			continue
		}
		attempt = 0
		c := s.await()
		if c == nil {
			_ = raw.Close()
			return
		}
		go func() {
			defer c.serving.Done()
			s.admit(c, raw)
		}()
	}
}

// await gives the channel, entered, and nil when this side closes.
func (s *side) await() *channel {
	for {
		s.mu.Lock()
		c, opened := s.channel, s.opened
		s.mu.Unlock()
		if c != nil && c.enter() {
			return c
		}
		select {
		case <-opened:
		case <-s.stop.Done():
			return nil
		}
	}
}

// admit serves a connection that came, until it ends.
func (s *side) admit(c *channel, raw net.Conn) {
	conn := raw
	if s.server.tls != nil {
		secure := tls.Server(raw, s.server.tls)
		ctx, cancel := context.WithTimeout(c.stop, s.options.Timeout)
		err := secure.HandshakeContext(ctx)
		cancel()
		if err != nil {
			c.log().Info("tcp: handshake refused", "peer", raw.RemoteAddr().String(), "error", err)
			_ = raw.Close()
			return
		}
		conn = secure
	}
	p := newPeer(raw, conn, s.options)
	if err := c.welcome(p); err != nil {
		c.log().Warn("tcp: connection refused", "peer", raw.RemoteAddr().String(), "error", err)
		return
	}
	c.tell(p, c.serve(p))
}

// connect dials, and keeps the channel connected from then on.
func (s *side) connect(ctx context.Context, c *channel) error {
	p, err := s.dial(ctx, c)
	if err != nil {
		return classify(err)
	}
	c.enter()
	go func() {
		defer c.serving.Done()
		s.keep(c, p)
	}()
	return nil
}

func (s *side) dial(ctx context.Context, c *channel) (*Peer, error) {
	p, err := s.server.dial(ctx, s.options)
	if err != nil {
		return nil, err
	}
	return p, c.welcome(p)
}

// keep serves a connection and the ones that follow it, until the channel
// closes or there is no point in dialling again.
func (s *side) keep(c *channel, p *Peer) {
	attempt := 0
	for {
		began := time.Now()
		err := c.serve(p)
		if c.stop.Err() != nil {
			return
		}
		if time.Since(began) > s.options.MaxBackoff {
			attempt = 0 // else it was not worth much
		}
		c.log().Warn("tcp: connection lost", "error", err)
		for lost := true; lost; attempt++ {
			if final(err) {
				c.fail(err)
				return
			}
			if !sleep(c.stop, s.options.backoff(attempt)) {
				return
			}
			var next *Peer
			if next, err = s.dial(c.stop, c); err != nil {
				c.remove(p, err)
				continue
			}
			p, lost = next, false
			c.log().Info("tcp: connected again")
		}
	}
}

// close ends listening; the channels are closed already.
func (s *side) close() {
	s.mu.Lock()
	s.end()
	s.mu.Unlock()
	if s.listener != nil {
		_ = s.listener.Close()
	}
	<-s.done
}
