package streams

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// network makes connections to a server.
type network struct {
	options Options
	native  *redis.Options
	client  *redis.Client // for Native

	stop    context.Context // done when close begins
	stopNow context.CancelFunc
	failing atomic.Int32
}

// connect reaches the server and logs in, or says why it can't.
func connect(serverURL string, options *Options) (*network, *link, error) {
	s, err := parseServer(serverURL)
	if err != nil {
		return nil, nil, err
	}
	n := &network{options: options.withDefaults()}
	n.stop, n.stopNow = context.WithCancel(context.Background())
	var l *link
	if err = n.configure(s); err == nil {
		l, err = n.login(n.stop, 0)
	}
	if err != nil {
		n.stopNow()
		if errors.Is(err, io.EOF) {
			err = fmt.Errorf("%w (a server that expects TLS hangs up like this)", err)
		}
		return nil, nil, fmt.Errorf("redis: connect to %s: %w", s.addr, classify(err))
	}
	n.client = redis.NewClient(n.native)
	return n, l, nil
}

func (n *network) configure(s server) error {
	o := &n.options
	n.native = &redis.Options{
		Addr: s.addr, DB: s.db,
		DialTimeout: o.Timeout, ReadTimeout: o.Timeout, WriteTimeout: o.Timeout,
		// What must be repeated is repeated here, where it is known who waits.
		MaxRetries: -1, DialerRetries: 1,
		// The messages of Protocol 3 have nothing that is of use here.
		Protocol: 2, DisableIdentity: true,
	}
	if s.secure || o.TLS != nil {
		n.native.TLSConfig = o.TLS.Clone()
		if n.native.TLSConfig == nil {
			n.native.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
		}
	}
	if err := o.credentials(s, n.native); err != nil {
		return err
	}
	if o.Native != nil {
		o.Native(n.native)
	}
	if n.native.Dialer == nil {
		n.native.Dialer = n.dialTLS
	}
	return nil
}

// dialTLS heeds its context in the handshake too, which the library's does not.
func (n *network) dialTLS(ctx context.Context, network, addr string) (net.Conn, error) {
	d := &net.Dialer{Timeout: n.options.Timeout}
	if n.native.TLSConfig == nil {
		return d.DialContext(ctx, network, addr)
	}
	return (&tls.Dialer{NetDialer: d, Config: n.native.TLSConfig}).DialContext(ctx, network, addr)
}

func (n *network) close() {
	n.stopNow()
	_ = n.client.Close()
}

// link is one connection. It has a client of the library to itself, which is
// given this connection and no other, so that closing it ends at once whatever
// waits for the server. A context does not do that to the library's reads.
type link struct {
	net.Conn // as an interface, it keeps the pool from reading it for a check
	client   *redis.Client
}

var errEnded = errors.New("the connection has ended")

// dial makes a connection on which an answer may take wait and Options.Timeout.
// The library logs in with the first command.
func (n *network) dial(ctx context.Context, wait time.Duration) (*link, error) {
	network := n.native.Network
	if network == "" {
		network = "tcp"
	}
	conn, err := n.native.Dialer(ctx, network, n.native.Addr)
	if err != nil {
		return nil, err
	}
	l := &link{Conn: conn}
	own := *n.native
	own.PoolSize, own.MinIdleConns, own.PipelinePoolSize = 1, 0, -1
	if own.ReadTimeout > 0 {
		own.ReadTimeout += wait
	}
	own.ConnMaxIdleTime, own.ConnMaxLifetime = -1, -1
	var used atomic.Bool
	own.Dialer = func(context.Context, string, string) (net.Conn, error) {
		if used.Swap(true) {
			return nil, errEnded
		}
		return l, nil
	}
	l.client = redis.NewClient(&own)
	return l, nil
}

// login makes a connection and uses it once: where the login fails a pipeline's
// commands are left without an error.
func (n *network) login(ctx context.Context, wait time.Duration) (*link, error) {
	ctx, cancel := context.WithTimeout(ctx, n.options.Timeout)
	defer cancel()
	l, err := n.dial(ctx, wait)
	if err != nil {
		return nil, err
	}
	if err := l.during(ctx, func(ctx context.Context) error { return l.client.Ping(ctx).Err() }); err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

// during calls f and closes the link if ctx ends meanwhile.
func (l *link) during(ctx context.Context, f func(context.Context) error) error {
	stop := context.AfterFunc(ctx, l.close)
	err := f(ctx)
	if !stop() && err != nil {
		err = ctx.Err()
	}
	return err
}

func (l *link) close() {
	_ = l.Close()
	_ = l.client.Close()
}

// health tells the Logger when the first part of a network fails and when the
// last one works again, however often they try in between.
type health struct {
	network *network
	failing bool
}

func (n *network) health() *health { return &health{network: n} }

func (h *health) report(err error) {
	switch failing := err != nil && kind(err) == nil; {
	case failing && !h.failing:
		if h.network.failing.Add(1) == 1 {
			h.network.options.Logger.Warn("redis: the server fails, trying again", "error", err)
		}
	case !failing && h.failing:
		if h.network.failing.Add(-1) == 0 {
			h.network.options.Logger.Info("redis: the server answers again")
		}
	default:
		return
	}
	h.failing = !h.failing
}

// end forgets a part that stops while it fails.
func (h *health) end() {
	if h.failing {
		h.network.failing.Add(-1)
	}
}
