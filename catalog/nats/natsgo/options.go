package natsgo

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/nats-io/nats.go"
)

// Options tune a Producer or Consumer. Nil and the zero value mean the
// defaults. It is copied: later changes have no effect.
type Options struct {
	// Security is how to log in. The default is not to, or the user and
	// password, or the token, of the server's URL.
	Security Security
	// Credentials is a file with a user's JWT and NKey seed, as nsc writes it,
	// and NKey is one with a seed alone. They take Security's place. The JWT is
	// read for every new connection, so it can be renewed.
	Credentials, NKey string
	// TLS turns TLS on, as the scheme tls does, and configures it.
	TLS *tls.Config
	// Timeout bounds connecting, each exchange with the server, a Send whose
	// context has no deadline, and the wait of Close. Default 10 s.
	Timeout time.Duration
	// Logger is told what no caller is: connection states, failed handlers,
	// dropped messages. Default silent.
	Logger *slog.Logger
	// MinBackoff and MaxBackoff bound the wait between two attempts, which
	// doubles from one to the other and is jittered. Defaults 100 ms and 5 s.
	MinBackoff, MaxBackoff time.Duration
	// KeepAlive is how often an idle server is asked whether it is there. One
	// that owes two answers is given up. Default 20 s.
	KeepAlive time.Duration
	// NoDeclare is for the other drivers: core NATS has nothing to declare.
	NoDeclare bool

	// Concurrency is how many handlers a Receive runs at once. With more than
	// one, messages overtake each other. Default 1.
	Concurrency int
	// MaxPending and MaxPendingBytes bound what a Subscriber holds that no
	// handler has taken, beside 64 messages that it holds in any case. Defaults
	// 65 536 messages and 64 MiB.
	MaxPending, MaxPendingBytes int

	// Native changes the library's options after everything else was set.
	Native func(*nats.Options)
}

func (o *Options) withDefaults() Options {
	var c Options
	if o != nil {
		c = *o
	}
	for p, d := range map[*time.Duration]time.Duration{
		&c.Timeout: 10 * time.Second, &c.MinBackoff: 100 * time.Millisecond, &c.MaxBackoff: 5 * time.Second,
		&c.KeepAlive: 20 * time.Second,
	} {
		if *p <= 0 {
			*p = d
		}
	}
	for p, d := range map[*int]int{&c.Concurrency: 1, &c.MaxPending: 64 << 10, &c.MaxPendingBytes: 64 << 20} {
		if *p <= 0 {
			*p = d
		}
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

// login puts the credentials into the library's options.
func (o *Options) login(s server, n *nats.Options) error {
	security, given := o.Security, 0
	for _, is := range []bool{security != nil, s.user != nil, o.Credentials != "", o.NKey != ""} {
		if is {
			given++
		}
	}
	if given > 1 {
		return errors.New("credentials are given twice, in several of the server URL and Options.Security, Credentials and NKey")
	}
	switch {
	case o.Credentials != "":
		return nats.UserCredentials(o.Credentials)(n)
	case o.NKey != "":
		key, err := nats.NkeyOptionFromSeed(o.NKey)
		if err != nil {
			return err
		}
		return key(n)
	case s.user != nil:
		// A user without a password is a token, as in all of NATS.
		if password, ok := s.user.Password(); ok {
			security = UserPassword{s.user.Username(), password}
		} else {
			security = APIKey{In: "user", Key: s.user.Username()}
		}
	}
	switch v := security.(type) {
	case nil:
	case UserPassword:
		n.User, n.Password = v.User, v.Password
	case Plain:
		n.User, n.Password = v.User, v.Password
	case APIKey:
		n.Token = v.Key
	case OAuth2:
		return o.bearer(v.Token, n)
	case OpenIDConnect:
		return o.bearer(v.Token, n)
	case X509:
		if o.TLS == nil || len(o.TLS.Certificates) == 0 && o.TLS.GetClientCertificate == nil {
			return errors.New("X509: Options.TLS holds no client certificate")
		}
	default:
		return fmt.Errorf("%w: NATS has no place for the security scheme %s", ErrUnsupported, security.Scheme())
	}
	return nil
}

// bearer sends an access token as NATS's token, for a server whose auth callout
// understands it.
func (o *Options) bearer(token func(context.Context) (string, error), n *nats.Options) error {
	if token == nil {
		return errors.New("oauth2: Token is nil")
	}
	timeout, logger := o.Timeout, o.Logger
	n.TokenHandler = func() string {
		ctx, cancel := context.WithTimeout(context.Background(), timeout)
		defer cancel()
		text, err := token(ctx)
		if err != nil {
			// The library takes no error here: the server refuses what is empty.
			logger.Warn("nats: no access token", "error", err)
			return ""
		}
		return text
	}
	return nil
}
