// Package e2e does with every driver what a user does: eject it into a module
// of their own, write a program on it, and run that against a real server,
// which is killed and restarted half-way.
package e2e

import (
	"bufio"
	"context"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"text/template"
	"time"

	"github.com/asyncapi-impl/asyncapi-impl/internal/brokers"
)

func TestMain(m *testing.M) { os.Exit(brokers.Main(m)) }

//go:embed program.go.tmpl
var program string

// outage is how long the server is away at least.
const outage = time.Second

// use is how the program uses a driver.
type use struct {
	driver string
	server func(testing.TB) *brokers.Server
	// The rest is Go source. Decorate sets what the protocol adds to envelope,
	// message i; Verify looks for it in e.
	Package, Server, Address, Channel, Decorate, Verify string
	// Lossy: the protocol can't promise what is in flight during the outage.
	Lossy bool
	// Asked: the server is asked to end and not killed. Mosquitto has what it
	// confirms on disk only then.
	Asked bool
}

const (
	setHeader = `envelope.SetHeaders(impl.Headers{"number": strconv.Itoa(i)})
			envelope.SetContentType("text/plain")`
	verifyHeader = `if e.Header("number") != number || e.ContentType() != "text/plain" {
			log.Fatalf("message %d came with headers %v", i, e.Headers())
		}`
)

var kafka = use{
	server:  brokers.StartKafka,
	Channel: `&impl.ChannelBindings{Partitions: new(3), Operation: &impl.OperationBindings{GroupID: "e2e"}}`,
	Decorate: `envelope.SetKey([]byte(strconv.Itoa(i % keys)))
			` + setHeader,
	Verify: `if string(e.Key()) != key {
			log.Fatalf("message %d came with key %q", i, e.Key())
		}
		` + verifyHeader,
}

var amqp = use{
	server:   brokers.StartRabbitMQ,
	Decorate: setHeader,
	Verify:   verifyHeader,
}

// kept is a session that the server keeps.
const kept = `&impl.ServerBindings{ClientID: "e2e", CleanSession: new(false)}`

var uses = []use{
	kafka.by("kafka/segmentio"),
	kafka.by("kafka/franz"),
	amqp.by("amqp/rabbitmq"),
	amqp.by("amqp/streadway"),
	use{server: brokers.StartNATS, Lossy: true, Decorate: setHeader, Verify: verifyHeader}.by("nats/natsgo"),
	use{
		server:   brokers.StartNATS,
		Channel:  `&impl.ChannelBindings{Operation: &impl.OperationBindings{Queue: "e2e"}}`,
		Decorate: setHeader, Verify: verifyHeader,
	}.by("nats/jetstream"),
	use{server: brokers.StartMosquitto, Asked: true, Server: kept, Decorate: setHeader, Verify: verifyHeader}.by("mqtt5/paho"),
	use{server: brokers.StartMosquitto, Asked: true, Server: kept}.by("mqtt/paho"),
	use{server: brokers.StartRedis, Lossy: true}.by("redis/goredis"),
	use{
		server:   brokers.StartRedis,
		Channel:  `&impl.ChannelBindings{Operation: &impl.OperationBindings{Group: "e2e"}}`,
		Decorate: setHeader, Verify: verifyHeader,
	}.by("redis/streams"),
}

func (u use) by(driver string) use {
	u.driver = driver
	u.Package = path.Dir(driver)
	for _, p := range []*string{&u.Server, &u.Channel} {
		if *p == "" {
			*p = "nil"
		}
	}
	if u.Address == "" {
		u.Address = "my-topic"
	}
	return u
}

func TestEjectedDriverOutlivesItsServer(t *testing.T) {
	if !brokers.Real() {
		t.Skip("needs real servers: ASYNCAPI_IMPL_BROKERS=real")
	}
	command := build(t)
	for _, u := range uses {
		t.Run(u.driver, func(t *testing.T) {
			binary := u.build(t, command)
			s := u.server(t)
			ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, binary, s.URL)
			var log strings.Builder
			cmd.Stderr = &log
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() {
				if t.Failed() {
					t.Logf("the program's log:\n%s", &log)
				}
			}()
			lines := bufio.NewScanner(out)
			if !lines.Scan() || lines.Text() != "half" {
				_ = cmd.Wait()
				t.Fatalf("the program did not reach the middle: %s", lines.Text())
			}
			end := s.Kill
			if u.Asked {
				end = s.Stop
			}
			if err := end(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(outage)
			if err := s.Restart(ctx); err != nil {
				t.Fatal(err)
			}
			var sent, slowest, received, twice, disorder int
			var ended string
			for lines.Scan() {
				t.Log(lines.Text())
				if _, err := fmt.Sscanf(lines.Text(), "sent %d slowest %d", &sent, &slowest); err == nil {
					continue
				}
				if _, err := fmt.Sscanf(lines.Text(), "received %d twice %d disorder %d: ", &received, &twice, &disorder); err == nil {
					_, ended, _ = strings.Cut(lines.Text(), ": ")
				}
			}
			if err := cmd.Wait(); err != nil {
				t.Fatal(err)
			}
			if !strings.HasSuffix(ended, context.Canceled.Error()) {
				t.Errorf("Receive ended with %q", ended)
			}
			if disorder != 0 {
				t.Errorf("%d messages came out of order", disorder)
			}
			if u.Lossy {
				if received < 5000 {
					t.Errorf("only %d messages came", received)
				}
				return
			}
			if slowest := time.Duration(slowest) * time.Millisecond; slowest < outage/2 {
				t.Errorf("no Send took longer than %v: the outage met none", slowest)
			}
			if sent != 10_000 || received != 10_000 {
				t.Errorf("%d of 10000 messages were sent, %d received", sent, received)
			}
		})
	}
}

// TestEjectedSuite takes the proof along: the suite passes in the user's
// module, and sees a line of the driver that was broken there.
func TestEjectedSuite(t *testing.T) {
	if !brokers.Real() {
		t.Skip("needs a real server: ASYNCAPI_IMPL_BROKERS=real")
	}
	s := brokers.StartKafka(t)
	dir := t.TempDir()
	run(t, dir, "go", "mod", "init", "example.com/app")
	run(t, dir, build(t), "eject", "kafka/segmentio", "./impl", "--tests")
	run(t, dir, "go", "mod", "tidy")

	test := func(url string, args ...string) (string, error) {
		cmd := exec.Command("go", append([]string{"test", "-count=1", "-v", "./impl/kafka"}, args...)...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "KAFKA_URL="+url, "ASYNCAPI_IMPL_RESULTS=")
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := test(""); err != nil || !strings.Contains(out, "set KAFKA_URL to the server") {
		t.Errorf("without a server: %v\n%s", err, out)
	}
	if out, err := test(s.URL); err != nil || !strings.Contains(out, "--- PASS: TestConformance/") {
		t.Errorf("with a server: %v\n%s", err, out)
	}
	file := filepath.Join(dir, "impl", "kafka", "session.go")
	source, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	const line = "if failed = !s.deliver(m); failed {"
	broken := strings.Replace(string(source), line, "if s.deliver(m); failed {", 1)
	if broken == string(source) {
		t.Fatalf("the line to break is not in the driver any more: %s", line)
	}
	if err := os.WriteFile(file, []byte(broken), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := test(s.URL, "-run=TestConformance/^(error-redelivers|error-keeps-order)$"); err == nil || !strings.Contains(out, "the promise: ") {
		t.Errorf("a driver that forgets failed records passed: %v\n%s", err, out)
	}
}

func build(t *testing.T) string {
	t.Helper()
	command := filepath.Join(t.TempDir(), "asyncapi-impl")
	run(t, ".", "go", "build", "-o", command, "../../cmd/asyncapi-impl")
	return command
}

// build makes the user's module and gives its program.
func (u use) build(t *testing.T, command string) string {
	t.Helper()
	dir := t.TempDir()
	run(t, dir, "go", "mod", "init", "example.com/app")
	run(t, dir, command, "eject", u.driver, "./impl")
	f, err := os.Create(filepath.Join(dir, "main.go"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := template.Must(template.New("").Parse(program)).Execute(f, u); err != nil {
		t.Fatal(err)
	}
	run(t, dir, "go", "mod", "tidy")
	run(t, dir, "go", "vet", "./...")
	run(t, dir, "go", "build", "-o", "program", ".")
	return filepath.Join(dir, "program")
}

func run(t *testing.T, dir, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}
