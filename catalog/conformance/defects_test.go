package conformance

import (
	"flag"
	"fmt"
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
	seen []string
}{
	{"loses", []string{"order", "all-arrive", "concurrent-send"}},
	{"doubles", []string{"order", "all-arrive"}},
	{"reorders batches", []string{"batch"}},
	{"stops at the first failure", []string{"batch-partial-failure"}},
	{"mixes addresses", []string{"many-addresses"}},
	{"drops headers", []string{"round-trip", "header-values", "headers-apart"}},
	{"drops repeated headers", []string{"header-repeated"}},
	{"changes binary headers", []string{"header-binary"}},
	{"trims headers", []string{"header-values"}},
	{"changes header keys", []string{"header-keys"}},
	{"ignores headers of a wrong type", []string{"header-refused", "batch-partial-failure"}},
	{"drops the content type", []string{"round-trip", "content-type-values"}},
	{"truncates large payloads", []string{"payload-sizes"}},
	{"text only", []string{"binary-payload", "payload-sizes"}},
	{"trims line ends", []string{"binary-payload"}},
	{"Read never ends", []string{"envelope-read"}},
	{"envelope empty after Send", []string{"envelope-reuse"}},
	{"retains payloads", []string{"payload-not-retained"}},
	{"ignores the group", []string{"groups", "group-offline"}},
	{"one group for all", []string{"fan-out"}},
	{"no limit of handlers", []string{"one-handler", "concurrency", "backpressure"}},
	{"one handler at most", []string{"concurrency"}},
	{"drops without Receive", []string{"before-receive", "receive-again"}},
	{"one queue for all subscribers", []string{"idle-subscriber"}},
	{"acknowledges at once", []string{"error-redelivers", "unsettled-returns", "crash-returns", "panic"}},
	{"never settles", []string{"settled-stays", "cancel-in-handler"}},
	{"swallows errors", []string{"error-redelivers", "unsettled-returns"}},
	{"hot loop", []string{"error-paused"}},
	{"ends on a handler's error", []string{"error-redelivers"}},
	{"acknowledges past a hole", []string{"error-keeps-order"}},
	{"redelivers what was rejected", []string{"reject"}},
	{"settles stale messages", []string{"stale-settlement"}},
	{"swallows a panic", []string{"panic"}},
	{"ignores ctx in Receive", []string{"cancel-idle", "deadline-idle"}},
	{"returns nil on cancel", []string{"cancel-idle", "deadline-idle", "cancelled-before"}},
	{"returns nil on Close", []string{"close-ends-receive"}},
	{"returns while a handler runs", []string{"cancel-in-handler"}},
	{"verdict lost on cancel", []string{"cancel-in-handler", "graceful-stop"}},
	{"handles the backlog after cancel", []string{"cancel-with-backlog"}},
	{"loses the backlog on cancel", []string{"graceful-stop"}},
	{"several Receives", []string{"one-receive"}},
	{"sends before it looks at ctx", []string{"send-cancelled-before"}},
	{"sends after Close", []string{"close-then-use"}},
	{"does not wait for the confirmation", []string{"send-confirmed"}},
	{"ignores ctx in Send", []string{"send-deadline", "send-cancel"}},
	{"Send ignores Timeout", []string{"send-timeout"}},
	{"Send fails during an outage", []string{"send-waits", "reset"}},
	{"loses what a cut interrupts", []string{"send-waits", "reset-often"}},
	{"swallows refusals", []string{"send-refused", "address-missing"}},
	{"creates what is missing", []string{"address-missing"}},
	{"second Close is an error", []string{"close-idempotent"}},
	{"panics after Close", []string{"close-then-use"}},
	{"Close deadlocks in a handler", []string{"close-in-handler", "close-bounded"}},
	{"Close does not wait", []string{"close-waits"}},
	{"Close waits for the server", []string{"close-while-down"}},
	{"does not reconnect", []string{"cut", "reset", "server-killed"}},
	{"gives up after a few attempts", []string{"long-outage"}},
	{"forgets its subscriptions", []string{"cut", "reset", "server-killed-idle"}},
	{"does not notice a black hole", []string{"black-hole"}},
	{"does not notice a deletion", []string{"address-deleted"}},
	{"retries refused credentials", []string{"credentials-revoked"}},
	{"retries for ever at the start", []string{"down-at-start", "wrong-password"}},
	{"waits for a silent server", []string{"silent-at-start"}},
	{"hides the cause", []string{"down-at-start"}},
	{"wrong error for a wrong password", []string{"wrong-password"}},
	{"ignores the certificate", []string{"tls-refused", "tls-server"}},
	{"mixes replies", []string{"request-reply"}},
	{"Request ignores ctx", []string{"request-deadline"}},
	{"leaks a goroutine", []string{"round-trip", "open-close-cycles"}},
	{"leaks a goroutine on failure", []string{"failed-opens"}},
	{"leaks a connection", []string{"round-trip", "open-close-cycles"}},
	{"a connection for each message", []string{"many-sends"}},
}

func byName(name string) check {
	i := slices.IndexFunc(checks, func(c check) bool { return c.name == name })
	if i < 0 {
		panic("no check " + name)
	}
	return checks[i]
}

// TestDefects shows that the right checks fail for each defect. In a long run
// every other check has its say too: which fail beside them is logged.
func TestDefects(t *testing.T) {
	slots := make(chan bool, 3*workers)
	var all sync.WaitGroup
	for _, defect := range defects {
		all.Add(1)
		go func() {
			defer all.Done()
			t.Run(defect.bug, func(t *testing.T) {
				broker, plain := refEnvironment(t)
				var running sync.WaitGroup
				for _, name := range defect.seen {
					c := byName(name)
					running.Add(1)
					see := func() {
						defer running.Done()
						slots <- true
						defer func() { <-slots }()
						// Without sockets: other checks run in this process.
						c.serial = false
						result, words := record(c, erase(refDriver(broker, plain, defect.bug)), quick)
						if result.Outcome != Fail {
							t.Errorf("the check %s does not see it: %s %s\n%s", name, result.Outcome, result.Reason, words)
						} else if !strings.Contains(words, "the promise: ") {
							t.Errorf("the check %s does not tell its promise:\n%s", name, words)
						}
					}
					if byName(name).serial {
						see()
					} else {
						go see()
					}
				}
				running.Wait()
			})
		}()
	}
	all.Wait()
}

// TestEveryCheckCanFail holds the table complete: each check that the
// reference driver runs must be the one to see a defect.
func TestEveryCheckCanFail(t *testing.T) {
	seen := map[string]bool{}
	for _, defect := range defects {
		for _, name := range defect.seen {
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
		record(byName("panic"), erase(refDriver(broker, plain, "panics kill the process")), quick)
		return
	}
	out, err := exec.Command(os.Args[0], "-test.run=^TestPanicKillsTheProcess$", "-conformance.killed").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "it must reach the caller of Receive") {
		t.Errorf("expected the process to die of the panic and to tell the promise, got %v:\n%s", err, fmt.Sprint(string(out)))
	}
}
