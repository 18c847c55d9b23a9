package coder

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
	control := func(s string) {
		began := time.Now()
		if n, err := tap.Write([]byte(s)); n != len(s) || err != nil || time.Since(began) > 5*time.Second {
			t.Errorf("a control frame: %d, %v", n, err)
		}
	}
	control("\x89\x01a")
	done := make(chan error, 1)
	go func() {
		// As the library's buffer does, in pieces.
		_, err := tap.Write([]byte(frame[:4096]))
		for rest := []byte(frame[4096:]); err == nil && len(rest) > 0; {
			var n int
			n, err = tap.Write(rest[:min(len(rest), 4096)])
			rest = rest[n:]
		}
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

func TestFrameSize(t *testing.T) {
	for frame, want := range map[string]uint64{
		"\x82\x00": 2, "\x82\x05": 7, "\x82\x85....": 11, "\x82\x7e\x01\x00": 260, "\x82\xfe\x01\x00....": 264,
		"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00": 65546, "\x82\xff\x00\x00\x00\x00\x00\x01\x00\x00....": 65550,
	} {
		if got := frameSize([]byte(frame)); got != want {
			t.Errorf("%q: %d, want %d", frame, got, want)
		}
	}
}
