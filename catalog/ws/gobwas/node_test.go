package gobwas_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	driver "github.com/asyncapi-impl/asyncapi-impl/catalog/ws/gobwas"
	"github.com/asyncapi-impl/asyncapi-impl/internal/brokers"
)

// node runs a script with Node's library ws.
func node(ctx context.Context, script string, args ...string) (*exec.Cmd, error) {
	modules, err := brokers.NodeModules()
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(modules, "ws")); err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, "node", append([]string{"-e", script, "--"}, args...)...)
	cmd.Env = append(os.Environ(), "NODE_PATH="+modules)
	cmd.Stderr = os.Stderr
	return cmd, cmd.Err
}

// needNode skips the test where Node or its ws is missing, loudly, and fails it
// where real peers are asked for.
func needNode(t testing.TB) {
	t.Helper()
	if _, err := node(t.Context(), ""); err != nil && brokers.Real() {
		t.Fatal(err)
	} else if err != nil {
		t.Skipf("Node's ws is missing, run go run ./internal/brokers/install: %v", err)
	}
}

func nodeSend(ctx context.Context, url string, payload []byte) error {
	cmd, err := node(ctx, `
		const {WebSocket} = require("ws")
		const [url, payload] = process.argv.slice(1)
		const ws = new WebSocket(url)
		ws.on("open", () => { ws.send(Buffer.from(payload, "base64")); ws.close(1000) })
		ws.on("error", e => { console.error(e); process.exit(1) })`,
		url, base64Of(payload))
	if err != nil {
		return err
	}
	return cmd.Run()
}

// TestNodeClient: Node's ws dials the Consumer; messages of both kinds and of
// every size class go both ways, compressed or not.
func TestNodeClient(t *testing.T) {
	needNode(t)
	for _, compress := range []bool{false, true} {
		c := consumer(t, anywhere, quick(func(o *driver.Options) { o.Compression = compress }))
		sub := subscriber(t, c, "node", nil)
		answering(t, sub)
		cmd, err := node(t.Context(), `
			const {WebSocket} = require("ws")
			const ws = new WebSocket(process.argv[1], {perMessageDeflate: process.argv[2] === "true"})
			const out = ["hello", "ü", "", "x".repeat(130), Buffer.alloc(70000, 7), "y".repeat(2000000)]
			let i = 0
			const next = () => i < out.length ? ws.send(out[i]) : ws.close(4242, "done")
			ws.on("open", () => { if ((ws.extensions !== "") !== (process.argv[2] === "true")) throw "extensions: " + ws.extensions; next() })
			ws.on("message", (data, binary) => {
				const want = Buffer.concat([Buffer.from("reply to "), Buffer.from(out[i])])
				if (!want.equals(data)) throw "another reply to message " + i
				if (binary !== (typeof out[i] !== "string")) throw "another kind of reply to message " + i
				i++
				ws.ping(); ws.once("pong", next)
			})
			ws.on("close", (code, reason) => console.log("closed", code, reason.toString(), i))`,
			c.URL()+"/node", fmt.Sprint(compress))
		if err != nil {
			t.Fatal(err)
		}
		out, err := cmd.Output()
		if got := strings.TrimSpace(string(out)); err != nil || got != "closed 4242 done 6" {
			t.Fatalf("compression %v: %v, node says %q", compress, err, got)
		}
	}
}

// TestNodeServer: the driver dials a server of Node's ws, as a Producer and as
// a Consumer, and hears its close code.
func TestNodeServer(t *testing.T) {
	needNode(t)
	cmd, err := node(t.Context(), `
		const {WebSocketServer} = require("ws")
		const server = new WebSocketServer({port: 0, host: "127.0.0.1", handleProtocols: p => [...p][0], perMessageDeflate: true})
		server.on("listening", () => console.log(server.address().port))
		server.on("connection", (ws, request) => {
			ws.send("welcome to " + request.url + " " + ws.protocol + " " + ws.extensions.slice(0, 18))
			ws.on("message", (data, binary) => {
				if (data.toString() === "bye") ws.close(4001, "you said so")
				else for (const c of server.clients) c.send(data, {binary})
			})
		})`)
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	port, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	url := "ws://127.0.0.1:" + strings.TrimSpace(port) + "/base"

	c := consumer(t, url, quick(dialling, func(o *driver.Options) {
		o.Compression, o.Subprotocols, o.FinalCodes = true, []string{"v2", "v1"}, []int{4001}
	}))
	sub := subscriber(t, c, "feed", queryOf("token", "t 1"))
	expect(t, receive(t, sub, 1), "welcome to /base/feed?token=t+1 v2 permessage-deflate")
	send(t, sub.Publisher(), text("from the subscriber"))
	expect(t, receive(t, sub, 1), "from the subscriber")

	p := producer(t, url, quick())
	large := strings.Repeat("large ", 100_000)
	send(t, publisher(t, p, "feed", nil), text("one"), envelope(large))
	got := receive(t, sub, 2)
	expect(t, got, "one", large)
	if got[0].OpCode() != driver.OpText || got[1].OpCode() != driver.OpBinary {
		t.Errorf("opcodes %d and %d", got[0].OpCode(), got[1].OpCode())
	}

	send(t, sub.Publisher(), text("bye"))
	err = sub.Receive(within(t, 20*time.Second), func(context.Context, *driver.EnvelopeIn) error { return nil })
	closedWith(t, err, 4001, "you said so")
	closedWith(t, sub.Publisher().Send(t.Context(), text("more")), 4001, "you said so")
}
