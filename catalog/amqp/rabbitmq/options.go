package rabbitmq

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// Options tune a Producer or Consumer. Nil and the zero value mean the
// defaults. It is copied: later changes have no effect.
type Options struct {
	// Security is how to log in. The default is the user and password of the
	// server's URL, else guest with the password guest, which RabbitMQ accepts
	// from its own machine.
	Security Security
	// TLS turns TLS on, as the scheme amqps does, and configures it.
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
	// NoDeclare leaves exchanges and queues to others: a missing one is
	// ErrNotFound. Queues that the server names are declared all the same.
	NoDeclare bool
	// Heartbeat is how often the server and this client show that they live; the
	// connection is given up after one and a half times that. At least 1 s,
	// default 10 s.
	Heartbeat time.Duration
	// Name is what the server's tools show of the connection. Default none.
	Name string

	// Concurrency is how many handlers a Receive runs at once. Default 1.
	// Messages are handled in the order of the queue only with 1.
	Concurrency int
	// Prefetch is how many messages the server sends ahead of their
	// acknowledgement. More than Concurrency is faster, and a failed message
	// then comes again behind those. Default Concurrency.
	Prefetch int

	// Native changes the library's configuration after everything else was
	// set, for each new connection.
	Native func(*amqp.Config)
}

func (o *Options) withDefaults() Options {
	var c Options
	if o != nil {
		c = *o
	}
	for p, d := range map[*time.Duration]time.Duration{
		&c.Timeout: 10 * time.Second, &c.Heartbeat: 10 * time.Second,
		&c.MinBackoff: 100 * time.Millisecond, &c.MaxBackoff: 5 * time.Second,
	} {
		if *p <= 0 {
			*p = d
		}
	}
	c.MaxBackoff = max(c.MaxBackoff, c.MinBackoff)
	c.Heartbeat = max(c.Heartbeat, time.Second)
	c.Concurrency = max(c.Concurrency, 1)
	if c.Prefetch <= 0 {
		c.Prefetch = c.Concurrency
	}
	if c.Logger == nil {
		c.Logger = slog.New(silent{})
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
	return d/2 + time.Duration(rand.Int63n(int64(d/2)+1))
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

// login is a SASL mechanism with what it sends.
type login struct {
	mechanism, response string
	// properties are the client's, as the library sends them with the response.
	properties amqp.Table
}

// Mechanism implements amqp.Authentication.
func (l *login) Mechanism() string { return l.mechanism }

// Response implements amqp.Authentication. By now the library has filled in
// the capabilities, all but the one that makes the server say that it refuses
// the credentials where it would else just hang up.
func (l *login) Response() string {
	if capabilities, ok := l.properties["capabilities"].(amqp.Table); ok {
		capabilities["authentication_failure_close"] = true
	}
	return l.response
}

// security is the options', or the URL's user.
func (o *Options) security(s server) (Security, error) {
	if s.user == nil {
		if o.Security == nil {
			return UserPassword{"guest", "guest"}, nil
		}
		return o.Security, nil
	}
	if o.Security != nil {
		return nil, errors.New("credentials are given twice, in the server URL and in Options.Security")
	}
	password, _ := s.user.Password()
	return UserPassword{s.user.Username(), password}, nil
}

// login turns the security scheme into SASL, for one connection.
func (o *Options) login(ctx context.Context, s server) (*login, error) {
	plain := func(user, password string) (*login, error) {
		return &login{mechanism: "PLAIN", response: "\x00" + user + "\x00" + password}, nil
	}
	security, err := o.security(s)
	if err != nil {
		return nil, err
	}
	token := func(source func(context.Context) (string, error)) (*login, error) {
		if source == nil {
			return nil, fmt.Errorf("%s: Token is nil", security.Scheme())
		}
		value, err := source(ctx)
		if err != nil {
			return nil, fmt.Errorf("%s: token: %w", security.Scheme(), err)
		}
		return plain("", value)
	}
	switch v := security.(type) {
	case UserPassword:
		return plain(v.User, v.Password)
	case Plain:
		return plain(v.User, v.Password)
	case APIKey:
		switch v.In {
		case "user":
			return plain(v.Key, "")
		case "password":
			return plain("", v.Key)
		}
		return nil, fmt.Errorf("apiKey: In must be user or password, not %q", v.In)
	case OAuth2:
		return token(v.Token)
	case OpenIDConnect:
		return token(v.Token)
	case X509:
		if o.TLS == nil || len(o.TLS.Certificates) == 0 && o.TLS.GetClientCertificate == nil {
			return nil, errors.New("X509: Options.TLS holds no client certificate")
		}
		return &login{mechanism: "EXTERNAL"}, nil
	default:
		return nil, fmt.Errorf("%w: AMQP has no place for the security scheme %s", ErrUnsupported, security.Scheme())
	}
}

// silent is the handler of a Logger that nobody asked for; slog has its own
// since Go 1.24.
type silent struct{}

func (silent) Enabled(context.Context, slog.Level) bool  { return false }
func (silent) Handle(context.Context, slog.Record) error { return nil }
func (s silent) WithAttrs([]slog.Attr) slog.Handler      { return s }
func (s silent) WithGroup(string) slog.Handler           { return s }
