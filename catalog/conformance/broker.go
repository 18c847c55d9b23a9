package conformance

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"strings"
)

// Broker is what the test environment gives. Checks that need a field that is
// not set are left out, with that reason in the report.
type Broker struct {
	// Name tells the broker from others in the results: "kfake", "kafka 4.1".
	Name string
	// URL reaches it without credentials.
	URL string
	// SecureURL demands User and Password, and TLS if CA is set.
	SecureURL      string
	User, Password string
	CA             *x509.CertPool
	// MutualURL demands TLS with ClientCert, a certificate that it trusts.
	MutualURL  string
	ClientCert *tls.Certificate
	// RefusedAddress is one that the server does not take messages for
	// (access control).
	RefusedAddress string
	// Kill ends the server without warning and Restart starts it again on the
	// same port with what it had stored.
	Kill, Restart func() error
	// Revoke makes SecureURL refuse User and Password from now on, and Restore
	// undoes it.
	Revoke, Restore func() error
}

var defaultPorts = map[string]string{
	"kafka": "9092", "kafka-secure": "9092", "amqp": "5672", "amqps": "5671",
	"mqtt": "1883", "mqtt5": "1883", "mqtts": "8883", "secure-mqtt": "8883",
	"nats": "4222", "tls": "4222", "redis": "6379", "rediss": "6379",
	"http": "80", "https": "443", "ws": "80", "wss": "443",
}

// splitURL gives a URL's parts: what stands before the host, the first host
// with its port, and what stands after the last host.
func splitURL(url string) (before, host, after string, err error) {
	scheme, rest, found := strings.Cut(url, "://")
	if found {
		before = scheme + "://"
	} else {
		scheme, rest = "", url
	}
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		rest, after = rest[:i], rest[i:]
	}
	if i := strings.LastIndex(rest, "@"); i >= 0 {
		before, rest = before+rest[:i+1], rest[i+1:]
	}
	host, _, _ = strings.Cut(rest, ",")
	if _, _, err := net.SplitHostPort(host); err != nil {
		port := defaultPorts[scheme]
		if port == "" {
			return "", "", "", fmt.Errorf("the URL %q has no port", url)
		}
		host = net.JoinHostPort(strings.Trim(host, "[]"), port)
	}
	return before, host, after, nil
}

// withScheme replaces a URL's scheme, or adds one.
func withScheme(url, scheme string) string {
	if _, rest, found := strings.Cut(url, "://"); found {
		url = rest
	}
	return scheme + "://" + url
}
