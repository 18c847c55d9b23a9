package std

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"time"
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
	// Security is X509 or nothing: TCP carries no credentials.
	Security Security
	// TLS turns TLS on, as the scheme tls does, and configures it. A listening
	// side needs it to hold a certificate.
	TLS *tls.Config
	// Timeout bounds connecting, a Send whose context has no deadline, and the
	// wait of Close. Default 10 s.
	Timeout time.Duration
	// Logger is told what no caller is: connection states, failed handlers,
	// messages that nobody reads. Default silent.
	Logger *slog.Logger
	// MinBackoff and MaxBackoff bound the wait between two attempts to dial
	// again, which doubles from one to the other and is jittered. Defaults
	// 100 ms and 5 s.
	MinBackoff, MaxBackoff time.Duration

	// Framing says where a message ends. Default: a length of four bytes,
	// big-endian, before each message.
	Framing Framing
	// MaxMessageBytes bounds a message in both directions. A peer that sends
	// more loses its connection. Default 4 MiB.
	MaxMessageBytes int
	// HalfClose goes on sending to a peer that has ended its own side. Without
	// it such a peer is taken for gone as soon as its messages are handled: one
	// that is gone altogether looks the same, and what is sent to it is lost.
	HalfClose bool
	// KeepAlive is how often the system asks an idle peer for a sign of life;
	// after three without an answer the connection ends. Default 15 s.
	KeepAlive time.Duration
	// Queue is how many messages wait for Receive. Then reading stops until
	// there is room, and the senders have to wait. Default 16.
	Queue int
	// Concurrency is how many handlers a Receive runs at once. With more than
	// one, messages are no longer in order. Default 1.
	Concurrency int
	// OnConnect is called with each new connection before any other message is
	// sent on it: to subscribe to a feed, or to greet. An error closes the
	// connection. ctx ends after Timeout.
	OnConnect func(ctx context.Context, peer *Peer) error
	// OnDisconnect is called when a connection has ended, with the cause:
	// io.EOF when the peer has ended it between two messages,
	// io.ErrUnexpectedEOF within one, ErrTooLarge, ErrClosed when this side has
	// ended it, or the system's error, as syscall.ECONNRESET.
	OnDisconnect func(peer *Peer, cause error)

	// Native changes what makes connections after everything else was set: the
	// dialer when dialling, listen when listening; the other is nil.
	Native func(dialer *net.Dialer, listen *net.ListenConfig)
}

func (o *Options) withDefaults(role Role) (Options, error) {
	var c Options
	if o != nil {
		c = *o
	}
	for p, d := range map[*time.Duration]time.Duration{
		&c.Timeout: 10 * time.Second, &c.MinBackoff: 100 * time.Millisecond, &c.MaxBackoff: 5 * time.Second,
		&c.KeepAlive: 15 * time.Second,
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
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Role == "" {
		c.Role = role
	}
	switch {
	case c.Framing.Split == nil && c.Framing.Append == nil:
		c.Framing = lengthPrefix(c.MaxMessageBytes)
	case c.Framing.Split == nil:
		return c, errors.New("Options.Framing has no Split")
	}
	if c.Role != RoleDial && c.Role != RoleListen {
		return c, fmt.Errorf("Options.Role is dial or listen, not %q", c.Role)
	}
	return c, nil
}

// keepAlive is how the system looks after idle connections.
func (o *Options) keepAlive() net.KeepAliveConfig {
	return net.KeepAliveConfig{Enable: true, Idle: o.KeepAlive, Interval: max(o.KeepAlive/3, time.Second), Count: 3}
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
