package natstest

import (
	"bufio"
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"

	"github.com/asyncapi-impl/asyncapi-impl/catalog/conformance"
	"github.com/asyncapi-impl/asyncapi-impl/internal/brokers"
)

//go:embed foreign.py
var script string

// Foreign is nats-py, a client in Python, or nil where it is not installed and
// the run is not about real servers. With jetStream its messages go through a
// stream.
func Foreign(jetStream bool) *conformance.Foreign {
	library, err := brokers.NATSPython()
	if err != nil && !brokers.Real() {
		return nil
	}
	python := func(ctx context.Context, args ...string) *exec.Cmd {
		cmd := exec.CommandContext(ctx, "python3", append([]string{"-c", script, fmt.Sprint(jetStream)}, args...)...)
		cmd.Env = append(os.Environ(), "PYTHONPATH="+library)
		return cmd
	}
	return &conformance.Foreign{
		Send: func(ctx context.Context, url, address string, payload []byte, headers map[string]string) error {
			text, err := json.Marshal(headers)
			if err != nil {
				return err
			}
			cmd := python(ctx, "send", url, address, string(text))
			cmd.Stdin = bytes.NewReader(payload)
			if out, err := cmd.CombinedOutput(); err != nil {
				return fmt.Errorf("nats-py: %w: %s", err, out)
			}
			return nil
		},
		Receive: func(ctx context.Context, url, address string, ready func()) ([]byte, map[string]string, error) {
			cmd := python(ctx, "receive", url, address, "")
			var problems bytes.Buffer
			cmd.Stderr = &problems
			out, err := cmd.StdoutPipe()
			if err == nil {
				err = cmd.Start()
			}
			if err != nil {
				return nil, nil, err
			}
			var message struct {
				Payload []byte
				Headers map[string]string
			}
			lines := bufio.NewReader(out)
			_, err = lines.ReadString('\n')
			if err == nil {
				ready()
				err = json.NewDecoder(lines).Decode(&message)
			}
			if err = errors.Join(err, cmd.Wait()); err != nil {
				return nil, nil, fmt.Errorf("nats-py: %w: %s", err, &problems)
			}
			return message.Payload, message.Headers, nil
		},
	}
}
