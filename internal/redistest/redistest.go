// Package redistest gives the tests of the redis drivers a server, in this
// process or real, and clients that none of them is made of.
package redistest

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"
	"github.com/gomodule/redigo/redis"

	"github.com/asyncapi-impl/asyncapi-impl/catalog/conformance"
	"github.com/asyncapi-impl/asyncapi-impl/internal/brokers"
)

// Refused is an address that the servers of this package don't allow.
const Refused = "refused"

// allowed are the addresses that they do.
const allowed = "[^r]*"

// Embedded starts a server in this process and gives its URL.
func Embedded(t testing.TB) (*miniredis.Miniredis, string) {
	t.Helper()
	m := miniredis.NewMiniRedis()
	return m, "redis://" + start(t, m, nil)
}

func start(t testing.TB, m *miniredis.Miniredis, config *tls.Config) string {
	t.Helper()
	begin := m.Start
	if config != nil {
		begin = func() error { return m.StartTLS(config) }
	}
	if err := begin(); err != nil {
		t.Fatal(err)
	}
	guard(m)
	t.Cleanup(m.Close)
	return m.Addr()
}

// guard does what an ACL does, of which miniredis has none.
func guard(m *miniredis.Miniredis) {
	m.Server().SetPreHook(func(p *server.Peer, command string, args ...string) bool {
		if slices.Contains(args, Refused) {
			p.WriteError("NOPERM No permissions to access a channel")
			return true
		}
		return false
	})
}

// URL is that of the real server where the run is about real ones, else of an
// embedded one.
func URL(t testing.TB) string {
	t.Helper()
	if brokers.Real() {
		return brokers.Redis(t).URL
	}
	_, url := Embedded(t)
	return url
}

// Broker is what the conformance suite runs against.
func Broker(t testing.TB) *conformance.Broker {
	t.Helper()
	if brokers.Real() {
		return realBroker(t)
	}
	return embeddedBroker(t)
}

func realBroker(t testing.TB) *conformance.Broker {
	s := brokers.StartRedis(t)
	restrict := func() error {
		// The default user, which may do everything, but not with every name.
		return command("redis://"+s.Addr, nil, "ACL", "SETUSER", "default", "resetkeys", "~"+allowed, "resetchannels", "&"+allowed)
	}
	if err := restrict(); err != nil {
		t.Fatal(err)
	}
	secure := fmt.Sprintf("rediss://:%s@%s", strings.NewReplacer("%", "%25", "/", "%2F", "@", "%40", ":", "%3A").Replace(s.Password), s.SecureAddr)
	set := func(password string) error {
		return command(secure, &tls.Config{RootCAs: s.Certs.CA}, "ACL", "SETUSER", s.User, "resetpass", ">"+password)
	}
	return &conformance.Broker{
		Name: "redis", URL: s.URL,
		SecureURL: "rediss://" + s.SecureAddr, User: s.User, Password: s.Password, CA: s.Certs.CA,
		MutualURL: "rediss://" + s.MutualTLSAddr, ClientCert: &s.Certs.Client,
		RefusedAddress: Refused,
		Kill:           s.Kill,
		Restart:        func() error { return errors.Join(s.Restart(context.Background()), restrict()) },
		Revoke:         func() error { return set("another") },
		Restore:        func() error { return set(s.Password) },
	}
}

func embeddedBroker(t testing.TB) *conformance.Broker {
	m, url := Embedded(t)
	certs, err := brokers.NewCerts(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := tls.LoadX509KeyPair(certs.ServerFile, certs.ServerKeyFile)
	if err != nil {
		t.Fatal(err)
	}
	secure, mutual := miniredis.NewMiniRedis(), miniredis.NewMiniRedis()
	secureAddr := start(t, secure, &tls.Config{Certificates: []tls.Certificate{certificate}})
	secure.RequireUserAuth(brokers.User, brokers.Password)
	mutualAddr := start(t, mutual, &tls.Config{
		Certificates: []tls.Certificate{certificate}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: certs.CA,
	})
	return &conformance.Broker{
		Name: "miniredis", URL: url,
		SecureURL: "rediss://" + secureAddr, User: brokers.User, Password: brokers.Password, CA: certs.CA,
		MutualURL: "rediss://" + mutualAddr, ClientCert: &certs.Client,
		RefusedAddress: Refused,
		Kill:           func() error { m.Close(); return nil },
		Restart: func() error {
			m.Ctx, m.CtxCancel = context.WithCancel(context.Background())
			err := m.Restart()
			if err == nil {
				guard(m)
			}
			return err
		},
		Revoke:  func() error { secure.RequireUserAuth(brokers.User, "another"); return nil },
		Restore: func() error { secure.RequireUserAuth(brokers.User, brokers.Password); return nil },
	}
}

func command(url string, config *tls.Config, name string, args ...any) error {
	c, err := redis.DialURL(url, redis.DialTLSConfig(config))
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = c.Do(name, args...)
	return err
}
