package std

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"time"
)

const (
	// maxPayload is the largest that a datagram carries over IPv4.
	maxPayload = 65515
	// experimental is a protocol number for experiments (RFC 3692).
	experimental = 253
)

// Options tune a Producer or Consumer. Nil and the zero value mean the
// defaults. It is copied: later changes have no effect.
type Options struct {
	// Security has to be nil: IP carries no credentials.
	Security Security
	// TLS has to be nil: there is no TLS over IP alone.
	TLS *tls.Config
	// Timeout bounds finding the host, a Send whose context has no deadline,
	// and the wait of Close. Default 10 s.
	Timeout time.Duration
	// Logger is told what no caller is: failed handlers, datagrams that were
	// dropped. Default silent.
	Logger *slog.Logger

	// MaxMessageBytes bounds a datagram's payload in both directions: a larger
	// one is ErrTooLarge from Send and dropped by Receive, never cut. Default
	// 65515, the most over IPv4.
	MaxMessageBytes int
	// Protocol is the number in the datagrams' header, as 1 for ICMP. Default
	// 253, which is set aside for experiments.
	Protocol int
	// Peers are the hosts whose datagrams Receive takes; others are passed
	// over. Default: all.
	Peers []netip.Addr
	// ReadBuffer asks the system to keep that many bytes for Receive. Default:
	// what the system does without being asked.
	ReadBuffer int
	// Concurrency is how many handlers a Receive runs at once. Default 1.
	Concurrency int

	// Native changes each socket after everything else was set.
	Native func(*net.IPConn)
}

func (o *Options) withDefaults() Options {
	var c Options
	if o != nil {
		c = *o
	}
	if c.Timeout <= 0 {
		c.Timeout = 10 * time.Second
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.MaxMessageBytes <= 0 {
		c.MaxMessageBytes = maxPayload
	}
	if c.Protocol == 0 {
		c.Protocol = experimental
	}
	c.Peers = slices.Clone(c.Peers)
	if c.Concurrency <= 0 {
		c.Concurrency = 1
	}
	return c
}

// bounded gives a context that ends after Timeout where ctx has no deadline.
func (o *Options) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, has := ctx.Deadline(); has {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, o.Timeout)
}
