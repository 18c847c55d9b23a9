package conformance

import (
	"bytes"
	"context"
	"os"
	"runtime/pprof"
	"strings"
)

// labelled marks the calling goroutine, and every goroutine that it starts
// from now on and that those start, as one check's. So a leak has a name
// although other checks run at the same time.
func labelled(name string) {
	pprof.SetGoroutineLabels(pprof.WithLabels(context.Background(), pprof.Labels("conformance", name)))
}

func unlabelled() { pprof.SetGoroutineLabels(context.Background()) }

// aside calls a function of the test environment, whose goroutines are not the
// check's.
func aside(call func() error) error {
	done := make(chan error)
	go func() {
		unlabelled()
		done <- call()
	}()
	return <-done
}

// goroutines gives the stacks of one check's goroutines, "" if there are none,
// without those that run a function named in background.
func goroutines(name string, background []string) string {
	var profile bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&profile, 1); err != nil {
		return ""
	}
	label := `"conformance":"` + name + `"`
	var found []string
	for _, stack := range strings.Split(profile.String(), "\n\n") {
		if strings.Contains(stack, label) && !containsAny(stack, background) {
			found = append(found, stack)
		}
	}
	return strings.Join(found, "\n\n")
}

func containsAny(s string, parts []string) bool {
	for _, part := range parts {
		if strings.Contains(s, part) {
			return true
		}
	}
	return false
}

// noGoroutines runs after everything was closed.
func (t *trial) noGoroutines() {
	if t.Failed() {
		return
	}
	var left string
	gone := t.eventually(t.arrive, func() bool {
		left = goroutines(t.Name(), t.d.background)
		return left == ""
	})
	if !gone {
		t.Errorf("goroutines are left after everything was closed:\n%s\n\tthe promise: Close leaves no goroutine behind", left)
	}
}

// sockets counts the process's open sockets, -1 where the system cannot tell.
func sockets() int {
	const dir = "/proc/self/fd"
	entries, err := os.ReadDir(dir)
	if err != nil {
		return -1
	}
	n := 0
	for _, entry := range entries {
		if target, err := os.Readlink(dir + "/" + entry.Name()); err == nil && strings.HasPrefix(target, "socket:") {
			n++
		}
	}
	return n
}

// noSockets compares with the number at the start; of use only while nothing
// else runs in the process.
func (t *trial) noSockets(before int) {
	if before < 0 || t.Failed() {
		return
	}
	if !t.eventually(t.arrive, func() bool { return sockets() <= before }) {
		t.Errorf("%d sockets are open, at the start there were %d\n\tthe promise: Close leaves no connection and no file descriptor behind", sockets(), before)
	}
}
