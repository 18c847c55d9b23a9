package franz

import (
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
)

// server is what a server URL says.
type server struct {
	seeds  []string // host:port
	secure bool
	user   *url.Userinfo
}

// parseServer reads kafka://[user:password@]host[:port][,host[:port]...], the
// same with kafka-secure for TLS, or the bare list of hosts. net/url takes no
// list of hosts, so the parts are cut here.
func parseServer(serverURL string) (server, error) {
	fail := func(why string) (server, error) {
		return server{}, fmt.Errorf("kafka: server URL: %s; expected host:port or kafka://[user:password@]host:port[,host:port], with kafka-secure:// for TLS", why)
	}
	var s server
	hosts := serverURL
	if scheme, rest, ok := strings.Cut(serverURL, "://"); ok {
		switch strings.ToLower(scheme) {
		case "kafka":
		case "kafka-secure":
			s.secure = true
		default:
			return fail(fmt.Sprintf("unknown scheme %q", scheme))
		}
		hosts = strings.TrimSuffix(rest, "/")
	}
	if at := strings.LastIndex(hosts, "@"); at >= 0 {
		u, err := url.Parse("kafka://" + hosts[:at] + "@host")
		if err != nil {
			return fail("malformed user name or password (percent-encode special characters)")
		}
		s.user, hosts = u.User, hosts[at+1:]
	}
	if strings.ContainsAny(hosts, "/?# ") {
		return fail("only hosts and ports are possible, no path, query or fragment")
	}
	for _, hostport := range strings.Split(hosts, ",") {
		host, port, err := net.SplitHostPort(hostport)
		if err != nil {
			host, port = strings.Trim(hostport, "[]"), "9092"
		}
		n, err := strconv.Atoi(port)
		if host == "" || strings.Contains(host, ":") && net.ParseIP(host) == nil || err != nil || n < 1 || n > 65535 {
			return fail(fmt.Sprintf("%q is no host:port", hostport))
		}
		s.seeds = append(s.seeds, net.JoinHostPort(host, port))
	}
	return s, nil
}
