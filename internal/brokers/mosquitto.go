package brokers

import (
	"context"
	"crypto/pbkdf2"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

var mosquitto = kind{name: "mosquitto", configure: configureMosquitto}

// Mosquitto is an Eclipse Mosquitto, for MQTT 3.1, 3.1.1 and 5.
//
// Of what Limited may not do, it refuses publishing alone, and that with
// MQTT 5 only: a subscription is accepted, and nothing comes.
//
// It writes its state to disk when it ends, and else so rarely, or so slowly,
// that no crash test could count on it. So Kill has it write its state before
// SIGKILL: what is acknowledged in the instant between can be lost. Stop loses
// nothing.
func Mosquitto(t testing.TB) *Server { t.Helper(); return mosquitto.shared(t) }

// StartMosquitto is a [Mosquitto] of the test's own.
func StartMosquitto(t testing.TB) *Server { t.Helper(); return mosquitto.private(t) }

// RefusedTopic is one that nobody may send to on Mosquitto's Addr.
const RefusedTopic = "refused/address"

// writePasswords gives the name of the file that holds them.
func (s *Server) writePasswords(password string) (string, error) {
	const salt, rounds = "twelve bytes", 101 // Mosquitto wants that many
	hash, err := pbkdf2.Key(sha512.New, password, []byte(salt), rounds, sha512.Size)
	if err != nil {
		return "", err
	}
	encode := base64.StdEncoding.EncodeToString
	entry := fmt.Sprintf("$7$%d$%s$%s", rounds, encode([]byte(salt)), encode(hash))
	return s.write("passwords", User+":"+entry+"\n"+Limited+":"+entry+"\n")
}

func configureMosquitto(s *Server) error {
	server, err := lookPath("mosquitto")()
	if err != nil {
		return missing(err)
	}
	if err := s.listenAll(&s.Addr, &s.SecureAddr, &s.MutualTLSAddr, &s.WebSocketAddr); err != nil {
		return err
	}
	s.URL = "mqtt://" + s.Addr
	s.password = func(password string) error {
		if _, err := s.writePasswords(password); err != nil {
			return err
		}
		return s.each(func(p *process) error { return signal(p.cmd.Process.Pid, syscall.SIGHUP) })
	}
	passwords, err := s.writePasswords(Password)
	if err != nil {
		return err
	}
	// A session that was read from disk has no rules until its client is back,
	// and without the patterns would be refused what is sent until then.
	rules, err := s.write("rules", "topic readwrite #\ntopic read $SYS/#\ntopic deny "+RefusedTopic+"\npattern readwrite #\n")
	if err != nil {
		return err
	}
	topics, err := s.write("topics", "user "+User+"\ntopic readwrite #\ntopic readwrite $SYS/#\n")
	if err != nil {
		return err
	}

	lines := []string{
		"per_listener_settings true",
		"persistence true",
		"persistence_location " + s.dir + "/",
		"max_queued_messages 0", // the default drops what exceeds 1000
		"log_dest stderr",
		"set_tcp_nodelay true", // else each message waits for a delayed acknowledgement
	}
	if os.Geteuid() == 0 {
		// It would become the user mosquitto, who can't read the directory.
		lines = append(lines, "user root")
	}
	listener := func(addr string, settings ...string) error {
		host, port, err := net.SplitHostPort(addr)
		lines = append(append(lines, "listener "+port+" "+host), settings...)
		return err
	}
	tls := []string{
		"allow_anonymous false",
		"cafile " + s.Certs.CAFile,
		"certfile " + s.Certs.ServerFile,
		"keyfile " + s.Certs.ServerKeyFile,
	}
	if err := listener(s.Addr, "allow_anonymous true", "acl_file "+rules); err != nil {
		return err
	}
	if err := listener(s.WebSocketAddr, "allow_anonymous true", "protocol websockets"); err != nil {
		return err
	}
	if err := listener(s.SecureAddr, append(tls, "password_file "+passwords, "acl_file "+topics)...); err != nil {
		return err
	}
	err = listener(s.MutualTLSAddr, append(tls, "require_certificate true", "use_identity_as_username true")...)
	if err != nil {
		return err
	}
	config, err := s.write("mosquitto.conf", strings.Join(lines, "\n")+"\n")
	if err != nil {
		return err
	}
	s.process(&process{
		name: "mosquitto",
		argv: []string{server, "-c", config},
		save: func(pid int) { saveMosquitto(pid, filepath.Join(s.dir, "mosquitto.db")) },
		ready: func(ctx context.Context) error {
			if err := dialAll(ctx, s.SecureAddr, s.MutualTLSAddr); err != nil {
				return err
			}
			// CONNECT of MQTT 3.1.1: a clean session without a client id.
			const hello = "\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00"
			answer, err := exchange(ctx, s.Addr, hello, 4)
			if err == nil && answer != "\x20\x02\x00\x00" {
				err = fmt.Errorf("CONNECT gives %q", answer)
			}
			return err
		},
	})
	return nil
}

// saveMosquitto asks for the state to be written and waits until it is: it is
// a new file then. One that does not answer is paused, and has its old state.
func saveMosquitto(pid int, path string) {
	before, _ := os.Stat(path)
	if signal(pid, userSignal) != nil {
		return
	}
	for range 200 {
		after, err := os.Stat(path)
		if err == nil && (before == nil || !os.SameFile(before, after)) {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}
