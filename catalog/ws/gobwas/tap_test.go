package gobwas

import (
	"bytes"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// TestTap: pings and pongs do not wait for a peer that does not read, and go
// between frames, never into one.
func TestTap(t *testing.T) {
	near, far := net.Pipe() // it holds nothing: a write waits for a read
	defer far.Close()
	tap := newTap(near)
	large := strings.Repeat("x", 70_000)
	frame := "\x82\x7f\x00\x00\x00\x00\x00\x01\x11\x70" + large
	control := func(s string) { tap.control([]byte(s)) }
	control("\x89\x01a")
	done := make(chan error, 1)
	go func() {
		_, err := tap.Write([]byte(frame))
		if err == nil {
			control("\x8a\x01b")
		}
		done <- err
	}()
	got := make([]byte, 3+len(frame)+3)
	far.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.ReadFull(far, got); err != nil {
		t.Fatal(err)
	}
	if want := "\x89\x01a" + frame + "\x8a\x01b"; !bytes.Equal(got, []byte(want)) {
		t.Error("the frames came otherwise than they were written")
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	near.Close()
	if _, err := tap.Read(got); err == nil || tap.silence() != 0 {
		t.Errorf("Read after Close: %v", err)
	}
}
