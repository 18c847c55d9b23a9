package brokers

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

var rabbitMQ = kind{name: "rabbitmq", configure: configureRabbitMQ}

// RabbitMQ is a RabbitMQ that speaks AMQP 0-9-1, AMQP 1.0, MQTT and STOMP.
//
// The plain listeners take guest with the password guest. SecureAddr takes
// User with Password, and User with SASL EXTERNAL and the client's
// certificate: MutualTLSAddr is the same address. A certificate that the CA
// did not sign is refused there.
//
// Without ASYNCAPI_IMPL_BROKERS=real it is the server at AMQP_URL, of which
// only Addr, URL, User and Password are known, or else a rabbitmq-server
// found on this machine; with neither the test is skipped.
func RabbitMQ(t testing.TB) *Server {
	t.Helper()
	if s := elsewhere(t); s != nil {
		return s
	}
	skipWithoutRabbitMQ(t)
	return rabbitMQ.shared(t)
}

// StartRabbitMQ is a [RabbitMQ] of the test's own, never the one at AMQP_URL.
func StartRabbitMQ(t testing.TB) *Server {
	t.Helper()
	skipWithoutRabbitMQ(t)
	return rabbitMQ.private(t)
}

// Manage asks RabbitMQ's management plugin, as in GET overview.
func (s *Server) Manage(ctx context.Context, method, path, body string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, "http://"+s.ManagementAddr+"/api/"+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.SetBasicAuth("guest", "guest")
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode >= 300 {
		err = fmt.Errorf("brokers: %s %s: %s: %s", method, path, response.Status, answer)
	}
	return answer, err
}

// RabbitMQCtl runs rabbitmqctl on RabbitMQ, for what the management plugin
// can't do.
func (s *Server) RabbitMQCtl(ctx context.Context, args ...string) error {
	server, err := rabbitMQServer()
	if err != nil {
		return err
	}
	ctl := filepath.Join(filepath.Dir(server), "rabbitmqctl")
	cmd := exec.CommandContext(ctx, ctl, args...)
	cmd.Env = append(os.Environ(), s.ctl...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("brokers: rabbitmqctl %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return nil
}

// elsewhere is the server at AMQP_URL, where a test may use it.
func elsewhere(t testing.TB) *Server {
	t.Helper()
	server := os.Getenv("AMQP_URL")
	if server == "" || Real() {
		return nil
	}
	u, err := url.Parse(server)
	if err != nil || u.Hostname() == "" {
		t.Fatalf("AMQP_URL is not a URL such as amqp://guest:guest@localhost:5672/: %q", server)
	}
	s := &Server{Name: "rabbitmq", URL: server, Addr: u.Host, User: u.User.Username()}
	s.Password, _ = u.User.Password()
	if u.Port() == "" {
		port := "5672"
		if u.Scheme == "amqps" {
			port = "5671"
		}
		s.Addr = net.JoinHostPort(u.Hostname(), port)
	}
	return s
}

func skipWithoutRabbitMQ(t testing.TB) {
	t.Helper()
	if Real() {
		return
	}
	if _, err := rabbitMQServer(); err != nil {
		t.Skip("NOT TESTED: no RabbitMQ. Set AMQP_URL, or install rabbitmq-server; nothing embedded stands in for it")
	}
}

func configureRabbitMQ(s *Server) error {
	server, err := rabbitMQServer()
	if err != nil {
		return missing(err)
	}
	epmd, err := exec.LookPath("epmd")
	if err != nil {
		return missing(err)
	}
	var names, dist string
	err = s.listenAll(&s.Addr, &s.SecureAddr, &s.MQTTAddr, &s.SecureMQTTAddr,
		&s.STOMPAddr, &s.SecureSTOMPAddr, &s.ManagementAddr, &names, &dist)
	if err != nil {
		return err
	}
	s.MutualTLSAddr = s.SecureAddr
	s.URL = "amqp://guest:guest@" + s.Addr + "/"
	_, managementPort, err := net.SplitHostPort(s.ManagementAddr)
	if err != nil {
		return err
	}
	_, namesPort, err := net.SplitHostPort(names)
	if err != nil {
		return err
	}
	_, distPort, err := net.SplitHostPort(dist)
	if err != nil {
		return err
	}

	definitions, err := rabbitMQDefinitions()
	if err != nil {
		return err
	}
	definitionsFile, err := s.write("definitions.json", definitions)
	if err != nil {
		return err
	}
	config, err := s.write("rabbitmq.conf", strings.Join([]string{
		"listeners.tcp.1 = " + s.Addr,
		"listeners.ssl.1 = " + s.SecureAddr,
		"mqtt.listeners.tcp.1 = " + s.MQTTAddr,
		"mqtt.listeners.ssl.1 = " + s.SecureMQTTAddr,
		"mqtt.allow_anonymous = false",
		"stomp.listeners.tcp.1 = " + s.STOMPAddr,
		"stomp.listeners.ssl.1 = " + s.SecureSTOMPAddr,
		"management.tcp.ip = 127.0.0.1",
		"management.tcp.port = " + managementPort,
		"ssl_options.cacertfile = " + s.Certs.CAFile,
		"ssl_options.certfile = " + s.Certs.ServerFile,
		"ssl_options.keyfile = " + s.Certs.ServerKeyFile,
		"ssl_options.verify = verify_peer",
		"ssl_options.fail_if_no_peer_cert = false",
		"ssl_cert_login_from = common_name",
		"auth_mechanisms.1 = PLAIN",
		"auth_mechanisms.2 = AMQPLAIN",
		"auth_mechanisms.3 = EXTERNAL",
		"load_definitions = " + definitionsFile,
		"log.file = false",
		"log.console = true",
		"log.console.level = info",
		"",
	}, "\n"))
	if err != nil {
		return err
	}
	plugins, err := s.write("enabled_plugins",
		"[rabbitmq_amqp1_0,rabbitmq_auth_mechanism_ssl,rabbitmq_management,rabbitmq_mqtt,rabbitmq_stomp].\n")
	if err != nil {
		return err
	}
	// The machine's own settings are not for this node.
	environment, err := s.write("rabbitmq-env.conf", "")
	if err != nil {
		return err
	}

	s.ctl = []string{
		"HOME=" + s.dir, "ERL_EPMD_ADDRESS=127.0.0.1", "ERL_EPMD_PORT=" + namesPort,
		"RABBITMQ_CONF_ENV_FILE=" + environment, "RABBITMQ_NODENAME=asyncapi-impl@localhost",
	}
	// Erlang would start a daemon for the names of its nodes that listens on
	// all interfaces and outlives them. This one is a child like the others.
	s.process(&process{
		name:  "epmd",
		argv:  []string{epmd, "-address", "127.0.0.1", "-port", namesPort},
		ready: func(ctx context.Context) error { return dialAll(ctx, names) },
	})
	s.process(&process{
		name: "rabbitmq",
		argv: []string{server},
		env: []string{
			"HOME=" + s.dir, // of the Erlang cookie
			"ERL_EPMD_ADDRESS=127.0.0.1",
			"ERL_EPMD_PORT=" + namesPort,
			"ERL_AFLAGS=-start_epmd false -kernel inet_dist_use_interface {127,0,0,1}",
			"RABBITMQ_CONF_ENV_FILE=" + environment,
			"RABBITMQ_NODENAME=asyncapi-impl@localhost",
			"RABBITMQ_DIST_PORT=" + distPort,
			"RABBITMQ_CONFIG_FILE=" + config,
			"RABBITMQ_ENABLED_PLUGINS_FILE=" + plugins,
			"RABBITMQ_MNESIA_BASE=" + filepath.Join(s.dir, "data"),
			"RABBITMQ_LOG_BASE=" + s.dir,
			"RABBITMQ_PID_FILE=" + filepath.Join(s.dir, "rabbitmq.pid"),
			"RABBITMQ_SCHEDULER_BIND_TYPE=u", // leaves the cores to all brokers
			// The script replaces itself by the server only where it may read
			// its input; what it then leaves out is -noinput.
			"RABBITMQ_ALLOW_INPUT=1",
			"RABBITMQ_SERVER_START_ARGS=-noinput",
		},
		ready: func(ctx context.Context) error {
			err := dialAll(ctx, s.SecureAddr, s.MQTTAddr, s.SecureMQTTAddr,
				s.STOMPAddr, s.SecureSTOMPAddr, s.ManagementAddr)
			if err != nil {
				return err
			}
			answer, err := exchange(ctx, s.Addr, "AMQP\x00\x00\x09\x01", 1)
			if err == nil && answer != "\x01" { // a frame with a method
				err = fmt.Errorf("AMQP 0-9-1 gives %q", answer)
			}
			return err
		},
	})
	return nil
}

// rabbitMQDefinitions holds the users.
func rabbitMQDefinitions() (string, error) {
	type object = map[string]any
	user := func(name, password, tags string) object {
		const salt = "salt"
		hash := sha256.Sum256([]byte(salt + password))
		return object{
			"name":              name,
			"password_hash":     base64.StdEncoding.EncodeToString(append([]byte(salt), hash[:]...)),
			"hashing_algorithm": "rabbit_password_hashing_sha256",
			"tags":              tags,
		}
	}
	may := func(name, what string) object {
		return object{"user": name, "vhost": "/", "configure": what, "write": what, "read": what}
	}
	data, err := json.Marshal(object{
		"vhosts": []object{{"name": "/"}},
		"users": []object{
			user("guest", "guest", "administrator"),
			user(User, Password, "administrator"),
			user(Limited, Password, ""),
		},
		"permissions": []object{may("guest", ".*"), may(User, ".*"), may(Limited, "")},
	})
	return string(data), err
}

// rabbitMQServer finds the start script. Debian's on the PATH is one that
// wants to run as the user rabbitmq; it wraps this one.
func rabbitMQServer() (string, error) {
	found, _ := filepath.Glob("/usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin/rabbitmq-server")
	if len(found) > 0 {
		return found[len(found)-1], nil
	}
	return lookPath("rabbitmq-server")()
}
