package conformance

import (
	"flag"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
)

// defects are deliberate faults of the reference driver, and the checks that
// have to see each.
var defects = []struct {
	bug  string
	mode mode
	seen string
}{
	{"loses", brokered, "order all-arrive concurrent-send stress"},
	{"doubles", brokered, "order all-arrive"},
	{"reorders batches", brokered, "batch"},
	{"stops at the first failure", brokered, "batch-partial-failure"},
	{"mixes addresses", brokered, "many-addresses"},
	{"one publisher for all", brokered, "concurrent-publishers many-addresses"},
	{"ignores keys", brokered, "order-per-key"},

	{"drops empty payloads", brokered, "empty-payload"},
	{"truncates large payloads", brokered, "payload-sizes"},
	{"wrong error for a large payload", brokered, "payload-too-large"},
	{"text only", brokered, "binary-payload payload-sizes"},
	{"trims line ends", brokered, "binary-payload"},
	{"Read never ends", brokered, "envelope-read"},
	{"envelope empty after Send", brokered, "envelope-reuse"},
	{"retains payloads", brokered, "payload-not-retained"},
	{"reuses the buffer", brokered, "received-payload-owned"},
	{"redelivers the same buffer", brokered, "received-payload-apart"},

	{"drops headers", brokered, "round-trip header-values headers-apart"},
	{"drops headers", bare, "headers-refused content-type-refused"},
	{"drops repeated headers", brokered, "header-repeated"},
	{"changes binary headers", brokered, "header-binary"},
	{"trims headers", brokered, "header-values"},
	{"changes header keys", brokered, "header-keys"},
	{"panics on numbers", brokered, "header-types"},
	{"ignores headers of a wrong type", brokered, "header-refused batch-partial-failure"},
	{"drops the content type", brokered, "round-trip content-type-values"},
	{"private form of messages", brokered, "foreign-sends foreign-receives"},

	{"ignores the group", brokered, "groups group-offline"},
	{"loses what it has in hand when it leaves", brokered, "group-changes"},
	{"one group for all", brokered, "fan-out"},
	{"no limit of handlers", brokered, "one-handler concurrency backpressure"},
	{"one handler at most", brokered, "concurrency"},
	{"drops without Receive", brokered, "before-receive receive-again"},
	{"one queue for all subscribers", brokered, "idle-subscriber"},
	{"handlers of a consumer take turns", brokered, "slow-neighbour"},
	{"Send and handler share a lock", brokered, "handler-sends"},
	{"gives slow messages back", brokered, "slow-handler"},

	{"acknowledges at once", brokered, "error-redelivers unsettled-returns crash-returns panic"},
	{"never settles", brokered, "settled-stays cancel-in-handler"},
	{"swallows errors", brokered, "error-redelivers unsettled-hole"},
	{"swallows errors", answered, "error-answered"},
	{"hot loop", brokered, "error-paused"},
	{"ends on a handler's error", brokered, "error-redelivers"},
	{"ends on a handler's error", fleeting, "error-survived"},
	{"logs nothing", fleeting, "error-survived"},
	{"logs nothing", brokered, "outage-logged"},
	{"logs every attempt", brokered, "outage-logged"},
	{"acknowledges past a hole", brokered, "error-keeps-order"},
	{"acknowledges all before", brokered, "unsettled-hole"},
	{"redelivers what was rejected", brokered, "reject"},
	{"settles stale messages", brokered, "stale-settlement"},
	{"swallows a panic", brokered, "panic"},

	{"ignores ctx in Receive", brokered, "cancel-idle deadline-idle"},
	{"returns nil on cancel", brokered, "cancel-idle deadline-idle cancelled-before"},
	{"returns nil on Close", brokered, "close-ends-receive"},
	{"returns while a handler runs", brokered, "cancel-in-handler"},
	{"verdict lost on cancel", brokered, "cancel-in-handler graceful-stop"},
	{"handles the backlog after cancel", brokered, "cancel-with-backlog"},
	{"loses the backlog on cancel", brokered, "graceful-stop"},
	{"several Receives", brokered, "one-receive"},

	{"sends before it looks at ctx", brokered, "send-cancelled-before"},
	{"does not wait for the confirmation", brokered, "send-confirmed"},
	{"ignores ctx in Send", brokered, "send-deadline send-cancel send-outage-deadline"},
	{"Send ignores Timeout", brokered, "send-timeout"},
	{"Send fails during an outage", brokered, "send-waits reset"},
	{"loses what a cut interrupts", brokered, "send-waits reset-often"},
	{"impatient", brokered, "stall"},
	{"swallows refusals", brokered, "send-refused address-missing"},
	{"creates what is missing", brokered, "address-missing"},

	{"second Close is an error", brokered, "close-idempotent"},
	{"a child cannot be closed after its parent", brokered, "close-order"},
	{"sends after Close", brokered, "close-then-use"},
	{"panics after Close", brokered, "close-then-use"},
	{"tells a lost connection when closed", brokered, "close-during-send"},
	{"loses the backlog on Close", brokered, "close-during-receive"},
	{"Close deadlocks in a handler", brokered, "close-in-handler close-bounded"},
	{"Close does not wait", brokered, "close-waits"},
	{"Close waits for the server", brokered, "close-while-down"},

	{"does not reconnect", brokered, "cut reset server-killed"},
	{"does not reconnect", direct, "listener-restart"},
	{"gives up after a few attempts", brokered, "long-outage"},
	{"forgets its subscriptions", brokered, "cut reset server-killed-idle"},
	{"does not notice a black hole", brokered, "black-hole"},
	{"does not notice a deletion", brokered, "address-deleted"},
	{"takes a read for a frame", brokered, "slow-network"},
	{"retries for ever at the start", brokered, "down-at-start wrong-password"},
	{"waits for a silent server", brokered, "silent-at-start"},
	{"hides the cause", brokered, "down-at-start"},

	{"ignores the password", brokered, "password"},
	{"does not look at the answer to its greeting", brokered, "no-password wrong-password"},
	{"wrong error for a wrong password", brokered, "wrong-password"},
	{"retries refused credentials", brokered, "credentials-revoked"},
	{"ignores the certificate", brokered, "tls-refused tls-server"},
	{"ignores the TLS configuration", brokered, "tls"},
	{"drops the client certificate", brokered, "tls-client-certificate tls-mutual"},
	{"falls back to plain text", brokered, "tls-to-plain"},

	{"mixes replies", brokered, "request-reply"},
	{"Request ignores ctx", brokered, "request-deadline"},
	{"leaks a goroutine", brokered, "round-trip open-close-cycles"},
	{"leaks a goroutine on failure", brokered, "failed-opens"},
	{"leaks a connection", brokered, "round-trip open-close-cycles"},
	{"a connection for each message", brokered, "many-sends"},
}

func byName(name string) check {
	i := slices.IndexFunc(checks, func(c check) bool { return c.name == name })
	if i < 0 {
		panic("no check " + name)
	}
	return checks[i]
}

// TestDefects shows that the right checks fail for each defect. Checks that
// need time to see one get it in a second try, when the others are through.
func TestDefects(t *testing.T) {
	type sighting struct {
		bug   string
		mode  mode
		check string
	}
	var all []sighting
	for _, defect := range defects {
		if raceEnabled && slices.Contains(races, defect.bug) {
			continue
		}
		for _, name := range strings.Fields(defect.seen) {
			all = append(all, sighting{defect.bug, defect.mode, name})
		}
	}
	see := func(s sighting) string {
		broker, plain := refEnvironment(t)
		c, lim := byName(s.check), quick
		// Other checks run in this process: its sockets cannot be counted.
		c.serial, lim.long = false, c.long
		result, words := record(c, erase(refDriver(broker, plain, s.mode, s.bug)), lim)
		switch {
		case result.Outcome != Fail:
			return result.Outcome + " " + result.Reason + "\n" + words
		case !strings.Contains(words, "the promise: "):
			return "the promise is not told\n" + words
		}
		return ""
	}
	var mu sync.Mutex
	var again []sighting
	var running sync.WaitGroup
	slots := make(chan bool, 2*workers)
	for _, s := range all {
		running.Add(1)
		slots <- true
		go func() {
			defer running.Done()
			defer func() { <-slots }()
			if see(s) != "" {
				mu.Lock()
				again = append(again, s)
				mu.Unlock()
			}
		}()
	}
	running.Wait()
	for _, s := range again {
		if missed := see(s); missed != "" {
			t.Errorf("a driver that %q %s: the check %s does not see it: %s", s.bug, s.mode, s.check, missed)
		} else {
			t.Logf("a driver that %q %s: seen by %s in the second try", s.bug, s.mode, s.check)
		}
	}
}

// races are defects that the race detector sees before any check does.
var races = []string{"retains payloads", "reuses the buffer"}

// TestEveryCheckCanFail holds the table complete: each check that the
// reference driver runs must be the one to see a defect.
func TestEveryCheckCanFail(t *testing.T) {
	seen := map[string]bool{}
	for _, defect := range defects {
		for _, name := range strings.Fields(defect.seen) {
			seen[name] = true
		}
	}
	for _, c := range checks {
		if !seen[c.name] {
			t.Errorf("no defect shows that the check %s can fail", c.name)
		}
	}
}

var killed = flag.Bool("conformance.killed", false, "run the check of a handler's panic on a driver that dies of it")

// TestPanicKillsTheProcess runs in another process what no recover can hold.
func TestPanicKillsTheProcess(t *testing.T) {
	if *killed {
		broker, plain := refEnvironment(t)
		record(byName("panic"), erase(refDriver(broker, plain, brokered, "panics kill the process")), quick)
		return
	}
	out, err := exec.Command(os.Args[0], "-test.run=^TestPanicKillsTheProcess$", "-conformance.killed").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "it must reach the caller of Receive") {
		t.Errorf("expected the process to die of the panic and to tell the promise, got %v:\n%s", err, out)
	}
}
