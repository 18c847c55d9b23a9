package std

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// server is what a server URL says.
type server struct {
	network string // ip, ip4 or ip6
	host    string
}

// parseServer reads ip://host, ip4:// and ip6:// to insist on a version, or
// host, and looks at what of the options IP can't do.
func parseServer(serverURL string, o *Options) (server, error) {
	fail := func(why string) (server, error) {
		return server{}, fmt.Errorf("ip: server URL: %s; expected host, ip://host, ip4://host or ip6://host, with IPv6 addresses as they are or in brackets", why)
	}
	scheme, host, found := strings.Cut(serverURL, "://")
	if !found {
		scheme, host = "ip", serverURL
	}
	if bracketed, ok := strings.CutPrefix(host, "["); ok && strings.HasSuffix(host, "]") {
		host = strings.TrimSuffix(bracketed, "]")
	}
	_, notAddress := netip.ParseAddr(host)
	switch {
	case scheme != "ip" && scheme != "ip4" && scheme != "ip6":
		return fail(fmt.Sprintf("unknown scheme %q", scheme))
	case strings.Contains(host, "@"):
		return server{}, fmt.Errorf("ip: server URL: %w: IP carries no credentials", ErrUnsupported)
	case host == "":
		return fail("no host")
	case notAddress != nil && strings.Contains(host, ":"):
		return fail(fmt.Sprintf("%q: IP has no ports", host))
	case notAddress != nil && strings.ContainsAny(host, "/?#[] "):
		return fail(fmt.Sprintf("%q is no host", host))
	case o.Protocol < 0 || o.Protocol > 255:
		return server{}, fmt.Errorf("ip: Options.Protocol is a number from 1 to 255, not %d", o.Protocol)
	case o.Security != nil:
		return server{}, fmt.Errorf("ip: %w: IP has no place for the security scheme %s", ErrUnsupported, o.Security.Scheme())
	case o.TLS != nil:
		return server{}, fmt.Errorf("ip: %w: Options.TLS: there is no TLS over IP alone", ErrUnsupported)
	}
	return server{scheme, host}, nil
}

// resolve finds the host.
func (s server) resolve(ctx context.Context, o *Options) (netip.Addr, error) {
	ctx, cancel := o.bounded(ctx)
	defer cancel()
	found, err := net.DefaultResolver.LookupNetIP(ctx, s.network, s.host)
	if err != nil {
		return netip.Addr{}, err
	}
	for _, a := range found {
		if a.Unmap().Is4() { // as net's Dial prefers
			return a.Unmap(), nil
		}
	}
	return found[0], nil
}

func network(addr netip.Addr, o *Options) string {
	if addr.Is4() {
		return "ip4:" + strconv.Itoa(o.Protocol)
	}
	return "ip6:" + strconv.Itoa(o.Protocol)
}

func ipAddr(addr netip.Addr) *net.IPAddr {
	return &net.IPAddr{IP: addr.AsSlice(), Zone: addr.Zone()}
}

// listen opens the socket of a Consumer.
func listen(addr netip.Addr, o *Options) (*net.IPConn, error) {
	conn, err := net.ListenIP(network(addr, o), ipAddr(addr))
	if err != nil {
		return nil, err
	}
	return conn, o.tune(conn)
}

// dial opens the socket of a Publisher. It is connected, so that the system
// tells when the host does not take the protocol.
func dial(addr netip.Addr, o *Options) (*net.IPConn, error) {
	conn, err := net.DialIP(network(addr, o), nil, ipAddr(addr))
	if err != nil {
		return nil, err
	}
	// What the host sends comes here too, and nobody reads it.
	_ = conn.SetReadBuffer(1)
	if o.Native != nil {
		o.Native(conn)
	}
	return conn, nil
}

func (o *Options) tune(conn *net.IPConn) error {
	if o.ReadBuffer > 0 {
		if err := conn.SetReadBuffer(o.ReadBuffer); err != nil {
			_ = conn.Close()
			return err
		}
	}
	if o.Native != nil {
		o.Native(conn)
	}
	return nil
}

// writer sends datagrams one after the other: a deadline for one of them is a
// deadline for all that are being sent.
type writer struct {
	conn  *net.IPConn
	turn  chan struct{}
	limit int
}

func newWriter(conn *net.IPConn, limit int) *writer {
	return &writer{conn, make(chan struct{}, 1), limit}
}

// send sends the envelopes, to a peer where the socket is not connected to one.
func (w *writer) send(ctx context.Context, to netip.Addr, envelopes []*EnvelopeOut) error {
	errs, failed := make(SendErrors, len(envelopes)), false
	for i, e := range envelopes {
		if errs[i] = e.check(w.limit); errs[i] == nil {
			errs[i] = classify(w.write(ctx, to, e.payload))
		}
		failed = failed || errs[i] != nil
	}
	switch {
	case !failed:
		return nil
	case len(errs) == 1:
		return errs[0]
	}
	return errs
}

func (w *writer) write(ctx context.Context, to netip.Addr, payload []byte) error {
	select {
	case w.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-w.turn }()
	if err := ctx.Err(); err != nil {
		return err
	}
	defer interrupt(ctx, w.conn.SetWriteDeadline)()
	var err error
	if to.IsValid() {
		_, err = w.conn.WriteToIP(payload, ipAddr(to))
	} else if err = pending(w.conn); err == nil {
		_, err = w.conn.Write(payload)
	}
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// interrupt ends what runs on a socket when ctx ends. What it returns undoes
// that, so that nothing of it is left for the next call.
func interrupt(ctx context.Context, setDeadline func(time.Time) error) func() {
	done := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		_ = setDeadline(time.Unix(1, 0))
		close(done)
	})
	return func() {
		if !stop() {
			<-done
			_ = setDeadline(time.Time{})
		}
	}
}

// classify adds this package's error to the system's.
func classify(err error) error {
	switch {
	case errors.Is(err, net.ErrClosed):
		return fmt.Errorf("%w: %w", ErrClosed, err)
	case errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ENOPROTOOPT):
		return fmt.Errorf("%w: the host does not take the protocol or had no room, an earlier datagram was lost and this one was not sent: %w", ErrRefused, err)
	case errors.Is(err, syscall.EMSGSIZE):
		return fmt.Errorf("%w: %w", ErrTooLarge, err)
	case errors.Is(err, syscall.EACCES) || errors.Is(err, syscall.EPERM):
		return fmt.Errorf("%w: %w: raw sockets need root or, on Linux, CAP_NET_RAW: setcap cap_net_raw+ep on the program, AmbientCapabilities=CAP_NET_RAW in its systemd unit, or NET_RAW among its container's capabilities", ErrUnauthorized, err)
	}
	return err
}
