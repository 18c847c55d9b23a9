package brokers

import (
	"fmt"
	"os/exec"
	"path/filepath"
)

var rabbitMQ = kind{name: "rabbitmq", configure: configureRabbitMQ}

func configureRabbitMQ(s *Server) error { return nil }

// rabbitMQServer finds the start script. Debian's on the PATH is one that
// wants to run as the user rabbitmq; it wraps this one.
func rabbitMQServer() (string, error) {
	found, _ := filepath.Glob("/usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin/rabbitmq-server")
	if len(found) > 0 {
		return found[len(found)-1], nil
	}
	path, err := exec.LookPath("rabbitmq-server")
	if err != nil {
		return "", fmt.Errorf("brokers: no RabbitMQ: %w", err)
	}
	return path, nil
}
