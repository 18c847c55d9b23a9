package rabbitmq

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// session is one connection to the server, from login to loss. What belongs to
// it (channels, deliveries) is never used with another one.
type session struct {
	conn    *amqp.Connection
	socket  *socket
	options *Options
	opened  channels
	gone    chan struct{} // closed when the connection has ended
	err     error         // why, to be read when it has

	mu      sync.Mutex
	blocked chan struct{} // nil, or closed when the server takes messages again
	reason  string        // why it takes none
}

// dial connects to one host and logs in.
func dial(ctx context.Context, o *Options, s server, host, vhost string) (*session, error) {
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	auth, err := o.login(ctx, s)
	if err != nil {
		return nil, err
	}
	config := amqp.Config{
		SASL: []amqp.Authentication{auth}, Vhost: vhost, Heartbeat: o.Heartbeat, Locale: "en_US",
		Properties: amqp.Table{"product": "AMQP 0-9-1 client", "platform": "Go"},
		Dial: func(network, address string) (net.Conn, error) {
			return dialSocket(ctx, network, address, s.secure, o.TLS)
		},
	}
	if o.Name != "" {
		config.Properties["connection_name"] = o.Name
	}
	if o.Native != nil {
		o.Native(&config)
	}
	auth.properties = config.Properties
	var current atomic.Pointer[socket]
	var explain func(error) error
	connect := config.Dial
	config.Dial = func(network, address string) (net.Conn, error) {
		c, err := connect(network, address)
		if err != nil {
			return nil, err
		}
		deadline, _ := ctx.Deadline()
		if err := c.SetDeadline(deadline); err != nil {
			c.Close()
			return nil, err
		}
		sock := &socket{Conn: c, silence: config.Heartbeat * 3 / 2}
		current.Store(sock)
		var seen net.Conn
		seen, explain = adapt(sock)
		return seen, nil
	}
	defer context.AfterFunc(ctx, func() {
		if sock := current.Load(); sock != nil && !sock.open.Load() {
			sock.fail(ctx.Err())
		}
	})()
	conn, err := amqp.DialConfig("amqp://"+host, config)
	sock := current.Load()
	if err != nil {
		if sock == nil {
			return nil, err
		}
		sock.fail(errLogin)
		return nil, explain(err)
	}
	n := &session{conn: conn, socket: sock, options: o, gone: make(chan struct{})}
	go n.watch(conn.NotifyClose(make(chan *amqp.Error, 1)), conn.NotifyBlocked(make(chan amqp.Blocking, 1)))
	return n, nil
}

// Why a socket is closed.
var (
	errLogin    = errors.New("login failed")
	errNoAnswer = errors.New("no answer from the server in time")
)

// dialSocket opens the network connection. TLS is done here and not by the
// library, which would make text of its errors.
func dialSocket(ctx context.Context, network, address string, secure bool, config *tls.Config) (net.Conn, error) {
	var dialer net.Dialer
	if !secure && config == nil {
		return dialer.DialContext(ctx, network, address)
	}
	if config = config.Clone(); config == nil {
		config = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	return (&tls.Dialer{NetDialer: &dialer, Config: config}).DialContext(ctx, network, address)
}

// hint is for errors that say little by themselves.
func hint(err error) string {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return " (a server that expects TLS, other credentials, or no AMQP, hangs up like this)"
	}
	return ""
}

// watch drains what the library tells, until the connection has ended.
func (n *session) watch(closes <-chan *amqp.Error, blocks <-chan amqp.Blocking) {
	for {
		select {
		case b, ok := <-blocks:
			if !ok {
				blocks = nil
				continue
			}
			n.block(b.Active, b.Reason)
		case err, ok := <-closes:
			n.err = n.socket.cause()
			switch {
			case ok && (err.Server || n.err == nil):
				n.err = err
			case n.err == nil:
				n.err = ErrClosed
			}
			n.block(false, "")
			n.socket.fail(n.err)
			close(n.gone)
			for ok {
				_, ok = <-closes
			}
			return
		}
	}
}

// block notes whether the server takes messages: it does not while it is short
// of memory or disk.
func (n *session) block(active bool, reason string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case active && n.blocked == nil:
		n.blocked, n.reason = make(chan struct{}), reason
		n.options.Logger.Warn("amqp: the server takes no messages for now", "reason", reason)
	case !active && n.blocked != nil:
		close(n.blocked)
		n.blocked, n.reason = nil, ""
		n.options.Logger.Info("amqp: the server takes messages again")
	}
}

// writable waits until the server takes messages, or the connection is gone.
func (n *session) writable(ctx context.Context) {
	n.mu.Lock()
	blocked := n.blocked
	n.mu.Unlock()
	if blocked == nil {
		return
	}
	select {
	case <-blocked:
	case <-ctx.Done():
	}
}

// delay is why the server does not answer, as far as it has said so.
func (n *session) delay() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.blocked == nil {
		return nil
	}
	return fmt.Errorf("the server takes no messages for now: %s", n.reason)
}

// open opens a channel and sets it up. A server that does not answer within
// Options.Timeout is dead, unless it has said that it is blocked.
func (n *session) open(ctx context.Context, setUp func(*amqp.Channel) error) (*amqp.Channel, error) {
	type result struct {
		channel *amqp.Channel
		err     error
	}
	done := make(chan result, 1)
	go func() {
		channel, err := n.opened.open(n.conn)
		if err == nil {
			if err = setUp(channel); err != nil {
				n.opened.close(channel)
			}
		}
		done <- result{channel, err}
	}()
	timer := time.NewTimer(n.options.Timeout)
	defer timer.Stop()
	var err error
	select {
	case r := <-done:
		if r.err != nil {
			return nil, n.explain(r.err)
		}
		return r.channel, nil
	case <-ctx.Done():
		err = ctx.Err()
	case <-timer.C:
		if err = n.delay(); err == nil {
			err = errNoAnswer
			n.socket.fail(err)
		}
	}
	go func() { // until the server answers or the connection ends
		if r := <-done; r.err == nil {
			n.opened.close(r.channel)
		}
	}()
	return nil, err
}

// explain replaces the library's "not open" by why that is so.
func (n *session) explain(err error) error {
	if !errors.Is(err, amqp.ErrClosed) {
		return err
	}
	select {
	case <-n.gone:
		return n.err
	default:
		return err
	}
}

// closeChannel closes a channel, and waits for the server to know until the
// deadline. After that the channel goes with the connection.
func (n *session) closeChannel(channel *amqp.Channel, deadline time.Time) {
	done := make(chan struct{})
	go func() {
		n.opened.close(channel)
		close(done)
	}()
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
	}
}

// close logs out, as far as the server answers before the deadline.
func (n *session) close(deadline time.Time) {
	timer := time.AfterFunc(time.Until(deadline), func() { n.socket.fail(ErrClosed) })
	n.conn.Close()
	timer.Stop()
	n.socket.fail(ErrClosed)
	<-n.gone
}
