package brokers

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"
)

var redis = kind{name: "redis", configure: configureRedis}

// Redis is a Redis. Its listeners are three servers, each with data of its
// own, since a Redis has one set of users for all its listeners. SecureAddr
// takes Password with User and also with no user, as the default user.
func Redis(t testing.TB) *Server { t.Helper(); return redis.shared(t) }

// StartRedis is a [Redis] of the test's own.
func StartRedis(t testing.TB) *Server { t.Helper(); return redis.private(t) }

func configureRedis(s *Server) error {
	server, err := lookPath("redis-server")()
	if err != nil {
		return missing(err)
	}
	if err := s.listenAll(&s.Addr, &s.SecureAddr, &s.MutualTLSAddr); err != nil {
		return err
	}
	s.URL = "redis://" + s.Addr
	certificates := []string{
		"tls-ca-cert-file " + s.Certs.CAFile,
		"tls-cert-file " + s.Certs.ServerFile,
		"tls-key-file " + s.Certs.ServerKeyFile,
	}
	type dial func(ctx context.Context, addr string) (net.Conn, error)
	plain := func(ctx context.Context, addr string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", addr)
	}
	secure := func(ctx context.Context, addr string) (net.Conn, error) {
		d := tls.Dialer{Config: s.Certs.MutualTLS()}
		return d.DialContext(ctx, "tcp", addr)
	}
	for _, listener := range []struct {
		name, addr, portOption string
		settings               []string
		dial                   dial
		answer                 string
	}{
		{"plain", s.Addr, "port", nil, plain, "+PONG"},
		{"secure", s.SecureAddr, "tls-port", append(certificates,
			"port 0",
			"tls-auth-clients no",
			fmt.Sprintf("requirepass %q", Password),
			fmt.Sprintf("user %s on %q ~* &* +@all", User, ">"+Password),
			fmt.Sprintf("user %s on %q +@connection", Limited, ">"+Password),
		), secure, "-NOAUTH"},
		{"mtls", s.MutualTLSAddr, "tls-port", append(certificates,
			"port 0",
			"tls-auth-clients yes",
		), secure, "+PONG"},
	} {
		_, port, err := net.SplitHostPort(listener.addr)
		if err != nil {
			return err
		}
		name := "redis-" + listener.name
		config, err := s.write(name+".conf", strings.Join(append([]string{
			"bind 127.0.0.1",
			listener.portOption + " " + port,
			"dir " + s.dir,
			"save \"\"",
			"appendonly yes",
			"appenddirname " + filepath.Base(name) + "-data",
		}, listener.settings...), "\n")+"\n")
		if err != nil {
			return err
		}
		s.process(&process{
			name: name,
			argv: []string{server, config},
			ready: func(ctx context.Context) error {
				c, err := listener.dial(ctx, listener.addr)
				if err != nil {
					return err
				}
				answer, err := exchangeOn(ctx, c, "PING\r\n", len(listener.answer))
				if err == nil && answer != listener.answer {
					err = fmt.Errorf("PING gives %q", answer)
				}
				return err
			},
		})
	}
	return nil
}
