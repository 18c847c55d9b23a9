package jetstream

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// connection is a nats.Conn that says what became of a message. The library's
// Publish fills a buffer: what happens to it later, a refusal, a lost
// connection, comes by ways that know nothing of the message.
type connection struct {
	nats    *nats.Conn
	server  server
	options Options
	dialer  *dialer
	gate    chan struct{} // held while a message is given to the library
	work    sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	cause   error // why the library has given up for good
	ended   chan struct{}
	heard   error                 // the last one the library has told of
	told    chan struct{}         // closed, and made anew, when it tells of one
	watches map[*watch]struct{}   // of the exchanges under way
	denied  func(subscribe error) // a Consumer's, for refused subscriptions
}

// watch collects the refusals that the server sends during an exchange.
type watch struct{ refusals []error }

// connect reaches a server and logs in, or says why it can't.
func connect(serverURL string, o Options) (*connection, error) {
	s, err := parseServer(serverURL)
	if err != nil {
		return nil, err
	}
	c := &connection{
		server: s, options: o, gate: make(chan struct{}, 1), ended: make(chan struct{}),
		told: make(chan struct{}), watches: map[*watch]struct{}{},
	}
	// Each host has its share, so that a silent one does not take all of it.
	c.dialer = newDialer(o.Timeout / time.Duration(len(s.hosts)))
	n := c.settings()
	if err := o.login(s, &n); err != nil {
		return nil, fmt.Errorf("nats: connect to %s: %w", strings.Join(s.hosts, ","), err)
	}
	if o.Native != nil {
		o.Native(&n)
	}
	c.dialer.take(&n)
	c.listen(&n)
	late := time.AfterFunc(o.Timeout, c.dialer.abort)
	c.nats, err = n.Connect()
	if !late.Stop() {
		if err == nil {
			c.nats.Close()
		}
		err = fmt.Errorf("no answer within %v: %w", o.Timeout, errors.Join(err, c.dialer.lastError()))
	} else if errors.Is(err, nats.ErrNoServers) {
		err = errors.Join(err, c.dialer.lastError())
	}
	if err != nil {
		c.dialer.abort()
		return nil, fmt.Errorf("nats: connect to %s: %w", strings.Join(s.hosts, ","), classify(err))
	}
	return c, nil
}

func (c *connection) settings() nats.Options {
	o := c.options
	n := nats.GetDefaultOptions()
	n.Servers = c.server.urls()
	n.Timeout = c.dialer.timeout
	n.FlusherTimeout = o.Timeout
	n.MaxReconnect = -1
	n.CustomReconnectDelayCB = func(n int) time.Duration { return o.backoff(n - 1) }
	// Nothing is kept for later while there is no connection: Send waits, and
	// what it gave up on must not be sent behind its caller's back.
	n.ReconnectBufSize = -1
	n.PingInterval = o.KeepAlive
	n.MaxPingsOut = 2
	n.NoCallbacksAfterClientClose = true
	if c.server.secure || o.TLS != nil {
		n.Secure = true
		n.TLSConfig = o.TLS.Clone()
		if n.TLSConfig == nil {
			n.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
		}
	}
	n.DisconnectedErrCB = func(_ *nats.Conn, err error) {
		if !c.isClosed() {
			o.Logger.Warn("nats: the connection is lost, trying again", "error", err)
		}
	}
	return n
}

// listen hears what the library tells, before Options.Native's callbacks do.
func (c *connection) listen(n *nats.Options) {
	failed, closed, connected := n.AsyncErrorCB, n.ClosedCB, n.ReconnectedCB
	n.AsyncErrorCB = func(nc *nats.Conn, sub *nats.Subscription, err error) {
		c.report(sub, err)
		if isTold(err) {
			c.hear(err)
		}
		if failed != nil {
			failed(nc, sub, err)
		}
	}
	n.ClosedCB = func(nc *nats.Conn) {
		c.end(nc.LastError())
		if closed != nil {
			closed(nc)
		}
	}
	n.ReconnectedCB = func(nc *nats.Conn) {
		c.options.Logger.Info("nats: connected again", "server", nc.ConnectedAddr())
		if connected != nil {
			connected(nc)
		}
	}
}

// hear notes that an error has been dealt with.
func (c *connection) hear(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.heard = err
	close(c.told)
	c.told = make(chan struct{})
}

// report is called by the library for what concerns no call.
func (c *connection) report(sub *nats.Subscription, err error) {
	switch {
	case errors.Is(err, nats.ErrPermissionViolation), errors.Is(err, nats.ErrMaxSubscriptionsExceeded):
		c.refused(err)
		return
	case errors.Is(err, nats.ErrSlowConsumer) && sub != nil:
		dropped, _ := sub.Dropped()
		c.options.Logger.Warn("nats: messages were dropped: handlers are too slow, or no Receive runs", "subject", sub.Subject, "dropped", dropped)
		return
	}
	if !c.isClosed() {
		c.options.Logger.Warn("nats: an error of the connection", "error", err)
	}
}

func (c *connection) refused(err error) {
	c.options.Logger.Warn("nats: the server refuses", "error", err)
	c.mu.Lock()
	denied := c.denied
	c.mu.Unlock()
	if denied != nil && (errors.Is(err, nats.ErrMaxSubscriptionsExceeded) || strings.Contains(err.Error(), "Subscription to ")) {
		denied(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for w := range c.watches {
		w.refusals = append(w.refusals, err)
	}
}

// end notes that the library has given up for good, as it does when the
// credentials are refused twice.
func (c *connection) end(cause error) {
	if cause == nil {
		cause = nats.ErrConnectionClosed
	}
	if kind(cause) == nil {
		cause = fmt.Errorf("%w: %w", ErrRefused, cause)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed && c.cause == nil {
		c.cause = classify(cause)
		c.options.Logger.Error("nats: the connection has ended for good", "error", cause)
		close(c.ended)
	}
}

func (c *connection) watch() *watch {
	w := &watch{}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.watches[w] = struct{}{}
	return w
}

func (c *connection) unwatch(w *watch) []error {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.watches, w)
	return w.refusals
}

// refuses tells whether a refusal is about this message, or the subscription
// to its reply.
func refuses(refusal error, m *nats.Msg) bool {
	text, reply := refusal.Error(), strconv.Quote(m.Reply)
	return strings.Contains(text, "Publish to "+strconv.Quote(m.Subject)) ||
		m.Reply != "" && (strings.Contains(text, "Publish with Reply of "+reply) || strings.Contains(text, "Subscription to "+reply))
}

// persist repeats what fails because there is no connection.
func persist[T any](ctx context.Context, c *connection, try func() (T, error)) (T, error) {
	var none T
	for {
		result, err := aside(ctx, c, try)
		if err == nil || ctx.Err() == nil && final(err) {
			return result, err
		}
		if ended := c.state(); ended != nil {
			return none, ended
		}
		if ctx.Err() != nil || !sleep(ctx, c.options.MinBackoff) {
			if errors.Is(err, ctx.Err()) {
				return none, ctx.Err()
			}
			return none, fmt.Errorf("%w: %w", ctx.Err(), err)
		}
	}
}

// aside runs a call of the library in a goroutine of its own. The library holds
// a lock while it dials and writes, and to wait for that knows no context.
func aside[T any](ctx context.Context, c *connection, call func() (T, error)) (T, error) {
	type outcome struct {
		result T
		err    error
	}
	var none T
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return none, ErrClosed
	}
	c.work.Add(1)
	c.mu.Unlock()
	done := make(chan outcome, 1)
	go func() {
		defer c.work.Done()
		result, err := call()
		done <- outcome{result, err}
	}()
	select {
	case o := <-done:
		return o.result, o.err
	case <-ctx.Done():
		return none, ctx.Err()
	}
}

// background runs what nobody waits for but close.
func (c *connection) background(run func()) {
	over, cancel := context.WithCancel(context.Background())
	cancel()
	_, _ = aside(over, c, func() (struct{}, error) { run(); return struct{}{}, nil })
}

// flush returns when the server has had everything, and this side has heard of
// what it refused.
func (c *connection) flush(ctx context.Context) error {
	if err := c.nats.FlushWithContext(ctx); err != nil {
		return err
	}
	// Refusals come before the answer, but the library tells of them later.
	for {
		// In this order: what comes in between closes told.
		c.mu.Lock()
		heard, told := c.heard, c.told
		c.mu.Unlock()
		last := c.nats.LastError()
		if heard == last || !isTold(last) {
			return nil
		}
		select {
		case <-told:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// isTold tells whether an error of the library is one that it also tells of.
func isTold(err error) bool {
	for _, told := range []error{nats.ErrPermissionViolation, nats.ErrMaxSubscriptionsExceeded, nats.ErrSlowConsumer, nats.ErrBadHeaderMsg} {
		if errors.Is(err, told) {
			return true
		}
	}
	return false
}

// bounded is ctx with Options.Timeout where it has no deadline, and ended by
// stop.
func (c *connection) bounded(ctx, stop context.Context) (context.Context, context.CancelFunc) {
	var cancel context.CancelFunc
	if _, has := ctx.Deadline(); has {
		// The library's flush insists on a deadline, which this one keeps.
		ctx, cancel = context.WithCancel(ctx)
	} else {
		ctx, cancel = context.WithTimeout(ctx, c.options.Timeout)
	}
	unhook := context.AfterFunc(stop, cancel)
	return ctx, func() { unhook(); cancel() }
}

// state is nil while the connection exists or comes back.
func (c *connection) state() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return ErrClosed
	}
	return c.cause
}

func (c *connection) isClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

// close ends the connection. What had to be confirmed is by now.
func (c *connection) close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	// The library's lock may be held by a dial or a write to a dead server.
	late := time.AfterFunc(min(c.options.Timeout, time.Second), c.dialer.abort)
	c.nats.Close()
	late.Stop()
	c.dialer.abort()
	c.work.Wait()
}

// dialer makes connections that can be ended from outside of the library.
type dialer struct {
	ctx     context.Context
	abort   context.CancelFunc
	timeout time.Duration
	dialer  net.Dialer
	custom  nats.CustomDialer // Options.Native's

	mu   sync.Mutex
	last error
}

func newDialer(timeout time.Duration) *dialer {
	d := &dialer{timeout: timeout}
	d.ctx, d.abort = context.WithCancel(context.Background())
	return d
}

// take puts the dialer in front of the one that the library has.
func (d *dialer) take(n *nats.Options) {
	d.custom = n.CustomDialer
	if n.Dialer != nil {
		d.dialer = *n.Dialer
	}
	d.dialer.Timeout = d.timeout
	n.CustomDialer = d
}

// Dial implements nats.CustomDialer.
func (d *dialer) Dial(network, address string) (net.Conn, error) {
	dial := func(network, address string) (net.Conn, error) { return d.dialer.DialContext(d.ctx, network, address) }
	if d.custom != nil {
		dial = d.custom.Dial
	}
	raw, err := dial(network, address)
	if err != nil {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.last = err
		return nil, err
	}
	return &conn{Conn: raw, unhook: context.AfterFunc(d.ctx, func() { raw.Close() })}, nil
}

// SkipTLSHandshake tells the library whether Options.Native's dialer does it.
func (d *dialer) SkipTLSHandshake() bool {
	custom, ok := d.custom.(interface{ SkipTLSHandshake() bool })
	return ok && custom.SkipTLSHandshake()
}

func (d *dialer) lastError() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.last
}

// conn ends with its first failed write. The library forgets what it could not
// write and carries on, so that the next message's answer would confirm it.
type conn struct {
	net.Conn
	unhook func() bool
}

func (c *conn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if err != nil {
		c.Conn.Close()
	}
	return n, err
}

func (c *conn) Close() error {
	c.unhook()
	return c.Conn.Close()
}
