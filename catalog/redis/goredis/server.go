package goredis

import (
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
)

// server is what a server URL says.
type server struct {
	addr   string // host:port
	secure bool
	user   *url.Userinfo
	db     int
}

// parseServer reads redis://[[user]:password@]host[:port][/db], the same with
// rediss for TLS, or host[:port].
func parseServer(serverURL string) (server, error) {
	fail := func(why string) (server, error) {
		return server{}, fmt.Errorf("redis: server URL: %s; expected host:port or redis://[[user]:password@]host[:port][/db], with rediss:// for TLS", why)
	}
	scheme, rest, ok := strings.Cut(serverURL, "://")
	if !ok {
		scheme, rest = "redis", serverURL
	}
	u, err := url.Parse("redis://" + rest)
	if err != nil {
		return fail("it is malformed (percent-encode special characters of the user name and password)")
	}
	s := server{user: u.User}
	switch strings.ToLower(scheme) {
	case "redis":
	case "rediss":
		s.secure = true
	default:
		return fail(fmt.Sprintf("unknown scheme %q", scheme))
	}
	port := u.Port()
	if port == "" {
		port = "6379"
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 || u.Hostname() == "" || strings.ContainsAny(u.Host, ", ") {
		return fail(fmt.Sprintf("%q is no host:port", u.Host))
	}
	s.addr = net.JoinHostPort(u.Hostname(), port)
	if db := strings.TrimPrefix(u.Path, "/"); db != "" {
		if s.db, err = strconv.Atoi(db); err != nil || s.db < 0 {
			return fail(fmt.Sprintf("%q is no database number", db))
		}
	}
	if u.RawQuery != "" || u.Fragment != "" || u.ForceQuery {
		return fail("it has a query or a fragment")
	}
	return s, nil
}
