package redistest

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os/exec"
	"strings"

	"github.com/gomodule/redigo/redis"

	"github.com/asyncapi-impl/asyncapi-impl/catalog/conformance"
	"github.com/asyncapi-impl/asyncapi-impl/internal/brokers"
)

// PubSub is another client: redis-cli where the run is about real servers, else
// the library redigo.
func PubSub() *conformance.Foreign {
	if brokers.Real() {
		return &conformance.Foreign{Send: cliPublish, Receive: cliSubscribe}
	}
	return &conformance.Foreign{Send: publish, Receive: subscribe}
}

func publish(ctx context.Context, url, address string, payload []byte, _ map[string]string) error {
	return command(url, nil, "PUBLISH", address, payload)
}

func subscribe(ctx context.Context, url, address string, ready func()) ([]byte, map[string]string, error) {
	c, err := redis.DialURLContext(ctx, url)
	if err != nil {
		return nil, nil, err
	}
	defer c.Close()
	conn := redis.PubSubConn{Conn: c}
	if err := conn.Subscribe(address); err != nil {
		return nil, nil, err
	}
	for {
		switch answer := conn.ReceiveContext(ctx).(type) {
		case redis.Subscription:
			ready()
		case redis.Message:
			return answer.Data, nil, nil
		case error:
			return nil, nil, answer
		}
	}
}

// cli runs redis-cli, whose argument that follows args is payload.
func cli(ctx context.Context, url string, payload []byte, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "redis-cli", append([]string{"-u", url, "-x"}, args...)...)
	cmd.Stdin = bytes.NewReader(payload)
	out, err := cmd.CombinedOutput()
	if err == nil && bytes.Contains(out, []byte("ERR")) {
		err = fmt.Errorf("redis-cli: %s", out)
	}
	return out, err
}

func cliPublish(ctx context.Context, url, address string, payload []byte, _ map[string]string) error {
	_, err := cli(ctx, url, payload, "PUBLISH", address)
	return err
}

func cliSubscribe(ctx context.Context, url, address string, ready func()) ([]byte, map[string]string, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cmd := exec.CommandContext(ctx, "redis-cli", "-u", url, "SUBSCRIBE", address)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, nil, err
	}
	defer func() {
		cancel()
		_ = cmd.Wait()
	}()
	lines := bufio.NewReader(out)
	read := func(want string) error {
		line, err := lines.ReadString('\n')
		if err == nil && strings.TrimSuffix(line, "\n") != want {
			err = fmt.Errorf("redis-cli wrote %q, expected %q", line, want)
		}
		return err
	}
	expect := func(all ...string) error {
		for _, want := range all {
			if err := read(want); err != nil {
				return err
			}
		}
		return nil
	}
	if err := expect("subscribe", address, "1"); err != nil {
		return nil, nil, err
	}
	ready()
	if err := expect("message", address); err != nil {
		return nil, nil, err
	}
	payload, err := lines.ReadString('\n')
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return []byte(strings.TrimSuffix(payload, "\n")), nil, err
}
