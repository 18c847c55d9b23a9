package natstest

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// Wire is a server made by hand, for what a real one can't be made to do.
type Wire struct {
	URL  string
	mu   sync.Mutex
	sent strings.Builder
}

// Sent is all that clients have sent on all connections.
func (w *Wire) Sent() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.sent.String()
}

// Conn is one connection to a Wire, which is the Number-th, counted from 1.
type Conn struct {
	net.Conn
	Number int
	wire   *Wire
	lines  *bufio.Reader
}

// Script runs a server. Each connection is handed to serve after the login, and
// ends when serve returns.
func Script(t testing.TB, serve func(*Conn)) *Wire {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &Wire{URL: "nats://" + listener.Addr().String()}
	var wait sync.WaitGroup
	var mu sync.Mutex
	var open []net.Conn
	t.Cleanup(func() {
		listener.Close()
		mu.Lock()
		for _, c := range open {
			c.Close()
		}
		mu.Unlock()
		wait.Wait()
	})
	wait.Go(func() {
		for number := 1; ; number++ {
			raw, err := listener.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open = append(open, raw)
			mu.Unlock()
			wait.Go(func() {
				defer raw.Close()
				c := &Conn{Conn: raw, Number: number, wire: w, lines: bufio.NewReader(raw)}
				c.Say(`INFO {"server_id":"script","version":"2.9.0","proto":1,"headers":true,"max_payload":1048576}`)
				for c.Line() != "PING" {
					if c.lines == nil {
						return
					}
				}
				c.Say("PONG")
				serve(c)
			})
		}
	})
	return w
}

// Say sends a line.
func (c *Conn) Say(format string, args ...any) { fmt.Fprintf(c, format+"\r\n", args...) }

// Line is the next line that the client sends, with the message that belongs to
// it; "" when the connection has ended.
func (c *Conn) Line() string {
	if c.lines == nil {
		return ""
	}
	text, err := c.lines.ReadString('\n')
	line := strings.TrimRight(text, "\r\n")
	if fields := strings.Fields(line); err == nil && len(fields) > 2 && strings.HasSuffix(fields[0], "PUB") {
		size, _ := strconv.Atoi(fields[len(fields)-1])
		message := make([]byte, size+2)
		_, err = io.ReadFull(c.lines, message)
		text += string(message)
		line += " " + strings.TrimSuffix(string(message), "\r\n")
	}
	c.wire.mu.Lock()
	c.wire.sent.WriteString(text)
	c.wire.mu.Unlock()
	if err != nil {
		c.lines = nil
		return ""
	}
	return line
}

// Serve answers pings until the connection ends.
func (c *Conn) Serve() {
	for line := c.Line(); line != ""; line = c.Line() {
		if line == "PING" {
			c.Say("PONG")
		}
	}
}
