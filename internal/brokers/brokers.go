// Package brokers starts the real message brokers that tests run against:
// Apache Kafka, RabbitMQ, Mosquitto, Redis and NATS.
//
// A test package that uses it hands its TestMain to [Main]:
//
//	func TestMain(m *testing.M) { os.Exit(brokers.Main(m)) }
//
// [Kafka] and its siblings give the broker that all tests of the process
// share. It starts when the first test asks for it and ends with the process.
// A test that kills, restarts or pauses a broker takes one of its own from
// [StartKafka] and its siblings; that one ends with the test.
//
// By default the environment names no mode and tests use what they can embed:
// every broker here then skips the test, but for RabbitMQ, which nothing can
// stand in for. With ASYNCAPI_IMPL_BROKERS=real a broker that is missing is a
// failure. What is missing is installed by
//
//	go run ./internal/brokers/install
//
// Every broker listens on the loopback interface alone, keeps its data in a
// temporary directory, and dies with the process that started it.
package brokers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// The users that the listeners with a password know. User may do everything.
// Limited, with the same password, can log in and may do nothing more: what
// it sends, reads or creates is refused. The password holds what has to be
// escaped in a URL, so that a driver which forgets to is seen.
const (
	User     = "asyncapi"
	Limited  = "limited"
	Password = "s3cret/p@ss:w%rd"
)

// startTimeout bounds the start of one broker. It is far above what a start
// takes alone, since test packages start theirs at the same time.
const startTimeout = 90 * time.Second

// Real reports whether the tests have to use real brokers.
func Real() bool { return os.Getenv("ASYNCAPI_IMPL_BROKERS") == "real" }

// A Server is one broker.
//
// Its addresses have the form 127.0.0.1:port and stay the same over Kill and
// Restart. An address that a broker does not offer is empty.
type Server struct {
	Name string

	Addr          string // plain, without credentials (RabbitMQ: guest, guest)
	SecureAddr    string // TLS, and User with Password
	MutualTLSAddr string // TLS with a client certificate, and no password
	SASLAddr      string // Kafka: User with Password, no TLS
	WebSocketAddr string // Mosquitto: as Addr

	// RabbitMQ's other protocols; it speaks AMQP 1.0 on its AMQP ports.
	MQTTAddr, SecureMQTTAddr   string
	STOMPAddr, SecureSTOMPAddr string
	ManagementAddr             string // HTTP

	URL            string // of Addr, with the credentials it needs
	User, Password string
	Certs          *Certs

	dir       string
	ports     []*port
	prepare   func(context.Context) error // before the first start
	processes []*process                  // in the order of their start
	password  func(string) error          // for SetPassword, nil where that is not possible
	proxied   chan [2]string
	ctl       []string // the environment of rabbitmqctl

	mu sync.Mutex // one Kill, Restart, Stop, Pause, Resume at a time
}

// Kill ends the broker as a crash would.
func (s *Server) Kill() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.ours(); err != nil {
		return err
	}
	return s.end(0)
}

// Stop asks the broker to shut down and waits until it has.
func (s *Server) Stop() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.ours(); err != nil {
		return err
	}
	return s.end(20 * time.Second)
}

// Restart brings the broker back on the same ports with the data it left, and
// returns when it answers. A broker that still runs is stopped first.
func (s *Server) Restart(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.ours(); err != nil {
		return err
	}
	if err := s.end(20 * time.Second); err != nil {
		return err
	}
	return s.start(ctx)
}

// Pause freezes the broker: its connections stay open and nothing answers.
func (s *Server) Pause() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.each((*process).pause)
}

// Resume ends Pause.
func (s *Server) Resume() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.each((*process).resume)
}

// Proxied gives a test the two ends between which it can run a proxy: the
// proxy listens on the first address and forwards to the second. Kafka tells
// its clients where to connect; to those that come by the second address it
// names the first, so that they stay on the proxy. For every other broker the
// second address is Addr. The pair is the test's own until it ends.
func (s *Server) Proxied(t testing.TB) (listen, upstream string) {
	t.Helper()
	if s.proxied == nil {
		p, err := reservePort()
		if err != nil {
			t.Fatalf("brokers: %v", err)
		}
		t.Cleanup(p.release)
		return p.addr(), s.Addr
	}
	select {
	case pair := <-s.proxied:
		t.Cleanup(func() { s.proxied <- pair })
		return pair[0], pair[1]
	case <-time.After(time.Minute):
		t.Fatalf("brokers: all %d proxied listeners of %s are in use", cap(s.proxied), s.Name)
		return "", ""
	}
}

// SetPassword makes SecureAddr take another password for User. Only NATS, which
// also ends the connections that logged in with the one before, and Mosquitto
// can.
func (s *Server) SetPassword(password string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.password == nil {
		return errors.New("brokers: the password of " + s.Name + " can't be changed")
	}
	return s.password(password)
}

func (s *Server) start(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if s.prepare != nil {
		if err := s.prepare(ctx); err != nil {
			return fmt.Errorf("brokers: prepare %s: %w", s.Name, err)
		}
		s.prepare = nil
	}
	for _, p := range s.processes {
		if err := p.start(ctx); err != nil {
			return errors.Join(fmt.Errorf("brokers: start %s: %w", s.Name, err), s.end(0))
		}
	}
	return nil
}

// end stops the processes in the reverse order of their start, with SIGKILL
// for those that are not gone after grace.
func (s *Server) end(grace time.Duration) error {
	var errs []error
	for i := len(s.processes) - 1; i >= 0; i-- {
		errs = append(errs, s.processes[i].end(grace))
	}
	return errors.Join(errs...)
}

// ours is an error for a server that somebody else started.
func (s *Server) ours() error {
	if len(s.processes) == 0 {
		return fmt.Errorf("brokers: %s at %s was not started here", s.Name, s.Addr)
	}
	return nil
}

func (s *Server) each(f func(*process) error) error {
	if err := s.ours(); err != nil {
		return err
	}
	var errs []error
	for _, p := range s.processes {
		errs = append(errs, f(p))
	}
	return errors.Join(errs...)
}

// discard ends the broker for good and removes what it left.
func (s *Server) discard() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.end(0)
	for _, p := range s.ports {
		p.release()
	}
	if s.dir == "" {
		return err
	}
	return errors.Join(err, os.RemoveAll(s.dir))
}

// logTail is the end of what the broker's processes wrote.
func (s *Server) logTail() string {
	var b strings.Builder
	logs, _ := filepath.Glob(filepath.Join(s.dir, "*.log"))
	for _, name := range logs {
		fmt.Fprintf(&b, "--- %s: %s\n%s\n", s.Name, filepath.Base(name), tail(name, 40))
	}
	return b.String()
}

// listen reserves a port and gives its address.
func (s *Server) listen() (string, error) {
	p, err := reservePort()
	if err != nil {
		return "", err
	}
	s.ports = append(s.ports, p)
	return p.addr(), nil
}

// listenAll reserves a port for each address that is still empty.
func (s *Server) listenAll(addrs ...*string) error {
	for _, a := range addrs {
		var err error
		if *a, err = s.listen(); err != nil {
			return err
		}
	}
	return nil
}

// write puts a file of configuration into the broker's directory.
func (s *Server) write(name, content string) (string, error) {
	path := filepath.Join(s.dir, name)
	return path, os.WriteFile(path, []byte(content), 0o600)
}

// process adds a process to the broker. It is started by start.
func (s *Server) process(p *process) {
	p.log = filepath.Join(s.dir, p.name+".log")
	p.dir = s.dir
	s.processes = append(s.processes, p)
}

// kind is one sort of broker: configure fills in a Server, without starting it.
type kind struct {
	name      string
	configure func(*Server) error

	once   sync.Once
	server *Server // what the tests of this process share
	err    error
}

// shared gives the broker that all tests of the process use.
func (k *kind) shared(t testing.TB) *Server {
	t.Helper()
	need(t, k.name)
	k.once.Do(func() { k.server, k.err = k.new(context.Background()) })
	if k.err != nil {
		t.Fatalf("%v\n%s", k.err, k.server.logTail())
	}
	logWhenFailed(t, k.server)
	return k.server
}

// private gives a broker that ends with the test.
func (k *kind) private(t testing.TB) *Server {
	t.Helper()
	need(t, k.name)
	s, err := k.new(t.Context())
	if err != nil {
		t.Fatalf("%v\n%s", err, s.logTail())
	}
	t.Cleanup(func() {
		if err := s.discard(); err != nil {
			t.Errorf("brokers: end %s: %v", s.Name, err)
		}
	})
	logWhenFailed(t, s)
	return s
}

// new starts a broker. The Server is never nil: its log tells why it failed.
func (k *kind) new(ctx context.Context) (*Server, error) {
	s := &Server{Name: k.name, User: User, Password: Password}
	root, certs, err := run.open()
	if err != nil {
		return s, err
	}
	s.Certs = certs
	if s.dir, err = os.MkdirTemp(root, k.name+"-"); err != nil {
		return s, err
	}
	if err := k.configure(s); err != nil {
		return s, fmt.Errorf("brokers: configure %s: %w", k.name, err)
	}
	run.add(s)
	return s, s.start(ctx)
}

// need ends the test unless it can have a broker of its own making.
func need(t testing.TB, name string) {
	t.Helper()
	if !Real() && name != rabbitMQ.name {
		t.Skipf("%s: only with ASYNCAPI_IMPL_BROKERS=real", name)
	}
	if !run.active {
		t.Fatal("brokers: the TestMain of this package must call brokers.Main, which ends the brokers")
	}
}

func logWhenFailed(t testing.TB, s *Server) {
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(s.logTail())
		}
	})
}

// run is what the brokers of this process have in common.
var run running

type running struct {
	active bool // set by Main, before any test runs

	mu      sync.Mutex
	dir     string
	certs   *Certs
	servers []*Server
}

const dirPrefix = "asyncapi-impl-brokers-"

// open makes the directory and the certificates, once.
func (r *running) open() (string, *Certs, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.certs != nil {
		return r.dir, r.certs, nil
	}
	removeStale()
	dir, err := os.MkdirTemp("", fmt.Sprintf("%s%d-", dirPrefix, os.Getpid()))
	if err != nil {
		return "", nil, err
	}
	r.dir = dir
	r.certs, err = NewCerts(dir)
	return r.dir, r.certs, err
}

func (r *running) add(s *Server) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.servers = append(r.servers, s)
}

func (r *running) close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var errs []error
	for _, s := range r.servers {
		errs = append(errs, s.discard())
	}
	if r.dir != "" {
		errs = append(errs, os.RemoveAll(r.dir))
	}
	return errors.Join(errs...)
}

// removeStale removes the directories of processes that ended without their
// TestMain: by a panic, a timeout or a signal. The brokers died with them.
func removeStale() {
	dirs, _ := filepath.Glob(filepath.Join(os.TempDir(), dirPrefix+"*"))
	for _, dir := range dirs {
		pid, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(dir), dirPrefix), "-")
		if n, err := strconv.Atoi(pid); err == nil && !alive(n) {
			_ = os.RemoveAll(dir) // the next run tries again
		}
	}
}

// Main runs the tests and ends the brokers that they started. It returns the
// exit code for the process.
func Main(m *testing.M) int {
	run.active = true
	code := m.Run()
	if err := run.close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return max(code, 1)
	}
	return code
}
