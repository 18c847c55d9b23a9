package std_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/asyncapi-impl/asyncapi-impl/catalog/conformance"
	driver "github.com/asyncapi-impl/asyncapi-impl/catalog/ip/std"
	"github.com/asyncapi-impl/asyncapi-impl/internal/brokers"
)

func init() {
	testForeign = func(testing.TB) *conformance.Foreign {
		if _, err := exec.LookPath("python3"); err != nil && !brokers.Real() {
			return nil
		}
		return &conformance.Foreign{
			Send: func(ctx context.Context, url, _ string, payload []byte, _ map[string]string) error {
				cmd := exec.CommandContext(ctx, "python3", "-c", sendRaw, strings.TrimPrefix(url, "ip://"))
				cmd.Stdin = bytes.NewReader(payload)
				if out, err := cmd.CombinedOutput(); err != nil {
					return fmt.Errorf("python3: %w: %s", err, out)
				}
				return nil
			},
		}
	}
	testMust = brokers.Real()
}

// What another language does with a raw socket.
const (
	sendRaw = `
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, 253)
s.sendto(sys.stdin.buffer.read(), (sys.argv[1], 0))
`
	receiveRaw = `
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, 253)
s.bind((sys.argv[1], 0))
print("ready", flush=True)
packet, peer = s.recvfrom(65535)
s.sendto(b"re " + packet[(packet[0] & 15) * 4:], peer)
`
)

// command needs a program that is not Go's.
func command(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if brokers.Real() {
			t.Fatal(err)
		}
		t.Skipf("no %s: go run ./internal/brokers/install", name)
	}
	return path
}

func within(t testing.TB, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

// quick are options under which a test need not wait for what goes wrong.
func quick(change ...func(*driver.Options)) *driver.Options {
	o := &driver.Options{Timeout: 5 * time.Second}
	for _, c := range change {
		c(o)
	}
	return o
}

func producer(t testing.TB, url string, options *driver.Options) *driver.Producer {
	t.Helper()
	p, err := driver.NewProducer(url, nil, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

func consumer(t testing.TB, url string, options *driver.Options) *driver.Consumer {
	t.Helper()
	c, err := driver.NewConsumer(url, nil, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func publisher(t testing.TB, p *driver.Producer) *driver.Publisher {
	t.Helper()
	pub, err := p.Publisher(within(t, 20*time.Second), "out", nil)
	if err != nil {
		t.Fatal(err)
	}
	return pub
}

func subscriber(t testing.TB, c *driver.Consumer) *driver.Subscriber {
	t.Helper()
	sub, err := c.Subscriber(within(t, 20*time.Second), "in", nil)
	if err != nil {
		t.Fatal(err)
	}
	return sub
}

func envelope(payload string) *driver.EnvelopeOut {
	e := driver.NewEnvelopeOut()
	e.SetPayload([]byte(payload))
	return e
}

func send(t testing.TB, pub *driver.Publisher, payloads ...string) {
	t.Helper()
	for _, payload := range payloads {
		if err := pub.Send(within(t, 20*time.Second), envelope(payload)); err != nil {
			t.Fatal(err)
		}
	}
}

// receive takes messages and gives them to handle until n have come.
func receive(t testing.TB, sub *driver.Subscriber, n int, handle func(*driver.EnvelopeIn) error) string {
	t.Helper()
	ctx, cancel := context.WithCancel(within(t, 20*time.Second))
	defer cancel()
	var got []string
	err := sub.Receive(ctx, func(_ context.Context, e *driver.EnvelopeIn) error {
		if got = append(got, string(e.Payload())); len(got) == n {
			cancel()
		}
		if handle != nil {
			return handle(e)
		}
		return nil
	})
	if len(got) != n {
		t.Fatalf("received %d messages, not %d: %v", len(got), n, err)
	}
	return strings.Join(got, " ")
}

func TestMain(m *testing.M) { os.Exit(brokers.Main(m)) }
