package gobwas

import (
	"context"
	"fmt"
	"net/http"
)

// side is what a Producer and a Consumer have in common: they dial or listen.
type side struct {
	options *Options
	dialer  *dialer
	hub     *hub
}

func newSide(serverURL string, options *Options, role Role) (*side, error) {
	o, err := options.withDefaults(role)
	if err != nil {
		return nil, fmt.Errorf("ws: %w", err)
	}
	s := &side{options: &o}
	if o.Role == RoleListen {
		s.hub, err = newHub(serverURL, &o)
		return s, err
	}
	d := &dialer{options: &o}
	if d.server, err = parseServer(serverURL); err != nil {
		return nil, err
	}
	if d.credential, err = newCredential(&o, d.server.user); err != nil {
		return nil, fmt.Errorf("ws: %w", err)
	}
	d.server.secure = d.server.secure || o.TLS != nil
	s.dialer = d
	return s, nil
}

// open opens a channel for sending or receiving.
func (s *side) open(ctx context.Context, address string, bindings *ChannelBindings, receives bool) (*channel, error) {
	if err := bindings.check(); err != nil {
		return nil, err
	}
	c := newChannel(s.options, address, bindings, receives)
	if s.hub != nil {
		return s.hub.open(c, !receives)
	}
	return c, s.dialer.open(ctx, c)
}

// leave ends one use of a channel: nobody new is let in where it was the last.
func (s *side) leave(c *channel) bool {
	last := s.hub == nil || s.hub.leave(c)
	if last {
		c.refuse()
	}
	return last
}

// goodbye is the close code of this side.
func (s *side) goodbye() (int, string) {
	if s.hub != nil {
		return 1001, "going away"
	}
	return 1000, ""
}

func (s *side) url() string {
	if s.hub == nil {
		return ""
	}
	return s.hub.url()
}

func (s *side) handler() http.Handler {
	if s.hub == nil {
		return http.NotFoundHandler()
	}
	return s.hub
}

func (s *side) close() {
	if s.hub != nil {
		s.hub.close()
	}
}
