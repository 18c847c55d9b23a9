package conformance

import (
	"context"
	"os"
	"sync"
	"testing"
	"time"
)

// check is one promise and how it is checked.
type check struct {
	name    string
	topic   string
	rows    []int
	promise string
	// needs say why the check does not apply to a driver.
	needs []need
	// serial checks disturb the server or count what belongs to the process.
	serial bool
	long   bool // only in a long run
	run    func(*trial)
}

// checks are all of them, the slow ones first.
var checks = concat(faultChecks, serverChecks, shutdownChecks, closeChecks, restartChecks, settleChecks,
	receiveChecks, sendChecks,
	orderChecks, subscriberChecks, messageChecks, headerChecks, accessChecks, tlsChecks, replyChecks, foreignChecks, leakChecks)

// Check tells of one check.
type Check struct {
	Name, Topic, Promise string
	// Rows are the numbers that it has in the list of checks that the project
	// set out with.
	Rows []int
}

// Checks tells of all of them, in the order of a report.
func Checks() []Check {
	all := make([]Check, len(checks))
	for i, c := range checks {
		all[i] = Check{c.name, c.topic, c.promise, c.rows}
	}
	return all
}

// concat is slices.Concat, which is younger than the Go of some drivers.
func concat(all ...[]check) []check {
	var checks []check
	for _, some := range all {
		checks = append(checks, some...)
	}
	return checks
}

// workers is how many checks run at once. They mostly wait, so it does not
// follow the number of processors.
const workers = 12

// Run runs every check as a subtest of test.
func Run[O EnvelopeOut, I EnvelopeIn](test *testing.T, wiring Driver[O, I]) *Report {
	test.Helper()
	d := erase(wiring)
	if err := d.check(); err != nil {
		test.Fatal(err)
	}
	lim := normal
	if lim.long = os.Getenv("ASYNCAPI_IMPL_LONG") != ""; lim.long {
		lim.whole = 20 * time.Minute
	}
	report := &Report{}
	subtest := func(c check) {
		test.Run(c.name, func(test *testing.T) { c.start(test, d, lim, report.add) })
	}
	queue := make(chan check)
	var running sync.WaitGroup
	for _, c := range checks {
		if c.serial {
			subtest(c)
		}
	}
	for i := 0; i < workers; i++ {
		running.Add(1)
		go func() {
			defer running.Done()
			for c := range queue {
				subtest(c)
			}
		}()
	}
	for _, c := range checks {
		if !c.serial {
			queue <- c
		}
	}
	close(queue)
	running.Wait()
	report.sort()
	if dir := os.Getenv("ASYNCAPI_IMPL_RESULTS"); dir != "" {
		if err := report.write(dir, d.name, d.brokerName()); err != nil {
			test.Errorf("write the results: %v", err)
		}
	}
	return report
}

func (d *driver) brokerName() string {
	if d.broker == nil {
		return ""
	}
	return d.broker.Name
}

// start runs the check and then looks for what it has left behind.
func (c check) start(tb TB, d *driver, lim limits, record func(Result)) {
	ctx, cancel := context.WithTimeout(context.Background(), lim.whole)
	t := &trial{TB: tb, limits: lim, d: d, caps: d.caps, promise: c.promise, ctx: ctx, proxies: map[string]*Proxy{}}
	t.Cleanup(func() {
		t.over.Store(true)
		result := Result{Driver: d.name, Broker: d.brokerName(), Check: c.name, Topic: c.topic, Promise: c.promise, Outcome: Pass}
		if t.Failed() {
			result.Outcome = Fail
		} else if t.skipped != "" {
			result.Outcome, result.Reason = Skip, t.skipped
		}
		record(result)
	})
	if reason := c.missing(d, lim); reason != "" {
		t.Logf("left out: %s", reason)
		cancel()
		t.skip(reason)
	}
	before := -1
	if c.serial {
		before = sockets()
	}
	labelled(t.Name())
	t.Cleanup(func() {
		t.closeProxies()
		unlabelled()
		cancel()
		t.noGoroutines()
		t.noSockets(before)
	})
	c.run(t)
}

// missing gives the reason for leaving the check out.
func (c check) missing(d *driver, lim limits) string {
	if c.long && !lim.long {
		return "only in a long run (ASYNCAPI_IMPL_LONG=1)"
	}
	for _, n := range c.needs {
		if reason := n(d); reason != "" {
			return reason
		}
	}
	return ""
}
