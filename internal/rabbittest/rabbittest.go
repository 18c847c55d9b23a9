// Package rabbittest gives the tests of the amqp drivers what they ask of
// RabbitMQ beside the drivers, and a client that none of them is made of.
package rabbittest

import (
	"bufio"
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os/exec"
	"testing"

	"github.com/asyncapi-impl/asyncapi-impl/catalog/conformance"
	"github.com/asyncapi-impl/asyncapi-impl/internal/brokers"
)

// Full is a queue that refuses what is sent to it.
const Full = "full"

// Broker is what the conformance suite runs against. Restarting RabbitMQ takes
// seconds, so the server is killed only where the run is about real ones.
func Broker(t testing.TB) *conformance.Broker {
	t.Helper()
	s := brokers.RabbitMQ(t)
	b := &conformance.Broker{Name: "rabbitmq", URL: s.URL}
	if s.ManagementAddr == "" {
		return b // at AMQP_URL
	}
	b.SecureURL, b.User, b.Password, b.CA = "amqps://"+s.SecureAddr, s.User, s.Password, s.Certs.CA
	b.MutualURL, b.ClientCert = "amqps://"+s.MutualTLSAddr, &s.Certs.Client
	b.Revoke = func() error { return SetUser(s, s.User, "another", ".*") }
	b.Restore = func() error { return SetUser(s, s.User, s.Password, ".*") }
	err := Declare(s, Full, `{"x-max-length":1,"x-overflow":"reject-publish"}`)
	if err == nil {
		_, err = s.Manage(context.Background(), http.MethodPost, "exchanges/%2f/amq.default/publish",
			`{"routing_key":"`+Full+`","payload":"","payload_encoding":"string","properties":{"delivery_mode":2}}`)
	}
	if err != nil {
		t.Fatal(err)
	}
	b.RefusedAddress = Full
	if brokers.Real() {
		b.Kill = s.Kill
		b.Restart = func() error { return s.Restart(context.Background()) }
	}
	return b
}

// Declare makes a durable queue with arguments in JSON.
func Declare(s *brokers.Server, queue, arguments string) error {
	_, err := s.Manage(context.Background(), http.MethodPut, "queues/%2f/"+url.PathEscape(queue), `{"durable":true,"arguments":`+arguments+`}`)
	return err
}

// SetUser makes a user who may do everything, but write only where the pattern
// says so.
func SetUser(s *brokers.Server, user, password, write string) error {
	settings, err := json.Marshal(map[string]string{"password": password, "tags": "administrator"})
	if err != nil {
		return err
	}
	if _, err := s.Manage(context.Background(), http.MethodPut, "users/"+user, string(settings)); err != nil {
		return err
	}
	permissions, err := json.Marshal(map[string]string{"configure": ".*", "write": write, "read": ".*"})
	if err != nil {
		return err
	}
	_, err = s.Manage(context.Background(), http.MethodPut, "permissions/%2f/"+user, string(permissions))
	return err
}

//go:embed foreign.py
var script string

type message struct {
	Payload []byte            `json:"payload"`
	Headers map[string]string `json:"headers"`
}

// Foreign is pika, the client for Python; nil where it is missing and the run
// is not about real brokers.
func Foreign(t testing.TB) *conformance.Foreign {
	t.Helper()
	python, err := brokers.PythonWith("pika")
	if err != nil {
		if brokers.Real() {
			t.Fatal("no Python with pika: go run ./internal/brokers/install")
		}
		return nil
	}
	return &conformance.Foreign{
		Send: func(ctx context.Context, url, address string, payload []byte, headers map[string]string) error {
			input, err := json.Marshal(message{payload, headers})
			if err != nil {
				return err
			}
			cmd := exec.CommandContext(ctx, python, "-c", script, "send", url, address)
			cmd.Stdin = bytes.NewReader(input)
			if out, err := cmd.CombinedOutput(); err != nil {
				return fmt.Errorf("pika: %w: %s", err, out)
			}
			return nil
		},
		Receive: func(ctx context.Context, url, address string, ready func()) ([]byte, map[string]string, error) {
			cmd := exec.CommandContext(ctx, python, "-c", script, "receive", url, address)
			var log bytes.Buffer
			cmd.Stderr = &log
			out, err := cmd.StdoutPipe()
			if err != nil {
				return nil, nil, err
			}
			if err := cmd.Start(); err != nil {
				return nil, nil, err
			}
			var m message
			lines := bufio.NewScanner(out)
			if lines.Scan() && lines.Text() == "ready" {
				ready()
				if lines.Scan() {
					err = json.Unmarshal(lines.Bytes(), &m)
				}
			}
			if waited := cmd.Wait(); waited != nil {
				err = fmt.Errorf("pika: %w: %s", waited, &log)
			}
			return m.Payload, m.Headers, err
		},
	}
}
