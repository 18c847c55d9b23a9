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

// Stream is the like of PubSub for streams.
func Stream() *conformance.Foreign {
	if brokers.Real() {
		return &conformance.Foreign{Send: cliAdd, Receive: cliRead}
	}
	return &conformance.Foreign{Send: add, Receive: read}
}

func add(ctx context.Context, url, address string, payload []byte, headers map[string]string) error {
	args := []any{address, "*"}
	for key, value := range headers {
		args = append(args, key, value)
	}
	return command(url, nil, "XADD", append(args, "payload", payload)...)
}

func read(ctx context.Context, url, address string, ready func()) ([]byte, map[string]string, error) {
	c, err := redis.DialURLContext(ctx, url)
	if err != nil {
		return nil, nil, err
	}
	defer c.Close()
	ready() // it begins at the first entry
	streams, err := redis.Values(redis.DoContext(c, ctx, "XREAD", "BLOCK", 20_000, "COUNT", 1, "STREAMS", address, "0-0"))
	if err != nil {
		return nil, nil, err
	}
	var words []string
	flatten(streams, &words)
	return ofFields(words)
}

// flatten makes of an answer what redis-cli prints.
func flatten(answer any, words *[]string) {
	switch answer := answer.(type) {
	case []any:
		for _, a := range answer {
			flatten(a, words)
		}
	case []byte:
		*words = append(*words, string(answer))
	}
}

// ofFields reads a stream's name, an entry's id and its fields.
func ofFields(words []string) ([]byte, map[string]string, error) {
	if len(words) < 4 || len(words)%2 != 0 {
		return nil, nil, fmt.Errorf("expected a stream with an entry, got %q", words)
	}
	headers := map[string]string{}
	for i := 2; i < len(words); i += 2 {
		headers[words[i]] = words[i+1]
	}
	payload := []byte(headers["payload"])
	delete(headers, "payload")
	return payload, headers, nil
}

func cliAdd(ctx context.Context, url, address string, payload []byte, headers map[string]string) error {
	args := []string{"XADD", address, "*"}
	for key, value := range headers {
		args = append(args, key, value)
	}
	_, err := cli(ctx, url, payload, append(args, "payload")...)
	return err
}

func cliRead(ctx context.Context, url, address string, ready func()) ([]byte, map[string]string, error) {
	ready()
	cmd := exec.CommandContext(ctx, "redis-cli", "-u", url, "XREAD", "BLOCK", "20000", "COUNT", "1", "STREAMS", address, "0-0")
	out, err := cmd.Output()
	if err != nil {
		return nil, nil, err
	}
	return ofFields(strings.Split(strings.TrimSuffix(string(out), "\n"), "\n"))
}
