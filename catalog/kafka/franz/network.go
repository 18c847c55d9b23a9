package franz

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

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl"
)

// metadataAge is how old the library's knowledge of topics and leaders gets.
const metadataAge = 5 * time.Second

// network is a kgo.Client whose requests all have a deadline, and what is
// needed to make another one for the same server.
type network struct {
	client   *kgo.Client
	server   server
	options  Options
	clientID string
	extra    []kgo.Opt

	stop    context.Context // done when close begins
	stopNow context.CancelFunc

	loginBegun atomic.Bool
	failing    atomic.Int32
	links      connections
	closeOnce  sync.Once
}

// connect reaches the server and logs in, or says why it can't.
func connect(serverURL string, bindings *ServerBindings, o Options, extra ...kgo.Opt) (*network, error) {
	s, err := parseServer(serverURL)
	if err != nil {
		return nil, err
	}
	n, err := newNetwork(s, o, "", extra)
	if err == nil {
		err = bindings.check()
	}
	if err == nil {
		ctx, cancel := context.WithTimeout(context.Background(), o.Timeout)
		err = n.cause(n.client.Ping(ctx))
		cancel()
	}
	if err != nil {
		if n != nil {
			n.close()
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			if n.loginBegun.Load() {
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

// login is a mechanism that tells when the server lets it begin.
type login struct {
	sasl.Mechanism
	begun *atomic.Bool
}

func (l login) Authenticate(ctx context.Context, host string) (sasl.Session, []byte, error) {
	l.begun.Store(true)
	return l.Mechanism.Authenticate(ctx, host)
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
		if channel, err = newNetwork(n.server, n.options, string(id), n.extra); err != nil {
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

func newNetwork(s server, o Options, clientID string, extra []kgo.Opt) (*network, error) {
	n := &network{server: s, options: o, clientID: clientID, extra: extra}
	n.links.network = n
	n.stop, n.stopNow = context.WithCancel(context.Background())
	client, err := n.newClient(extra...)
	if err != nil {
		return nil, err
	}
	n.client = client
	return n, nil
}

// newClient makes a client, which connects when it is first used.
func (n *network) newClient(extra ...kgo.Opt) (*kgo.Client, error) {
	o := n.options
	mechanism, err := o.mechanism(n.server)
	if err != nil {
		return nil, err
	}
	dialer := &net.Dialer{Timeout: o.Timeout * 8 / 10}
	dial := dialer.DialContext
	if n.server.secure || o.TLS != nil {
		config := o.TLS.Clone()
		if config == nil {
			config = &tls.Config{MinVersion: tls.VersionTLS12}
		}
		secure := &tls.Dialer{NetDialer: dialer, Config: config}
		dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			// NetDialer's time-out does not include the handshake.
			ctx, cancel := context.WithTimeout(ctx, dialer.Timeout)
			defer cancel()
			return secure.DialContext(ctx, network, address)
		}
	}
	age := min(metadataAge, max(o.Timeout/2, 100*time.Millisecond))
	options := []kgo.Opt{
		kgo.SeedBrokers(n.server.seeds...),
		kgo.Dialer(dial),
		kgo.WithHooks(&n.links),
		kgo.DisableClientMetrics(),
		kgo.AlwaysRetryEOF(),
		kgo.RequestTimeoutOverhead(o.exchange()),
		kgo.RetryTimeout(o.Timeout),
		kgo.RetryBackoffFn(func(n int) time.Duration { return o.backoff(max(n-1, 0)) }),
		kgo.MetadataMinAge(min(age, 250*time.Millisecond)), kgo.MetadataMaxAge(age),
	}
	if mechanism != nil {
		options = append(options, kgo.SASL(login{mechanism, &n.loginBegun}))
	}
	if n.clientID != "" {
		options = append(options, kgo.ClientID(n.clientID))
	}
	options = append(options, extra...)
	return kgo.NewClient(append(options, o.Native...)...)
}

// bounded ends a context when the network closes, and after the time-out where
// it has no deadline.
func (n *network) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	cancel := context.CancelFunc(func() {})
	if _, has := ctx.Deadline(); !has {
		ctx, cancel = context.WithTimeout(ctx, n.options.Timeout)
	}
	ctx, cancelAll := context.WithCancel(ctx)
	stop := context.AfterFunc(n.stop, cancelAll)
	return ctx, func() { stop(); cancelAll(); cancel() }
}

// ask makes one exchange with the server; do is a request's RequestWith.
func ask[R any](ctx context.Context, n *network, do func(context.Context, kmsg.Requestor) (R, error)) (R, error) {
	ctx, cancel := n.bounded(ctx)
	defer cancel()
	response, err := do(ctx, n.client)
	return response, n.cause(err)
}

// cause replaces the error of a client that was closed, and adds to a time-out
// what stood in the way.
func (n *network) cause(err error) error {
	switch {
	case err == nil:
		return nil
	case n.stop.Err() != nil:
		return ErrClosed
	case errors.Is(err, context.DeadlineExceeded):
		if last := n.links.last(); last != nil && !errors.Is(last, context.DeadlineExceeded) {
			return fmt.Errorf("%w: %w", err, last)
		}
	}
	return err
}

// close ends every request and connection.
func (n *network) close() {
	n.closeOnce.Do(func() {
		n.stopNow()
		n.client.CloseAllowingRebalance()
	})
}

// connections hears of each attempt to connect.
type connections struct {
	network *network

	mu     sync.Mutex
	health *health
	err    error
}

// OnBrokerConnect implements kgo.HookBrokerConnect.
func (c *connections) OnBrokerConnect(_ kgo.BrokerMetadata, _ time.Duration, _ net.Conn, err error) {
	if errors.Is(err, context.Canceled) || errors.Is(err, kgo.ErrClientClosed) || c.network.stop.Err() != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err = err
	if c.health == nil {
		c.health = c.network.health()
	}
	c.health.report(err)
}

// last is why the last attempt failed, nil where it did not.
func (c *connections) last() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
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
