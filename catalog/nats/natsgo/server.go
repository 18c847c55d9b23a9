package natsgo

import (
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
)

// server is what a server URL says.
type server struct {
	hosts  []string // host:port
	secure bool
	user   *url.Userinfo
}

// parseServer reads nats://[user:password@]host[:port][,host[:port]...], the
// same with tls for TLS, or the bare list of hosts. net/url takes no list of
// hosts, so the parts are cut here.
func parseServer(serverURL string) (server, error) {
	fail := func(why string) (server, error) {
		return server{}, fmt.Errorf("nats: server URL: %s; expected host:port or nats://[user:password@]host:port[,host:port], with tls:// for TLS", why)
	}
	var s server
	hosts := serverURL
	if scheme, rest, ok := strings.Cut(serverURL, "://"); ok {
		switch strings.ToLower(scheme) {
		case "nats":
		case "tls", "natss":
			s.secure = true
		default:
			return fail(fmt.Sprintf("unknown scheme %q", scheme))
		}
		hosts = strings.TrimSuffix(rest, "/")
	}
	if at := strings.LastIndex(hosts, "@"); at >= 0 {
		u, err := url.Parse("nats://" + hosts[:at] + "@host")
		if err != nil {
			return fail("malformed user name or password (percent-encode special characters)")
		}
		s.user, hosts = u.User, hosts[at+1:]
	}
	if strings.ContainsAny(hosts, "/?# ") {
		return fail("only hosts and ports are possible, no path, query or fragment")
	}
	for hostport := range strings.SplitSeq(hosts, ",") {
		host, port, err := net.SplitHostPort(hostport)
		if err != nil {
			host, port = strings.Trim(hostport, "[]"), "4222"
		}
		n, err := strconv.Atoi(port)
		if host == "" || strings.Contains(host, ":") && net.ParseIP(host) == nil || err != nil || n < 1 || n > 65535 {
			return fail(fmt.Sprintf("%q is no host:port", hostport))
		}
		s.hosts = append(s.hosts, net.JoinHostPort(host, port))
	}
	return s, nil
}

// urls are the servers as the library takes them.
func (s server) urls() []string {
	scheme := "nats://"
	if s.secure {
		scheme = "tls://"
	}
	urls := make([]string, len(s.hosts))
	for i, host := range s.hosts {
		urls[i] = scheme + host
	}
	return urls
}
