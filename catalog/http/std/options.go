package std

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Options tune a Producer or Consumer. Nil and the zero value mean the
// defaults. It is copied: later changes have no effect.
type Options struct {
	// Security is what a Producer shows and what a Consumer demands. The
	// default is nothing, or the user and password of the server's URL.
	Security Security
	// TLS configures https. A Consumer that listens needs its certificate.
	TLS *tls.Config
	// Timeout bounds connecting, the wait for an answer (keep it above what the
	// slowest handler takes), a Send whose context has no deadline, the time
	// that a request may take to arrive or wait for a free handler, and the wait
	// of Close. Default 10 s.
	Timeout time.Duration
	// Logger is told what no caller is: connection states, failed handlers,
	// refused requests. Default silent.
	Logger *slog.Logger
	// MinBackoff and MaxBackoff bound the wait between two attempts to reach
	// the server, which doubles from one to the other and is jittered. Defaults
	// 100 ms and 5 s.
	MinBackoff, MaxBackoff time.Duration
	// MaxBody is the largest body that is read, of a request (413 to its
	// sender) or of the response to Request (ErrTooLarge). Default 16 MiB.
	MaxBody int64

	// Parallel is how many requests a Send with several envelopes makes at
	// once. Default 8; with 1 they arrive in order.
	Parallel int

	// Concurrency is how many handlers a Receive runs at once. Default 1.
	Concurrency int
	// HandlerOnly makes a Consumer listen nowhere: mount Consumer.Handler on a
	// server of your own. Of the URL only the path counts then.
	HandlerOnly bool

	// Native changes the library's transport (Producer) or server (Consumer)
	// after everything else was set. The other one is nil.
	Native func(*http.Transport, *http.Server)
}

func (o *Options) withDefaults() Options {
	var c Options
	if o != nil {
		c = *o
	}
	for p, d := range map[*time.Duration]time.Duration{
		&c.Timeout: 10 * time.Second, &c.MinBackoff: 100 * time.Millisecond, &c.MaxBackoff: 5 * time.Second,
	} {
		if *p <= 0 {
			*p = d
		}
	}
	for p, d := range map[*int]int{&c.Parallel: 8, &c.Concurrency: 1} {
		if *p <= 0 {
			*p = d
		}
	}
	if c.MaxBody <= 0 {
		c.MaxBody = 16 << 20
	}
	c.MaxBackoff = max(c.MaxBackoff, c.MinBackoff)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
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

// parseServer reads http[s]://[user:password@]host[:port][/path], or host:port.
func parseServer(serverURL string) (*url.URL, error) {
	text := serverURL
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	u, err := url.Parse(text)
	switch {
	case err != nil:
		err = errors.Unwrap(err)
	case u.Scheme != "http" && u.Scheme != "https":
		err = fmt.Errorf("unknown scheme %q", u.Scheme)
	case u.Host == "":
		err = errors.New("no host")
	case u.RawQuery != "" || u.Fragment != "":
		err = errors.New("no query or fragment is possible: queries are in the bindings")
	}
	if err != nil {
		return nil, fmt.Errorf("http: server URL: %w; expected http[s]://[user:password@]host[:port][/path] or host:port", err)
	}
	return u, nil
}

// credentials are those of the options or of the URL.
func (o *Options) credentials(u *url.URL) (Security, error) {
	if u.User == nil {
		return o.Security, nil
	}
	if o.Security != nil {
		return nil, errors.New("http: credentials are given twice, in the server URL and in Options.Security")
	}
	password, _ := u.User.Password()
	return UserPassword{u.User.Username(), password}, nil
}

// hostPort is where to dial or listen.
func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port)
}
