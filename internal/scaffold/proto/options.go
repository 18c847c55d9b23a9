package proto

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"math/rand"
	"strings"
	"time"
)

// Options tune a Producer or Consumer. Nil and the zero value mean the
// defaults. It is copied: later changes have no effect.
type Options struct {
	// Security is how to log in. The default is not to, or the user and
	// password of the server's URL.
	Security Security
	// TLS turns TLS on, as the secure scheme does, and configures it.
	TLS *tls.Config
	// Timeout bounds connecting, each exchange with the server, a Send whose
	// context has no deadline, and the wait of Close. Default 10 s.
	Timeout time.Duration
	// Logger is told what no caller is: connection states, failed handlers,
	// rejected messages. Default silent.
	Logger *slog.Logger
	// MinBackoff and MaxBackoff bound the wait between two attempts, which
	// doubles from one to the other and is jittered. Defaults 100 ms and 5 s.
	MinBackoff, MaxBackoff time.Duration
	// Concurrency is how many handlers a Receive runs at once. Default 1.
	Concurrency int
}

// withDefaults gives a copy in which every field has a value.
func (o *Options) withDefaults() Options {
	var options Options
	if o != nil {
		options = *o
	}
	if options.Timeout <= 0 {
		options.Timeout = 10 * time.Second
	}
	if options.Logger == nil {
		options.Logger = slog.New(silent{})
	}
	if options.MinBackoff <= 0 {
		options.MinBackoff = 100 * time.Millisecond
	}
	if options.MaxBackoff <= 0 {
		options.MaxBackoff = 5 * time.Second
	}
	options.MinBackoff = min(options.MinBackoff, options.MaxBackoff)
	options.Concurrency = max(options.Concurrency, 1)
	return options
}

// backoff is the wait before an attempt, counted from 0.
func (o *Options) backoff(attempt int) time.Duration {
	wait := o.MaxBackoff
	if attempt < 16 {
		wait = min(o.MinBackoff<<attempt, wait)
	}
	return wait/2 + time.Duration(rand.Int63n(int64(wait/2)+1))
}

// address checks a server's URL and gives its host.
func address(serverURL string) (string, error) {
	host := serverURL
	if scheme, rest, ok := strings.Cut(serverURL, "://"); ok {
		if scheme != "proto" {
			return "", fmt.Errorf("proto: server %q: the scheme is proto", serverURL)
		}
		host = rest
	}
	if host == "" || strings.ContainsAny(host, " \t\r\n") {
		return "", fmt.Errorf("proto: server %q: want proto://host:port or host:port", serverURL)
	}
	return host, nil
}

// silent is the handler of a Logger that nobody asked for.
type silent struct{}

func (silent) Enabled(context.Context, slog.Level) bool  { return false }
func (silent) Handle(context.Context, slog.Record) error { return nil }
func (s silent) WithAttrs([]slog.Attr) slog.Handler      { return s }
func (s silent) WithGroup(string) slog.Handler           { return s }
