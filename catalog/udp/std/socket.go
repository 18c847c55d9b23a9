package std

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// parseServer reads udp://host:port or host:port, and looks at what of the
// options UDP can't do.
func parseServer(serverURL string, o *Options) (string, error) {
	fail := func(why string) (string, error) {
		return "", fmt.Errorf("udp: server URL: %s; expected host:port or udp://host:port", why)
	}
	if !strings.Contains(serverURL, "://") {
		serverURL = "udp://" + serverURL
	}
	u, err := url.Parse(serverURL)
	if err != nil {
		return fail("malformed")
	}
	_, port, err := net.SplitHostPort(u.Host)
	n, numeric := strconv.Atoi(port)
	switch {
	case u.Scheme != "udp":
		return fail(fmt.Sprintf("unknown scheme %q", u.Scheme))
	case u.User != nil:
		return "", fmt.Errorf("udp: server URL: %w: UDP carries no credentials", ErrUnsupported)
	case strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "":
		return fail("a path, query or fragment has no place in UDP")
	case err != nil || numeric != nil || n < 0 || n > 65535:
		return fail(fmt.Sprintf("%q is no host:port", u.Host))
	case o.Security != nil:
		return "", fmt.Errorf("udp: %w: UDP has no place for the security scheme %s", ErrUnsupported, o.Security.Scheme())
	case o.TLS != nil:
		return "", fmt.Errorf("udp: %w: Options.TLS: DTLS is not here", ErrUnsupported)
	}
	return u.Host, nil
}

// resolve finds the host, and the interface where there is one.
func resolve(ctx context.Context, hostport string, o *Options) (netip.AddrPort, *net.Interface, error) {
	ctx, cancel := o.bounded(ctx)
	defer cancel()
	host, port, _ := net.SplitHostPort(hostport)
	n, _ := strconv.Atoi(port)
	addr := netip.IPv6Unspecified()
	if host != "" {
		found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		if err != nil {
			return netip.AddrPort{}, nil, err
		}
		addr = found[0].Unmap()
		for _, a := range found {
			if a.Unmap().Is4() { // as net's Dial prefers for UDP
				addr = a.Unmap()
				break
			}
		}
	}
	if o.Interface == "" {
		return netip.AddrPortFrom(addr, uint16(n)), nil, nil
	}
	if !addr.IsMulticast() {
		return netip.AddrPort{}, nil, fmt.Errorf("%w: Options.Interface is for a multicast group, %s is none", ErrUnsupported, addr)
	}
	ifi, err := net.InterfaceByName(o.Interface)
	return netip.AddrPortFrom(addr, uint16(n)), ifi, err
}

// listen opens the socket of a Consumer, which joins a multicast group.
func listen(addr netip.AddrPort, ifi *net.Interface, o *Options) (*net.UDPConn, error) {
	var conn *net.UDPConn
	var err error
	if addr.Addr().IsMulticast() {
		conn, err = net.ListenMulticastUDP("udp", ifi, net.UDPAddrFromAddrPort(addr))
	} else {
		conn, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(addr))
	}
	if err != nil {
		return nil, err
	}
	return conn, o.tune(conn)
}

// dial opens the socket of a Publisher. It is connected, so that the system
// tells when nobody listens.
func dial(addr netip.AddrPort, ifi *net.Interface, o *Options) (*net.UDPConn, error) {
	var from *net.UDPAddr
	if ifi != nil { // what has the interface's address goes out there
		addresses, err := ifi.Addrs()
		if err != nil {
			return nil, err
		}
		for _, a := range addresses {
			p, err := netip.ParsePrefix(a.String())
			if err == nil && p.Addr().Is4() == addr.Addr().Is4() && from == nil {
				from = &net.UDPAddr{IP: p.Addr().AsSlice()}
				if p.Addr().IsLinkLocalUnicast() {
					from.Zone = ifi.Name
				}
			}
		}
		if from == nil {
			return nil, fmt.Errorf("the interface %s has no address to reach %s from", ifi.Name, addr)
		}
	}
	to := net.UDPAddrFromAddrPort(addr)
	if ifi != nil && addr.Addr().Is6() {
		to.Zone = ifi.Name
	}
	conn, err := net.DialUDP("udp", from, to)
	if err != nil {
		return nil, err
	}
	return conn, o.tune(conn)
}

func (o *Options) tune(conn *net.UDPConn) error {
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
	conn  *net.UDPConn
	turn  chan struct{}
	limit int
}

func newWriter(conn *net.UDPConn, limit int) *writer {
	return &writer{conn, make(chan struct{}, 1), limit}
}

// send sends the envelopes, to a peer where the socket is not connected to one.
func (w *writer) send(ctx context.Context, to netip.AddrPort, envelopes []*EnvelopeOut) error {
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

func (w *writer) write(ctx context.Context, to netip.AddrPort, payload []byte) error {
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
		_, err = w.conn.WriteToUDPAddrPort(payload, to)
	} else {
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
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%w: nobody listens there, an earlier datagram was lost and this one was not sent: %w", ErrRefused, err)
	case errors.Is(err, syscall.EMSGSIZE):
		return fmt.Errorf("%w: %w", ErrTooLarge, err)
	case errors.Is(err, syscall.EACCES) || errors.Is(err, syscall.EPERM):
		return fmt.Errorf("%w: %w", ErrUnauthorized, err)
	}
	return err
}
