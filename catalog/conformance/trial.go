package conformance

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// TB is what the suite needs of a *testing.T.
type TB interface {
	Helper()
	Name() string
	Logf(format string, args ...any)
	Errorf(format string, args ...any)
	FailNow()
	Failed() bool
	SkipNow()
	Cleanup(func())
}

// limits are how long checks wait.
type limits struct {
	arrive  time.Duration // until something that must happen has happened
	grace   time.Duration // how much later than promised is still in time
	quiet   time.Duration // how long nothing must come, where no sentinel can show it
	timeout time.Duration // Settings.Timeout
	whole   time.Duration // for the whole check
	long    bool
}

var normal = limits{arrive: 20 * time.Second, grace: 4 * time.Second, quiet: 200 * time.Millisecond, timeout: 8 * time.Second, whole: 90 * time.Second}

// trial is what one run of one check works with.
type trial struct {
	TB
	limits
	d       *driver
	caps    Capabilities
	promise string
	ctx     context.Context

	mu      sync.Mutex
	proxies map[string]*Proxy
	skipped string
	gates   []*gate
	over    atomic.Bool // the check has ended: late goroutines report nothing
}

// fail reports what was seen beside what was promised.
func (t *trial) fail(format string, args ...any) {
	t.Helper()
	if t.over.Load() {
		return
	}
	t.Errorf("%s\n\tthe promise: %s", fmt.Sprintf(format, args...), t.promise)
}

func (t *trial) fatal(format string, args ...any) {
	t.Helper()
	t.fail(format, args...)
	t.FailNow()
}

// must ends the check if err is not nil.
func (t *trial) must(err error, doing string) {
	t.Helper()
	if err != nil {
		t.fatal("%s: %v", doing, err)
	}
}

// skip ends the check where only running it showed that it does not apply.
func (t *trial) skip(reason string) {
	t.Helper()
	t.mu.Lock()
	t.skipped = reason
	t.mu.Unlock()
	t.SkipNow()
}

// pick gives the long form's value in a long run.
func (t *trial) pick(short, long int) int {
	if t.long {
		return long
	}
	return short
}

// run calls a function of the driver and reports, as a failure of any check, a
// call that panics or does not come back: a call without a deadline in ctx has
// limit, and one whose ctx ends has to come back soon after.
func (t *trial) run(what string, ctx context.Context, limit time.Duration, call func() error) error {
	done := make(chan error, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				done <- &panicError{what, p, debug.Stack()}
			}
		}()
		done <- call()
	}()
	if _, has := ctx.Deadline(); has {
		limit = time.Hour
	}
	timer := time.NewTimer(limit + t.grace)
	defer timer.Stop()
	ended := ctx.Done()
	for {
		select {
		case err := <-done:
			if p, ok := err.(*panicError); ok {
				t.fail("%v\n%s", p, p.stack)
			}
			return err
		case <-ended:
			ended = nil
			timer.Reset(t.grace)
		case <-timer.C:
			err := fmt.Errorf("%s did not come back in time", what)
			t.fail("%v; goroutines of this check:\n%s", err, goroutines(t.Name(), nil))
			return err
		}
	}
}

// gate holds handlers back until it is opened, at the latest when the check
// ends.
type gate struct {
	once   sync.Once
	opened chan struct{}
}

func (t *trial) gate() *gate {
	g := &gate{opened: make(chan struct{})}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.gates = append(t.gates, g)
	return g
}

func (g *gate) open() { g.once.Do(func() { close(g.opened) }) }
func (g *gate) wait() { <-g.opened }

func (t *trial) openGates() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, g := range t.gates {
		g.open()
	}
}

type panicError struct {
	what  string
	value any
	stack []byte
}

func (p *panicError) Error() string { return fmt.Sprintf("%s panicked: %v", p.what, p.value) }

// eventually waits for a condition that no event announces.
func (t *trial) eventually(limit time.Duration, condition func() bool) bool {
	deadline := time.Now().Add(limit)
	for !condition() {
		if time.Now().After(deadline) {
			return false
		}
		time.Sleep(2 * time.Millisecond)
	}
	return true
}

// proxy is the one between a side (producer or consumer) and the server.
func (t *trial) proxy(side string) *Proxy {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.proxies[side]
}

// through gives a URL that leads through a proxy of its own to url's host.
func (t *trial) through(side, url string) string {
	t.Helper()
	before, host, after, err := splitURL(url)
	t.must(err, "the wiring's URL")
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.proxies[side]
	if p == nil || p.target != host {
		p, err = NewProxy(host, nil)
		t.must(err, "start a proxy")
		t.Cleanup(p.Close)
		if t.proxies[side] == nil {
			t.Cleanup(func() { t.connectionsGone(side) })
		}
		t.proxies[side] = p
	}
	return before + p.Addr() + after
}

// connectionsGone runs after everything was closed.
func (t *trial) connectionsGone(side string) {
	if p := t.proxy(side); p != nil && !t.Failed() && !t.eventually(t.arrive, func() bool { return p.Open() == 0 }) {
		t.fail("%d of %d connections of the %s are open after everything was closed", p.Open(), p.Accepted(), side)
	}
}

var unique atomic.Int64

// address makes one that no other check uses, also not in an earlier run on
// the same server.
func (t *trial) address() string {
	word := fmt.Sprintf("conformance-%x-%d", started, unique.Add(1))
	if t.d.address != nil {
		return t.d.address(word)
	}
	return word
}

var started = time.Now().UnixNano() & 0xffffffffff
