package natstest

import (
	"context"
	"testing"

	"github.com/asyncapi-impl/asyncapi-impl/catalog/conformance"
	"github.com/asyncapi-impl/asyncapi-impl/internal/brokers"
)

// URL is that of the real server where the run is about real ones, else of an
// embedded one.
func URL(t testing.TB) string {
	t.Helper()
	if brokers.Real() {
		return brokers.NATS(t).URL
	}
	return "nats://" + Start(t, plain()).Addr
}

// Broker is what the conformance suite runs against.
func Broker(t testing.TB) *conformance.Broker {
	t.Helper()
	if brokers.Real() {
		s := brokers.StartNATS(t)
		return &conformance.Broker{
			Name: "nats-server", URL: s.URL, SecureURL: "tls://" + s.SecureAddr, User: s.User, Password: s.Password, CA: s.Certs.CA,
			MutualURL: "tls://" + s.MutualTLSAddr, ClientCert: &s.Certs.Client, RefusedAddress: brokers.RefusedSubject,
			Kill: s.Kill, Restart: func() error { return s.Restart(context.Background()) },
			Revoke:  func() error { return s.SetPassword("another") },
			Restore: func() error { return s.SetPassword(s.Password) },
		}
	}
	certs := Certs(t)
	open, secure, mutual := Start(t, plain()), Start(t, login(certs, brokers.Password)), Start(t, TLS(certs, true))
	return &conformance.Broker{
		Name: "nats-server in process", URL: "nats://" + open.Addr, SecureURL: "tls://" + secure.Addr,
		User: brokers.User, Password: brokers.Password, CA: certs.CA,
		MutualURL: "tls://" + mutual.Addr, ClientCert: &certs.Client, RefusedAddress: brokers.RefusedSubject,
		Kill: open.Kill, Restart: open.Restart,
		Revoke:  func() error { return secure.Reload(login(certs, "another")) },
		Restore: func() error { return secure.Reload(login(certs, brokers.Password)) },
	}
}

// Certs are those of a test's own servers.
func Certs(t testing.TB) *brokers.Certs {
	t.Helper()
	certs, err := brokers.NewCerts(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return certs
}
