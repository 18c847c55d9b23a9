package coder

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
)

// hub takes the handshakes of a side that listens.
type hub struct {
	options    *Options
	server     server
	credential credential
	listener   net.Listener // nil where the user's own server listens
	http       *http.Server
	done       chan struct{} // closed when http has ended

	mu     sync.Mutex
	closed bool
	routes []*route
}

// route is a channel and where it is found.
type route struct {
	segments []string
	channel  *channel
	users    int
}

// newHub listens, unless serverURL is empty.
func newHub(serverURL string, o *Options) (*hub, error) {
	h := &hub{options: o}
	var err error
	if serverURL != "" {
		if h.server, err = parseServer(serverURL); err != nil {
			return nil, err
		}
	}
	if h.credential, err = newCredential(o, h.server.user); err != nil {
		return nil, fmt.Errorf("ws: %w", err)
	}
	if serverURL == "" {
		return h, nil
	}
	h.server.secure = h.server.secure || o.TLS != nil
	var config *tls.Config
	if h.server.secure {
		if o.TLS == nil || len(o.TLS.Certificates) == 0 && o.TLS.GetCertificate == nil && o.TLS.GetConfigForClient == nil {
			return nil, errors.New("ws: Options.TLS holds no certificate for the server")
		}
		config = o.TLS.Clone()
		config.NextProtos = []string{"http/1.1"} // HTTP/2 has no upgrade
	}
	if h.credential.certificate && (config == nil || config.ClientAuth < tls.VerifyClientCertIfGiven) {
		return nil, errors.New("ws: X509: Options.TLS.ClientAuth must verify the clients' certificates")
	}
	if h.listener, err = (&net.ListenConfig{}).Listen(context.Background(), "tcp", h.server.host); err != nil {
		return nil, fmt.Errorf("ws: listen: %w", err)
	}
	h.http = &http.Server{
		Handler: h, ReadHeaderTimeout: o.Timeout, IdleTimeout: o.Timeout,
		ErrorLog: slog.NewLogLogger(o.Logger.Handler(), slog.LevelWarn),
	}
	h.done = make(chan struct{})
	serve := h.listener
	if config != nil {
		serve = tls.NewListener(serve, config)
	}
	go func() {
		defer close(h.done)
		_ = h.http.Serve(serve) // it ends with Close alone
	}()
	return h, nil
}

// url is where it listens.
func (h *hub) url() string {
	if h.listener == nil {
		return ""
	}
	u := url.URL{Scheme: "ws", Host: h.listener.Addr().String(), Path: h.server.base}
	if h.server.secure {
		u.Scheme = "wss"
	}
	return u.String()
}

// open lets peers in for a channel. Where the address has one that may be
// shared, it is that one.
func (h *hub) open(c *channel, shared bool) (*channel, error) {
	path, err := h.server.path(c.address)
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, ErrClosed
	}
	segments := strings.Split(path, "/")
	for _, r := range h.routes {
		if slices.Equal(r.segments, segments) {
			if !shared {
				return nil, fmt.Errorf("%w: the address has a Subscriber already", ErrRefused)
			}
			r.users++
			return r.channel, nil
		}
	}
	h.routes = append(h.routes, &route{segments, c, 1})
	return c, nil
}

// leave ends one use of a channel and tells whether it was the last one.
func (h *hub) leave(c *channel) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	i := slices.IndexFunc(h.routes, func(r *route) bool { return r.channel == c })
	if i < 0 {
		return true
	}
	if h.routes[i].users--; h.routes[i].users > 0 {
		return false
	}
	h.routes = slices.Delete(h.routes, i, i+1)
	return true
}

// find gives the channel of a path. One without parameters goes first.
func (h *hub) find(r *http.Request) *channel {
	h.mu.Lock()
	defer h.mu.Unlock()
	path := strings.TrimRight(r.URL.Path, "/")
	if path == "" {
		path = "/"
	}
	segments := strings.Split(path, "/")
	for _, route := range h.routes {
		if slices.Equal(route.segments, segments) {
			return route.channel
		}
	}
	for _, route := range h.routes {
		if values, ok := match(route.segments, segments); ok {
			for name, value := range values {
				r.SetPathValue(name, value)
			}
			return route.channel
		}
	}
	return nil
}

// match gives the values of the pattern's parameters, as in /rooms/{room}.
func match(pattern, segments []string) (map[string]string, bool) {
	if len(pattern) != len(segments) {
		return nil, false
	}
	values := map[string]string{}
	for i, p := range pattern {
		if strings.HasPrefix(p, "{") && strings.HasSuffix(p, "}") && segments[i] != "" {
			values[p[1:len(p)-1]] = segments[i]
		} else if p != segments[i] {
			return nil, false
		}
	}
	return values, true
}

// ServeHTTP takes a handshake and serves the connection until it ends.
func (h *hub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := h.find(r)
	if c == nil || !c.enter() {
		http.Error(w, "no such address", http.StatusNotFound)
		return
	}
	defer c.serving.Done()
	if status, err := h.admit(c, w, r); err != nil {
		c.log().Info("ws: handshake refused", "remote", r.RemoteAddr, "status", status, "error", err)
		http.Error(w, err.Error(), status)
		return
	}
	wire, err := acceptWire(w, r, h.options)
	if err != nil {
		c.log().Info("ws: handshake refused", "remote", r.RemoteAddr, "error", err)
		return
	}
	p := newPeer(wire, h.options, r)
	if err = c.welcome(p); err == nil {
		c.log().Debug("ws: peer connected", "remote", r.RemoteAddr)
		err = c.serve(p)
	}
	c.log().Debug("ws: peer gone", "remote", r.RemoteAddr, "cause", err)
}

// admit tells whether a handshake may go on.
func (h *hub) admit(c *channel, w http.ResponseWriter, r *http.Request) (int, error) {
	if err := h.credential.demand(r); err != nil {
		if challenge := h.credential.challenge(); challenge != "" {
			w.Header().Set("WWW-Authenticate", challenge)
		}
		return http.StatusUnauthorized, err
	}
	if h.options.Authorize != nil {
		if err := h.options.Authorize(r); errors.Is(err, ErrUnauthorized) {
			return http.StatusUnauthorized, err
		} else if err != nil {
			return http.StatusForbidden, err
		}
	}
	if err := c.bindings.fit(r.URL.Query(), r.Header); err != nil {
		return http.StatusBadRequest, fmt.Errorf("%w: %w", errBindings, err)
	}
	return 0, nil
}

// close ends listening; the channels are closed already.
func (h *hub) close() {
	h.mu.Lock()
	h.closed = true
	h.mu.Unlock()
	if h.http == nil {
		return
	}
	_ = h.http.Close()
	<-h.done
}

// peers gives the open connections of channels.
func peers(channels []*channel) []*Peer {
	var all []*Peer
	for _, c := range channels {
		c.mu.Lock()
		for p := range c.peers {
			all = append(all, p)
		}
		c.mu.Unlock()
	}
	return all
}
