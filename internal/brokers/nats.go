package brokers

import (
	"context"
	"fmt"
	"path/filepath"
	"syscall"
	"testing"
)

// RefusedSubject is one on which [Server.Addr] of NATS takes no message and no
// subscription.
const RefusedSubject = "refused"

var nats = kind{name: "nats", configure: configureNATS}

// NATS is a NATS server with JetStream. Its listeners are three servers, each
// with data of its own, since a NATS server has one for all its clients.
func NATS(t testing.TB) *Server { t.Helper(); return nats.shared(t) }

// StartNATS is a [NATS] of the test's own.
func StartNATS(t testing.TB) *Server { t.Helper(); return nats.private(t) }

func configureNATS(s *Server) error {
	server, err := lookPath("nats-server")()
	if err != nil {
		return missing(err)
	}
	if err := s.listenAll(&s.Addr, &s.SecureAddr, &s.MutualTLSAddr); err != nil {
		return err
	}
	s.URL = "nats://" + s.Addr
	tls := func(verify bool) string {
		return fmt.Sprintf("tls { ca_file: %q, cert_file: %q, key_file: %q, verify: %t }\n",
			s.Certs.CAFile, s.Certs.ServerFile, s.Certs.ServerKeyFile, verify)
	}
	write := func(name, addr, settings string) (string, error) {
		return s.write(name+".conf", fmt.Sprintf("listen: %q\njetstream { store_dir: %q }\n%s", addr, filepath.Join(s.dir, name), settings))
	}
	login := func(password string) string {
		return tls(false) + fmt.Sprintf("authorization { users: [\n"+
			"{ user: %q, password: %q }\n"+
			"{ user: %q, password: %[2]q, permissions: { publish: { deny: \">\" }, subscribe: { deny: \">\" } } }\n"+
			"] }\n", User, password, Limited)
	}
	for _, listener := range []struct{ name, addr, settings string }{
		{"plain", s.Addr, fmt.Sprintf("authorization { users: [\n"+
			"{ user: anyone, password: \"\", permissions: { publish: { deny: %q }, subscribe: { deny: %[1]q } } }\n"+
			"] }\nno_auth_user: anyone\n", RefusedSubject)},
		{"secure", s.SecureAddr, login(Password)},
		{"mtls", s.MutualTLSAddr, tls(true)},
	} {
		name := "nats-" + listener.name
		config, err := write(name, listener.addr, listener.settings)
		if err != nil {
			return err
		}
		p := &process{
			name: name,
			argv: []string{server, "-c", config},
			ready: func(ctx context.Context) error {
				// It speaks first, and in the clear even where it wants TLS.
				answer, err := exchange(ctx, listener.addr, "", 5)
				if err == nil && answer != "INFO " {
					err = fmt.Errorf("the server begins with %q", answer)
				}
				return err
			},
		}
		s.process(p)
		if listener.name == "secure" {
			s.password = func(password string) error {
				if _, err := write(name, listener.addr, login(password)); err != nil || p.cmd == nil {
					return err
				}
				return signal(p.cmd.Process.Pid, syscall.SIGHUP)
			}
		}
	}
	return nil
}
