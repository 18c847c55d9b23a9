package segmentio

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/sasl"
)

// network is a kafka.Transport made safe to stop: every request has a deadline,
// every connection is known and closed at the end, and a server that falls
// silent during the handshake is given up. It is the kafka.RoundTripper of the
// client in it.
type network struct {
	client    *kafka.Client
	transport *kafka.Transport
	server    server
	options   Options
	login     *login

	stop     context.Context // done when close begins
	stopNow  context.CancelFunc
	mu       sync.Mutex
	closed   bool
	requests sync.WaitGroup
	conns    map[*conn]struct{}
	failing  atomic.Int32
}

// connect reaches the server and logs in, or says why it can't.
func connect(serverURL string, bindings *ServerBindings, o Options) (*network, error) {
	s, err := parseServer(serverURL)
	if err != nil {
		return nil, err
	}
	n, err := newNetwork(s, o, kafka.DefaultClientID)
	if err == nil {
		err = bindings.check()
	}
	if err == nil {
		_, err = n.client.Metadata(context.Background(), &kafka.MetadataRequest{Topics: []string{}})
	}
	if err != nil {
		if n != nil {
			n.close()
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			if n.login.begun.Load() {
				// Servers that know no SaslAuthenticate (KIP-152) say no like this.
				err = fmt.Errorf("%w: the server hung up during the login: %w", ErrUnauthorized, err)
			} else {
				err = fmt.Errorf("%w (a server that expects TLS, a login, or neither, hangs up like this)", err)
			}
		}
		return nil, fmt.Errorf("kafka: connect to %s: %w", strings.Join(s.seeds, ","), classify(err))
	}
	return n, nil
}

// login is a mechanism that remembers whether the server let it begin.
type login struct {
	sasl.Mechanism
	begun atomic.Bool
}

func (l *login) Start(ctx context.Context) (sasl.StateMachine, []byte, error) {
	l.begun.Store(true)
	return l.Mechanism.Start(ctx)
}

// open declares a channel's topic. A channel with a client id gets a network
// of its own: to Kafka the id belongs to a connection.
func (n *network) open(ctx context.Context, address string, bindings *ChannelBindings) (*network, string, error) {
	if err := ctx.Err(); err != nil {
		return nil, "", err
	}
	topic, err := bindings.topic(address)
	if err != nil {
		return nil, "", err
	}
	channel := n
	if id := bindings.operation().ClientID; id != "" && n.stop.Err() == nil {
		if channel, err = newNetwork(n.server, n.options, string(id)); err != nil {
			return nil, "", err
		}
	}
	if err := channel.declare(ctx, topic, bindings); err != nil {
		if channel != n {
			channel.close()
		}
		return nil, "", err
	}
	return channel, topic, nil
}

func newNetwork(s server, o Options, clientID string) (*network, error) {
	mechanism, err := o.mechanism(s)
	if err != nil {
		return nil, err
	}
	n := &network{server: s, options: o, conns: map[*conn]struct{}{}, login: &login{Mechanism: mechanism}}
	n.stop, n.stopNow = context.WithCancel(context.Background())
	n.transport = &kafka.Transport{
		// Less than the deadline of the request that waits for the connection,
		// so that the caller is told the cause and not just the time-out.
		DialTimeout: o.Timeout * 9 / 10,
		Dial:        (&net.Dialer{Timeout: o.Timeout * 8 / 10}).DialContext,
		ClientID:    clientID,
	}
	if mechanism != nil {
		n.transport.SASL = n.login
	}
	if s.secure || o.TLS != nil {
		n.transport.TLS = o.TLS.Clone()
		if n.transport.TLS == nil {
			n.transport.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
		}
	}
	if o.Native != nil {
		o.Native(n.transport)
	}
	dial := n.transport.Dial
	n.transport.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return n.track(c)
	}
	n.client = &kafka.Client{Addr: kafka.TCP(s.seeds...), Transport: n, Timeout: o.Timeout}
	return n, nil
}

// RoundTrip implements kafka.RoundTripper.
func (n *network) RoundTrip(ctx context.Context, addr net.Addr, request kafka.Request) (kafka.Response, error) {
	n.mu.Lock()
	if n.closed {
		n.mu.Unlock()
		return nil, ErrClosed
	}
	n.requests.Add(1)
	n.mu.Unlock()
	defer n.requests.Done()

	var cancel context.CancelFunc
	if _, bounded := ctx.Deadline(); bounded {
		ctx, cancel = context.WithCancel(ctx)
	} else {
		ctx, cancel = context.WithTimeout(ctx, n.options.Timeout)
	}
	defer cancel()
	defer context.AfterFunc(n.stop, cancel)()
	response, err := n.transport.RoundTrip(ctx, addr, request)
	if err != nil && n.stop.Err() != nil {
		err = ErrClosed
	}
	return response, err
}

// refresh makes the next request read the cluster's metadata anew, which the
// transport otherwise does every few seconds.
func (n *network) refresh() { n.transport.CloseIdleConnections() }

// close ends every request and connection. Requests are ended first: one that
// came after CloseIdleConnections would start the transport again.
func (n *network) close() {
	n.mu.Lock()
	n.closed = true
	n.mu.Unlock()
	n.stopNow()
	n.requests.Wait()
	n.transport.CloseIdleConnections()
	n.mu.Lock()
	defer n.mu.Unlock()
	for c := range n.conns {
		c.Conn.Close()
	}
}

func (n *network) track(c net.Conn) (net.Conn, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		c.Close()
		return nil, ErrClosed
	}
	tracked := &conn{Conn: c, network: n}
	tracked.unbounded.Store(true)
	n.conns[tracked] = struct{}{}
	return tracked, nil
}

// conn bounds the reads that the transport leaves without a deadline: those of
// the SASL exchange. An idle connection is not read from.
type conn struct {
	net.Conn
	network   *network
	unbounded atomic.Bool
}

func (c *conn) SetDeadline(t time.Time) error {
	c.unbounded.Store(t.IsZero())
	return c.Conn.SetDeadline(t)
}

func (c *conn) Read(p []byte) (int, error) {
	if c.unbounded.Load() {
		if err := c.Conn.SetReadDeadline(time.Now().Add(c.network.options.Timeout)); err != nil {
			return 0, err
		}
	}
	return c.Conn.Read(p)
}

func (c *conn) Close() error {
	c.network.mu.Lock()
	delete(c.network.conns, c)
	c.network.mu.Unlock()
	return c.Conn.Close()
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
			h.network.options.Logger.Warn("kafka: the server fails, trying again", "error", err)
		}
	case !failing && h.failing:
		if h.network.failing.Add(-1) == 0 {
			h.network.options.Logger.Info("kafka: the server answers again")
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
