package streams

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/redis/go-redis/v9"
)

// Options tune a Producer or Consumer. Nil and the zero value mean the
// defaults. It is copied: later changes have no effect.
type Options struct {
	// Security is how to log in. The default is not to, or the user and
	// password of the server's URL.
	Security Security
	// TLS turns TLS on, as the scheme rediss does, and configures it.
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
	// KeepAlive is how often an idle Subscriber asks the server anew. A
	// connection on which the answer is more than Timeout late is replaced.
	// Default 10 s.
	KeepAlive time.Duration
	// MaxPayload bounds a payload: a larger one is ErrTooLarge. Default 512 MiB,
	// the server's own default for proto-max-bulk-len.
	MaxPayload int
	// Concurrency is how many handlers a Receive runs at once. With more than
	// one, entries are not handled in order. Default 1.
	Concurrency int
	// NoDeclare leaves streams and groups to others: a missing one is
	// ErrNotFound.
	NoDeclare bool
	// ClaimAfter is how long a group's entries stay with a member that is not
	// heard of; then the others take them over. Default 30 s.
	ClaimAfter time.Duration
	// Prefetch is how many entries a Subscriber takes at a time. Members of a
	// group that is to share slow work take few. Default 32.
	Prefetch int

	// Native changes the library's options after everything else was set.
	Native func(*redis.Options)
}

func (o *Options) withDefaults() Options {
	var c Options
	if o != nil {
		c = *o
	}
	for p, d := range map[*time.Duration]time.Duration{
		&c.Timeout: 10 * time.Second, &c.KeepAlive: 10 * time.Second,
		&c.ClaimAfter: 30 * time.Second,
		&c.MinBackoff: 100 * time.Millisecond, &c.MaxBackoff: 5 * time.Second,
	} {
		if *p <= 0 {
			*p = d
		}
	}
	for p, d := range map[*int]int{&c.MaxPayload: 512 << 20, &c.Concurrency: 1, &c.Prefetch: 32} {
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

// credentials turns the options' security, or the URL's user, into what AUTH
// takes. A user in the URL without a password says whose key or token it is.
func (o *Options) credentials(s server, to *redis.Options) error {
	security := o.Security
	if s.user != nil {
		to.Username = s.user.Username()
		password, given := s.user.Password()
		if given && security != nil {
			return errors.New("credentials are given twice, in the server URL and in Options.Security")
		}
		if security == nil {
			security = UserPassword{to.Username, password}
		}
	}
	switch v := security.(type) {
	case nil:
	case UserPassword:
		to.Username, to.Password = v.User, v.Password
	case Plain:
		to.Username, to.Password = v.User, v.Password
	case APIKey:
		if v.In != "password" {
			return fmt.Errorf("%w: apiKey in %q: Redis has a place for a key in the password only", ErrUnsupported, v.In)
		}
		to.Password = v.Key
	case OAuth2:
		return withToken(v.Token, to)
	case OpenIDConnect:
		return withToken(v.Token, to)
	case X509:
		if o.TLS == nil || len(o.TLS.Certificates) == 0 && o.TLS.GetClientCertificate == nil {
			return errors.New("X509: Options.TLS holds no client certificate")
		}
		return nil
	default:
		return fmt.Errorf("%w: Redis has no place for the security scheme %s", ErrUnsupported, security.Scheme())
	}
	if security != nil && to.Password == "" {
		return fmt.Errorf("%s: the password is empty", security.Scheme())
	}
	return nil
}

// withToken sends a token in place of the password.
func withToken(token func(context.Context) (string, error), to *redis.Options) error {
	if token == nil {
		return errors.New("oauth2: Token is nil")
	}
	user := to.Username
	to.CredentialsProviderContext = func(ctx context.Context) (string, string, error) {
		t, err := token(ctx)
		if err != nil {
			return "", "", fmt.Errorf("oauth2: token: %w", err)
		}
		return user, t, nil
	}
	return nil
}
