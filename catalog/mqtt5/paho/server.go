package paho

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
)

// server is what a server URL says.
type server struct {
	address string // host:port
	secure  bool
	web     *url.URL // for MQTT over WebSocket
	user    *url.Userinfo
}

var schemes = map[string]struct {
	secure, web bool
	port        string
}{
	"mqtt": {port: "1883"}, "mqtt5": {port: "1883"}, "tcp": {port: "1883"},
	"mqtts": {secure: true, port: "8883"}, "secure-mqtt": {secure: true, port: "8883"},
	"ws": {web: true, port: "80"}, "wss": {secure: true, web: true, port: "443"},
}

// parseServer reads mqtt://[user:password@]host[:port] and its like, or a bare
// host:port.
func parseServer(serverURL string) (server, error) {
	fail := func(why string) (server, error) {
		return server{}, fmt.Errorf("mqtt: server URL: %s; expected host:port or mqtt://[user:password@]host[:port], with mqtts:// for TLS and ws:// or wss:// for WebSocket", why)
	}
	if !strings.Contains(serverURL, "://") {
		serverURL = "mqtt://" + serverURL
	}
	u, err := url.Parse(serverURL)
	if err != nil {
		// The error of net/url would show the password.
		return fail("malformed (percent-encode special characters in user name and password)")
	}
	scheme, ok := schemes[u.Scheme]
	if !ok {
		return fail(fmt.Sprintf("unknown scheme %q", u.Scheme))
	}
	port := u.Port()
	if port == "" {
		port = scheme.port
	}
	if n, err := strconv.Atoi(port); u.Hostname() == "" || strings.HasSuffix(u.Host, ":") || err != nil || n < 1 || n > 65535 {
		return fail(fmt.Sprintf("%q is no host:port", u.Host))
	}
	s := server{address: net.JoinHostPort(u.Hostname(), port), secure: scheme.secure, user: u.User}
	if scheme.web {
		s.web = u
	} else if strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return fail("only WebSocket has a path")
	}
	return s, nil
}

// dial opens the connection that MQTT will run on.
func (s server) dial(ctx context.Context, o *Options, c credentials) (net.Conn, error) {
	dial := o.Dial
	if dial == nil {
		dial = (&net.Dialer{}).DialContext
	}
	conn, err := dial(ctx, "tcp", s.address)
	if err != nil {
		return nil, err
	}
	if s.secure || o.TLS != nil {
		config := o.TLS.Clone()
		if config == nil {
			config = &tls.Config{MinVersion: tls.VersionTLS12}
		}
		if config.ServerName == "" {
			config.ServerName, _, _ = net.SplitHostPort(s.address)
		}
		secure := tls.Client(conn, config)
		if err := secure.HandshakeContext(ctx); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
		conn = secure
	}
	if s.web != nil {
		return s.upgrade(ctx, conn, c)
	}
	return conn, nil
}
