package franz

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/oauth"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

// Options tune a Producer or Consumer. Nil and the zero value mean the
// defaults. It is copied: later changes have no effect.
type Options struct {
	// Security is how to log in. The default is not to, or the user and
	// password of the server's URL.
	Security Security
	// TLS turns TLS on, as the scheme kafka-secure does, and configures it.
	TLS *tls.Config
	// Timeout bounds connecting, each exchange with the server, a Send whose
	// context has no deadline, and the wait of Close. Default 10 s.
	Timeout time.Duration
	// Logger is told what no caller is: connection states, failed handlers,
	// rejected records. Default silent.
	Logger *slog.Logger
	// MinBackoff and MaxBackoff bound the wait between two attempts, which
	// doubles from one to the other and is jittered. Defaults 100 ms and 5 s.
	MinBackoff, MaxBackoff time.Duration
	// NoDeclare leaves topics to others: a missing one is ErrNotFound.
	NoDeclare bool

	// Compression of sent batches: none, gzip, snappy, lz4 or zstd. Default
	// none. Every one of them is read.
	Compression string
	// MaxBatchBytes bounds the batches that several records are sent in; one
	// record alone may be larger. Default 1 000 000, just below the server's
	// own default for message.max.bytes.
	MaxBatchBytes int

	// Concurrency is how many handlers a Receive runs at once, each on a
	// partition of its own. Default 1.
	Concurrency int
	// SessionTimeout is how long the group waits for a member that died, and
	// RebalanceTimeout for the handlers of a live one. Defaults 30 s and 60 s.
	SessionTimeout, RebalanceTimeout time.Duration
	// MaxFetchBytes bounds what is read ahead for each partition. A larger
	// record is read all the same. Default 1 MiB.
	MaxFetchBytes int

	// Native goes to every kgo.Client that the driver makes, after its own
	// options. A kgo.Dialer in it has TLS to do as well.
	Native []kgo.Opt
}

func (o *Options) withDefaults() Options {
	var c Options
	if o != nil {
		c = *o
	}
	for p, d := range map[*time.Duration]time.Duration{
		&c.Timeout: 10 * time.Second, &c.MinBackoff: 100 * time.Millisecond, &c.MaxBackoff: 5 * time.Second,
		&c.SessionTimeout: 30 * time.Second, &c.RebalanceTimeout: 60 * time.Second,
	} {
		if *p <= 0 {
			*p = d
		}
	}
	for p, d := range map[*int]int{&c.MaxBatchBytes: 1_000_000, &c.Concurrency: 1, &c.MaxFetchBytes: 1 << 20} {
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

// exchange is Timeout for one exchange with the server, within the library's
// limits.
func (o *Options) exchange() time.Duration {
	return min(max(o.Timeout, 100*time.Millisecond), 15*time.Minute)
}

func (o *Options) milliseconds() int32 { return int32(min(o.Timeout.Milliseconds(), math.MaxInt32)) }

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

func (o *Options) compression() (kgo.CompressionCodec, error) {
	switch o.Compression {
	case "", "none":
		return kgo.NoCompression(), nil
	case "gzip":
		return kgo.GzipCompression(), nil
	case "snappy":
		return kgo.SnappyCompression(), nil
	case "lz4":
		return kgo.Lz4Compression(), nil
	case "zstd":
		return kgo.ZstdCompression(), nil
	default:
		return kgo.NoCompression(), fmt.Errorf("%w: compression %q: expected none, gzip, snappy, lz4 or zstd", ErrUnsupported, o.Compression)
	}
}

// mechanism turns the options' security, or the URL's user, into SASL.
func (o *Options) mechanism(s server) (sasl.Mechanism, error) {
	security := o.Security
	if s.user != nil {
		if security != nil {
			return nil, errors.New("credentials are given twice, in the server URL and in Options.Security")
		}
		password, _ := s.user.Password()
		security = UserPassword{s.user.Username(), password}
	}
	switch v := security.(type) {
	case nil:
		return nil, nil
	case UserPassword:
		return plain.Auth{User: v.User, Pass: v.Password}.AsMechanism(), nil
	case Plain:
		return plain.Auth{User: v.User, Pass: v.Password}.AsMechanism(), nil
	case ScramSHA256:
		return scram.Auth{User: v.User, Pass: v.Password}.AsSha256Mechanism(), nil
	case ScramSHA512:
		return scram.Auth{User: v.User, Pass: v.Password}.AsSha512Mechanism(), nil
	case OAuth2:
		return oauthBearer(v.Token)
	case OpenIDConnect:
		return oauthBearer(v.Token)
	case X509:
		if o.TLS == nil || len(o.TLS.Certificates) == 0 && o.TLS.GetClientCertificate == nil {
			return nil, errors.New("X509: Options.TLS holds no client certificate")
		}
		return nil, nil
	default:
		return nil, fmt.Errorf("%w: Kafka has no place for the security scheme %s", ErrUnsupported, security.Scheme())
	}
}

// oauthBearer is SASL OAUTHBEARER (RFC 7628, KIP-255).
func oauthBearer(token func(context.Context) (string, error)) (sasl.Mechanism, error) {
	if token == nil {
		return nil, errors.New("oauth2: Token is nil")
	}
	return oauth.Oauth(func(ctx context.Context) (oauth.Auth, error) {
		text, err := token(ctx)
		if err != nil {
			return oauth.Auth{}, fmt.Errorf("oauth2: token: %w", err)
		}
		return oauth.Auth{Token: text}, nil
	}), nil
}
