package coder_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	driver "github.com/asyncapi-impl/asyncapi-impl/catalog/ws/coder"
	"github.com/asyncapi-impl/asyncapi-impl/internal/brokers"
)

// page talks to the server that it came from and leaves what happened in the
// document.
const page = `<!doctype html><title>test</title><body><script>
const log = line => document.body.append(line + ";")
const ws = new WebSocket("ws://" + location.host + "/ws/browser?key=k%201", ["v1", "v2"])
ws.binaryType = "arraybuffer"
ws.onopen = () => { log("open " + ws.protocol); ws.send("text ü"); ws.send(new Uint8Array([0, 255, 1])); ws.send("x".repeat(100000)) }
ws.onmessage = e => {
	if (typeof e.data === "string") log("text " + (e.data.length > 100 ? e.data.length : e.data))
	else { log("binary " + new Uint8Array(e.data)); }
	if (e.data.length > 100) ws.send("close me")
}
ws.onerror = () => log("error")
ws.onclose = e => { log("close " + e.code + " " + e.reason + " " + e.wasClean); fetch("/done", {method: "POST", body: document.body.innerText}) }
</script>`

// TestBrowser: a page in Chromium exchanges messages with the Consumer on the
// user's own server; a page of another origin is not let in.
func TestBrowser(t *testing.T) {
	if !brokers.Real() {
		t.Skip("a browser: only with ASYNCAPI_IMPL_BROKERS=real")
	}
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal(err)
	}
	c := consumer(t, "", quick(func(o *driver.Options) {
		o.Compression, o.Subprotocols = true, []string{"v2"}
		o.Security = driver.HTTPAPIKey{In: "query", Name: "key", Key: "k 1"}
	}))
	sub := subscriber(t, c, "/ws/browser", nil)
	done := make(chan string, 2)
	mux := http.NewServeMux()
	mux.Handle("GET /ws/", c.Handler())
	mux.HandleFunc("GET /page", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, page) })
	mux.HandleFunc("GET /foreign", func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, strings.Replace(page, "location.host", `"`+r.URL.Query().Get("to")+`"`, 1))
	})
	mux.HandleFunc("POST /done", func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		done <- string(body)
	})
	listen := func() string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		server := &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
		go server.Serve(l)
		t.Cleanup(func() { server.Close() })
		return l.Addr().String()
	}
	own, other := listen(), listen()

	ctx := within(t, 100*time.Second)
	receiving := make(chan error, 1)
	go func() {
		receiving <- sub.Receive(ctx, func(ctx context.Context, e *driver.EnvelopeIn) error {
			if string(e.Payload()) == "close me" {
				return e.Peer().Close(4000, "as you like")
			}
			out := envelope(string(e.Payload()))
			out.SetOpCode(e.OpCode())
			return e.Reply(ctx, out)
		})
	}()
	visit := func(url string) string {
		t.Helper()
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		cmd := exec.CommandContext(ctx, chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
			"--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
			"--user-data-dir="+t.TempDir(), "--remote-debugging-port=0", url)
		var out strings.Builder
		cmd.Stderr = &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		defer cmd.Wait()
		defer cancel()
		select {
		case what := <-done:
			return what
		case <-ctx.Done():
			t.Fatalf("the page did not end: %s", &out)
			return ""
		}
	}
	if got, want := visit("http://"+own+"/page"), "open v2;text text ü;binary 0,255,1;text 100000;close 4000 as you like true;"; got != want {
		t.Errorf("the page saw %q, want %q", got, want)
	}
	if got, want := visit(fmt.Sprintf("http://%s/foreign?to=%s", other, own)), "error;close 1006 false;"; got != want {
		t.Errorf("a page of another origin saw %q, want %q", got, want)
	}
	if err := sub.Close(); err != nil {
		t.Error(err)
	}
	<-receiving
}
