package gobwas

import (
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
)

// server is what a server URL says.
type server struct {
	secure bool
	host   string // host:port
	base   string // the path before the addresses, without a slash at its end
	user   *url.Userinfo
}

// parseServer reads ws://[user:password@]host[:port][/path], the same with wss
// for TLS, or the bare host:port.
func parseServer(serverURL string) (server, error) {
	fail := func(why string) (server, error) {
		return server{}, fmt.Errorf("ws: server URL: %s; expected host:port or ws://[user:password@]host:port[/path], with wss:// for TLS", why)
	}
	var s server
	if !strings.Contains(serverURL, "://") {
		serverURL = "ws://" + serverURL
	}
	u, err := url.Parse(serverURL)
	if err != nil {
		return fail("malformed (percent-encode special characters)")
	}
	port := "80"
	switch u.Scheme {
	case "ws":
	case "wss":
		s.secure, port = true, "443"
	default:
		return fail(fmt.Sprintf("unknown scheme %q", u.Scheme))
	}
	if u.RawQuery != "" || u.Fragment != "" {
		return fail("no query or fragment is possible; Options.Query takes parameters")
	}
	if u.Port() != "" {
		port = u.Port()
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 || u.Host == "" ||
		strings.Contains(u.Hostname(), ":") && net.ParseIP(u.Hostname()) == nil {
		return fail(fmt.Sprintf("%q is no host:port", u.Host))
	}
	s.host, s.user = net.JoinHostPort(u.Hostname(), port), u.User
	s.base = strings.TrimRight(u.Path, "/")
	return s, nil
}

// path joins the server's path and an address.
func (s server) path(address string) (string, error) {
	if strings.ContainsAny(address, "?#") {
		return "", fmt.Errorf("the address %q has a query or a fragment; the bindings or Options.Query take parameters", address)
	}
	path := strings.TrimRight(s.base+"/"+strings.TrimLeft(address, "/"), "/")
	if path == "" {
		path = "/"
	}
	return path, nil
}
