// Package natstest gives the tests of the nats drivers a server, in this process
// or real, and a client that none of them is made of.
package natstest

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/asyncapi-impl/asyncapi-impl/internal/brokers"
)

// Server is one server, which stays on its port when it is started again.
type Server struct {
	Addr       string
	base, file string
	options    *server.Options
	server     *server.Server
}

// Start runs a server until the test ends. The configuration is in the form of
// nats-server's file, without listen and jetstream.
func Start(t testing.TB, config string) *Server {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{Addr: listener.Addr().String(), file: filepath.Join(t.TempDir(), "nats.conf")}
	listener.Close()
	// Not t.TempDir: JetStream may still write while the test cleans up.
	dir, err := os.MkdirTemp("", "natstest-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.stop()
		os.RemoveAll(dir)
	})
	s.base = fmt.Sprintf("listen: %q\njetstream { store_dir: %q }\n", s.Addr, dir)
	if err := s.configure(config); err != nil {
		t.Fatal(err)
	}
	if err := s.Restart(); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *Server) configure(config string) error {
	if err := os.WriteFile(s.file, []byte(s.base+config), 0o600); err != nil {
		return err
	}
	options, err := server.ProcessConfigFile(s.file)
	if err != nil {
		return err
	}
	options.NoSigs, options.NoLog = true, true
	s.options = options
	return nil
}

// Kill ends the server. In a process there is no SIGKILL: connections end
// without a farewell, and what JetStream has stored stays.
func (s *Server) Kill() error {
	s.stop()
	return nil
}

func (s *Server) stop() {
	if s.server != nil {
		s.server.Shutdown()
		s.server.WaitForShutdown()
		s.server = nil
	}
}

// Restart starts the server again.
func (s *Server) Restart() error {
	s.stop()
	started, err := server.NewServer(s.options.Clone())
	if err != nil {
		return err
	}
	started.Start()
	s.server = started
	if !started.ReadyForConnections(20 * time.Second) {
		return errors.New("natstest: the server is not ready")
	}
	return nil
}

// Reload gives the running server another configuration, or the one that was
// killed, for when it is started again.
func (s *Server) Reload(config string) error {
	if err := s.configure(config); err != nil || s.server == nil {
		return err
	}
	return s.server.ReloadOptions(s.options.Clone())
}

// TLS is the configuration of a server with TLS, and mutual TLS.
func TLS(certs *brokers.Certs, mutual bool) string {
	return fmt.Sprintf("tls { ca_file: %q, cert_file: %q, key_file: %q, verify: %t }\n",
		certs.CAFile, certs.ServerFile, certs.ServerKeyFile, mutual)
}

// plain is the configuration of a server for anybody, but for
// brokers.RefusedSubject.
func plain() string {
	return fmt.Sprintf("authorization { users: [\n"+
		"{ user: anyone, password: \"\", permissions: { publish: { deny: %q }, subscribe: { deny: %[1]q } } }\n"+
		"] }\nno_auth_user: anyone\n", brokers.RefusedSubject)
}

// login is the configuration of a server that wants TLS and a password.
func login(certs *brokers.Certs, password string) string {
	return TLS(certs, false) + fmt.Sprintf("authorization { user: %q, password: %q }\n", brokers.User, password)
}
