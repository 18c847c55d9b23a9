package gobwas

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"time"

	"github.com/gobwas/ws"
)

// Role is which side of a connection to take.
type Role string

// The roles. Without one a Producer dials and a Consumer listens.
const (
	RoleDial   Role = "dial"
	RoleListen Role = "listen"
)

// Options tune a Producer or Consumer. Nil and the zero value mean the
// defaults. It is copied: later changes have no effect.
type Options struct {
	// Role swaps the sides: a Consumer that dials receives a server's feed, a
	// Producer that listens sends to all who have dialled. Default: a Producer
	// dials, a Consumer listens.
	Role Role
	// Security is what to show when dialling, and what to demand when
	// listening. The default is nothing, or the user and password of the
	// server's URL.
	Security Security
	// Authorize decides about every handshake that comes to a listening side,
	// after Security: an error that is ErrUnauthorized refuses it with status
	// 401, any other with 403. Default: all are let in.
	Authorize func(*http.Request) error
	// TLS turns TLS on, as the scheme wss does, and configures it. A listening
	// side needs it to hold a certificate.
	TLS *tls.Config
	// Timeout bounds the handshake, a Send whose context has no deadline, the
	// wait for the answer to a ping, and the wait of Close. Default 10 s.
	Timeout time.Duration
	// Logger is told what no caller is: connection states, failed handlers,
	// messages that nobody reads. Default silent.
	Logger *slog.Logger
	// MinBackoff and MaxBackoff bound the wait between two attempts to dial
	// again, which doubles from one to the other and is jittered. Defaults
	// 100 ms and 5 s.
	MinBackoff, MaxBackoff time.Duration

	// Header and Query go with every handshake when dialling, beside what the
	// bindings give. Default none.
	Header http.Header
	Query  url.Values
	// Subprotocols are offered when dialling, and then one of them has to be
	// accepted; when listening they are accepted, the first one first.
	// Default none.
	Subprotocols []string
	// Origins are the hosts, or scheme://hosts, from which pages in a browser
	// may dial, as patterns of path.Match. Pages of the listening host itself
	// always may. Default no others.
	Origins []string
	// Compression offers or accepts permessage-deflate (RFC 7692), without
	// context takeover. Default off.
	Compression bool
	// MaxMessageBytes bounds a message in both directions, uncompressed. A
	// peer that sends more is closed with 1009. Default 4 MiB.
	MaxMessageBytes int
	// PingInterval is how often a peer is asked for a sign of life. One that
	// gives none for PingInterval and Timeout is given up. Default 30 s.
	PingInterval time.Duration
	// Queue is how many messages wait for Receive. Then reading stops until
	// there is room, and the senders have to wait. Default 16.
	Queue int
	// Concurrency is how many handlers a Receive runs at once. With more than
	// one, messages are no longer in order. Default 1.
	Concurrency int
	// FinalCodes are the close codes after which a dialling side does not
	// dial again: Receive and Send return the CloseError. Default 1008.
	FinalCodes []int
	// OnConnect is called with each new connection before any other message is
	// sent on it: to subscribe to a feed, or to greet. An error closes the
	// connection. ctx ends after Timeout.
	OnConnect func(ctx context.Context, peer *Peer) error
	// OnDisconnect is called when a connection has ended, with the cause: a
	// *CloseError where the peer closed it.
	OnDisconnect func(peer *Peer, cause error)

	// Native changes the library's options for a connection after everything
	// else was set: dial when dialling, accept when listening; the other is nil.
	Native func(dial *ws.Dialer, accept *ws.HTTPUpgrader)
}

func (o *Options) withDefaults(role Role) (Options, error) {
	var c Options
	if o != nil {
		c = *o
	}
	for p, d := range map[*time.Duration]time.Duration{
		&c.Timeout: 10 * time.Second, &c.MinBackoff: 100 * time.Millisecond, &c.MaxBackoff: 5 * time.Second,
		&c.PingInterval: 30 * time.Second,
	} {
		if *p <= 0 {
			*p = d
		}
	}
	for p, d := range map[*int]int{&c.MaxMessageBytes: 4 << 20, &c.Queue: 16, &c.Concurrency: 1} {
		if *p <= 0 {
			*p = d
		}
	}
	c.MaxBackoff = max(c.MaxBackoff, c.MinBackoff)
	if c.Logger == nil {
		c.Logger = slog.New(silent{})
	}
	if c.Role == "" {
		c.Role = role
	}
	if c.FinalCodes == nil {
		c.FinalCodes = []int{1008}
	}
	header := http.Header{}
	for name, values := range c.Header {
		name = textproto.CanonicalMIMEHeaderKey(name)
		if slices.Contains(handshakeHeaders, name) {
			return c, fmt.Errorf("%w: Options.Header: %s belongs to the handshake itself", ErrUnsupported, name)
		}
		header[name] = append(header[name], values...)
	}
	c.Header, c.Query = header, url.Values(http.Header(c.Query).Clone())
	c.Subprotocols, c.Origins = slices.Clone(c.Subprotocols), slices.Clone(c.Origins)
	switch {
	case c.Role != RoleDial && c.Role != RoleListen:
		return c, errors.New("Options.Role is dial or listen, not " + string(c.Role))
	case c.Role == RoleListen && (len(c.Header) > 0 || len(c.Query) > 0):
		return c, errors.New("Options.Header and Options.Query are for the side that dials")
	case c.Role == RoleDial && (len(c.Origins) > 0 || c.Authorize != nil):
		return c, errors.New("Options.Origins and Options.Authorize are for the side that listens")
	}
	return c, nil
}

// backoff is the wait before attempt n, counted from 0: doubling, and random
// between one half and the whole so that many clients do not come back at once.
func (o *Options) backoff(n int) time.Duration {
	d := o.MaxBackoff
	if n < 20 {
		d = min(o.MinBackoff<<n, o.MaxBackoff)
	}
	return d/2 + rand.N(d/2+1)
}

// bounded gives a context that ends after Timeout where ctx has no deadline.
func (o *Options) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, has := ctx.Deadline(); has {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, o.Timeout)
}

// sleep waits, and tells whether ctx let it.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// silent is the handler of a Logger that nobody asked for; slog has its own
// since Go 1.24.
type silent struct{}

func (silent) Enabled(context.Context, slog.Level) bool  { return false }
func (silent) Handle(context.Context, slog.Record) error { return nil }
func (s silent) WithAttrs([]slog.Attr) slog.Handler      { return s }
func (s silent) WithGroup(string) slog.Handler           { return s }
