package paho

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"math"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// Options tune a Producer or Consumer. Nil and the zero value mean the
// defaults. It is copied: later changes have no effect.
type Options struct {
	// Security is how to log in. The default is not to, or the user and
	// password of the server's URL.
	Security Security
	// TLS turns TLS on, as the scheme mqtts does, and configures it.
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

	// Concurrency is how many handlers a Receive runs at once. With more than
	// the default, 1, there is no order among them.
	Concurrency int

	// Dial opens the network connection; TLS and WebSocket come on top of it.
	// Default a net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Native changes the library's options after everything else was set. Store,
	// AutoReconnect, AutoAckDisabled and the handlers have to stay. It is called
	// for every new connection.
	Native func(*mqtt.ClientOptions)
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
	c.MaxBackoff = max(c.MaxBackoff, c.MinBackoff)
	c.Concurrency = max(c.Concurrency, 1)
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
	return d/2 + mathrand.N(d/2+1)
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

// randomName is one that every server takes as a client id (3.1.3.1).
func randomName() string {
	var b [11]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// credentials are what CONNECT carries, and with WebSocket the request before
// it.
type credentials struct {
	user, password string
	token          func(context.Context) (string, error) // gives the password
	web            http.Header
	query          url.Values
}

// get gives the user and the password. MQTT 3.1.1 has no password without a
// user, so a key or token alone goes with the client id.
func (c credentials) get(ctx context.Context, id string) (user, password string, err error) {
	user, password = c.user, c.password
	if c.token != nil {
		if password, err = c.token(ctx); err != nil {
			return "", "", fmt.Errorf("token: %w", err)
		}
	}
	if user == "" && password != "" {
		user = id
	}
	return user, password, nil
}

// credentials turns the options' security, or the URL's user, into what goes
// on the wire.
func (o *Options) credentials(s server) (credentials, error) {
	security := o.Security
	if s.user != nil {
		if security != nil {
			return credentials{}, errors.New("credentials are given twice, in the server URL and in Options.Security")
		}
		password, _ := s.user.Password()
		security = UserPassword{s.user.Username(), password}
	}
	var c credentials
	var err error
	unsupported := func() error {
		return fmt.Errorf("%w: MQTT has no place for the security scheme %s", ErrUnsupported, security.Scheme())
	}
	login := func(user, password string) {
		c.user, c.password = user, password
		if user == "" {
			err = fmt.Errorf("%w: %s: MQTT 3.1.1 has no password without a user", ErrUnsupported, security.Scheme())
		}
	}
	token := func(token func(context.Context) (string, error)) {
		if c.token = token; token == nil {
			err = fmt.Errorf("%s: Token is nil", security.Scheme())
		}
	}
	switch v := security.(type) {
	case nil:
	case UserPassword:
		login(v.User, v.Password)
	case Plain:
		login(v.User, v.Password)
	case APIKey:
		switch v.In {
		case "user":
			c.user = v.Key
		case "password":
			c.password = v.Key
		default:
			err = fmt.Errorf("apiKey: In is user or password, not %q", v.In)
		}
	case OAuth2:
		token(v.Token)
	case OpenIDConnect:
		token(v.Token)
	case X509:
		if o.TLS == nil || len(o.TLS.Certificates) == 0 && o.TLS.GetClientCertificate == nil {
			err = errors.New("X509: Options.TLS holds no client certificate")
		}
	case HTTP, HTTPAPIKey:
		if s.web == nil {
			return c, fmt.Errorf("%w; over WebSocket it has", unsupported())
		}
		err = c.onTheWeb(v)
	default:
		err = unsupported()
	}
	if err == nil && max(len(c.user), len(c.password)) > math.MaxUint16 {
		err = fmt.Errorf("%w: the user or the password has more than 65535 bytes", ErrUnsupported)
	}
	return c, err
}

// onTheWeb takes the schemes that belong to HTTP.
func (c *credentials) onTheWeb(security Security) error {
	c.web, c.query = http.Header{}, url.Values{}
	switch v := security.(type) {
	case HTTPAPIKey:
		switch v.In {
		case "header":
			c.web.Set(v.Name, v.Key)
		case "cookie":
			c.web.Set("Cookie", (&http.Cookie{Name: v.Name, Value: v.Key}).String())
		case "query":
			c.query.Set(v.Name, v.Key)
		default:
			return fmt.Errorf("httpApiKey: In is query, header or cookie, not %q", v.In)
		}
	case HTTP:
		request := http.Request{Header: c.web}
		switch {
		case strings.EqualFold(v.AuthScheme, "basic"):
			request.SetBasicAuth(v.User, v.Password)
		case v.AuthScheme == "" || v.Credentials == "":
			return errors.New("http: AuthScheme or Credentials is empty")
		default:
			c.web.Set("Authorization", v.AuthScheme+" "+v.Credentials)
		}
	}
	return nil
}
