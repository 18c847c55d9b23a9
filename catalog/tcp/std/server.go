package std

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// server is what a server URL and the options say about reaching it.
type server struct {
	host string      // host:port
	tls  *tls.Config // nil for none
}

// newServer reads tcp://host:port, the same with tls for TLS, or host:port.
func newServer(serverURL string, o *Options) (server, error) {
	fail := func(why string) (server, error) {
		return server{}, fmt.Errorf("tcp: server URL: %s; expected host:port, tcp://host:port or, for TLS, tls://host:port", why)
	}
	if !strings.Contains(serverURL, "://") {
		serverURL = "tcp://" + serverURL
	}
	u, err := url.Parse(serverURL)
	if err != nil {
		return fail("malformed")
	}
	host, port, err := net.SplitHostPort(u.Host)
	n, numeric := strconv.Atoi(port)
	switch {
	case u.Scheme != "tcp" && u.Scheme != "tls" && u.Scheme != "tcps":
		return fail(fmt.Sprintf("unknown scheme %q", u.Scheme))
	case u.User != nil:
		return server{}, fmt.Errorf("tcp: server URL: %w: TCP carries no credentials", ErrUnsupported)
	case strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "":
		return fail("a path, query or fragment has no place in TCP")
	case err != nil || numeric != nil || n < 0 || n > 65535:
		return fail(fmt.Sprintf("%q is no host:port", u.Host))
	}
	s := server{host: u.Host}
	_, certificate := o.Security.(X509)
	if o.Security != nil && !certificate {
		return s, fmt.Errorf("tcp: %w: TCP has no place for the security scheme %s", ErrUnsupported, o.Security.Scheme())
	}
	if u.Scheme == "tcp" && o.TLS == nil && !certificate {
		return s, nil
	}
	s.tls = &tls.Config{}
	if o.TLS != nil {
		s.tls = o.TLS.Clone()
	}
	switch {
	case o.Role == RoleListen && len(s.tls.Certificates) == 0 && s.tls.GetCertificate == nil && s.tls.GetConfigForClient == nil:
		return s, errors.New("tcp: Options.TLS holds no certificate for the listening side")
	case o.Role == RoleListen && certificate && s.tls.ClientAuth < tls.RequireAndVerifyClientCert && s.tls.GetConfigForClient == nil:
		return s, errors.New("tcp: X509: Options.TLS.ClientAuth must require and verify the clients' certificates")
	case o.Role == RoleDial && certificate && len(s.tls.Certificates) == 0 && s.tls.GetClientCertificate == nil:
		return s, errors.New("tcp: X509: Options.TLS holds no client certificate")
	case o.Role == RoleDial && s.tls.ServerName == "":
		s.tls.ServerName = host
	}
	return s, nil
}

func (s server) listen(o *Options) (net.Listener, error) {
	config := &net.ListenConfig{KeepAliveConfig: o.keepAlive()}
	if o.Native != nil {
		o.Native(nil, config)
	}
	l, err := config.Listen(context.Background(), "tcp", s.host)
	if err != nil {
		return nil, fmt.Errorf("tcp: %w", err)
	}
	return l, nil
}

// dial connects and, with TLS, shows that both sides accept each other.
func (s server) dial(ctx context.Context, o *Options) (*Peer, error) {
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	dialer := &net.Dialer{KeepAliveConfig: o.keepAlive()}
	if o.Native != nil {
		o.Native(dialer, nil)
	}
	raw, err := dialer.DialContext(ctx, "tcp", s.host)
	if err != nil {
		return nil, err
	}
	if s.tls == nil {
		return newPeer(raw, raw, o), nil
	}
	h := &handshake{raw: raw}
	conn := tls.Client(raw, h.config(s.tls))
	if err = conn.HandshakeContext(ctx); err == nil && h.asked && conn.ConnectionState().Version >= tls.VersionTLS13 {
		err = h.verdict(conn)
	}
	if err != nil {
		_ = raw.Close()
		return nil, err
	}
	p := newPeer(raw, conn, o)
	p.early = h.early
	return p, nil
}

// handshake finds out whether a server accepts the certificate that it asked
// for. In TLS 1.3 the client is done before the server has looked at it, so the
// refusal, or the session ticket that follows an acceptance, comes only to who
// reads.
type handshake struct {
	raw     net.Conn
	asked   bool
	waiting bool // verdict reads
	early   []byte
}

// config makes itself heard of the request for a certificate and of tickets.
func (h *handshake) config(c *tls.Config) *tls.Config {
	c = c.Clone()
	choose, certificates := c.GetClientCertificate, c.Certificates
	c.GetClientCertificate = func(r *tls.CertificateRequestInfo) (*tls.Certificate, error) {
		h.asked = true
		if choose != nil {
			return choose(r)
		}
		for i := range certificates {
			if r.SupportsCertificate(&certificates[i]) == nil {
				return &certificates[i], nil
			}
		}
		return &tls.Certificate{}, nil
	}
	c.ClientSessionCache = h
	return c
}

// Get finds no session: each connection shows its certificate.
func (h *handshake) Get(string) (*tls.ClientSessionState, bool) { return nil, false }

// Put is called, by who reads, when a ticket has come.
func (h *handshake) Put(string, *tls.ClientSessionState) {
	if h.waiting {
		_ = h.raw.SetReadDeadline(time.Now())
	}
}

// verdict reads until a ticket has come, or a refusal. A server that gives no
// tickets and sends nothing has agreed if it is quiet for a second.
func (h *handshake) verdict(conn *tls.Conn) error {
	_ = h.raw.SetReadDeadline(time.Now().Add(time.Second))
	early := make([]byte, 1)
	h.waiting = true
	n, err := conn.Read(early)
	h.waiting, h.early = false, early[:n]
	var quiet net.Error
	if errors.As(err, &quiet) && quiet.Timeout() {
		err = nil
	}
	_ = h.raw.SetReadDeadline(time.Time{})
	return err
}

// final tells whether dialling again can't help.
func final(err error) bool {
	var certificate *tls.CertificateVerificationError
	var plain tls.RecordHeaderError
	return errors.As(err, &certificate) || errors.As(err, &plain) || errors.Is(classify(err), ErrUnauthorized)
}

// classify adds this package's error to the library's.
func classify(err error) error {
	// An alert of the server's means that it does not accept the client's
	// certificate, or that there is none.
	var alert *net.OpError
	if errors.As(err, &alert) && alert.Op == "remote error" {
		return fmt.Errorf("%w: %w", ErrUnauthorized, err)
	}
	return err
}
