package streadway

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
	vhost  string
}

// parseServer reads amqp://[user:password@]host[:port][,host[:port]...][/vhost],
// the same with amqps for TLS, or the bare list of hosts. net/url takes no list
// of hosts, so the parts are cut here.
func parseServer(serverURL string) (server, error) {
	fail := func(why string) (server, error) {
		return server{}, fmt.Errorf("amqp: server URL: %s; expected host:port or amqp://[user:password@]host:port[,host:port][/vhost], with amqps:// for TLS", why)
	}
	s := server{vhost: "/"}
	hosts, defaultPort := serverURL, "5672"
	if scheme, rest, ok := strings.Cut(serverURL, "://"); ok {
		switch strings.ToLower(scheme) {
		case "amqp":
		case "amqps":
			s.secure, defaultPort = true, "5671"
		default:
			return fail(fmt.Sprintf("unknown scheme %q", scheme))
		}
		hosts = rest
	}
	if strings.ContainsAny(hosts, "?# ") {
		return fail("no query or fragment is possible, Options has what a query could say")
	}
	hosts, path, _ := strings.Cut(hosts, "/")
	if path != "" {
		vhost, err := url.PathUnescape(path)
		if err != nil || strings.Contains(path, "/") || len(vhost) > shortString {
			return fail(fmt.Sprintf("malformed vhost %q (a slash in it is %%2F)", path))
		}
		s.vhost = vhost
	}
	if at := strings.LastIndex(hosts, "@"); at >= 0 {
		u, err := url.Parse("amqp://" + hosts[:at] + "@host")
		if err != nil {
			return fail("malformed user name or password (percent-encode special characters)")
		}
		s.user, hosts = u.User, hosts[at+1:]
	}
	for _, hostport := range strings.Split(hosts, ",") {
		host, port, err := net.SplitHostPort(hostport)
		if err != nil {
			host, port = hostport, defaultPort
			if strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]") {
				host = host[1 : len(host)-1]
			}
		}
		n, err := strconv.Atoi(port)
		if host == "" || strings.Contains(host, ":") && net.ParseIP(host) == nil || err != nil || n < 1 || n > 65535 {
			return fail(fmt.Sprintf("%q is no host:port", hostport))
		}
		s.hosts = append(s.hosts, net.JoinHostPort(host, port))
	}
	return s, nil
}
