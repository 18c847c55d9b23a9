package conformance

import (
	"strings"
	"testing"
)

// predecessor holds the failures that were found in the drivers of
// go-asyncapi v0.4.0, by the names of that report, and the checks that see
// them. Those that are not here are of the generator (D, G2, G3) or of one
// protocol's bindings (K2, M1, V6 and the like), which a driver's own tests
// look at.
var predecessor = map[string]string{
	"G1 typed headers crash":                       "header-types header-values",
	"K1 group ignored":                             "groups group-offline",
	"K3 the rest of a batch is lost":               "receive-again panic cancel-with-backlog",
	"K4 dead broker or bad password hangs":         "down-at-start wrong-password",
	"K5 1 MiB fails":                               "payload-sizes",
	"A1 acknowledged twice":                        "order settled-stays error-redelivers",
	"A4 refused messages look sent":                "send-refused send-confirmed",
	"A6 connection loss ends Receive with nil":     "cut reset server-killed",
	"A7 no limit of what is fetched":               "backpressure cancel-with-backlog",
	"A8 silent server":                             "silent-at-start",
	"H1 a connection for each message":             "many-sends open-close-cycles",
	"H2 status ignored":                            "error-answered wrong-password",
	"H3 Close does nothing":                        "close-ends-receive close-then-use",
	"H4 data race on credentials":                  "concurrent-send password",
	"H5 handlers under a lock":                     "slow-neighbour",
	"H6 number panics, envelope empty second time": "header-types envelope-reuse",
	"M2 subscription not restored":                 "cut reset server-killed-idle",
	"M3 Close leaves the connection":               "round-trip open-close-cycles",
	"M4 Send after Close":                          "close-then-use",
	"M5 head of line blocking":                     "idle-subscriber",
	"V2 nothing arrives after a reconnect":         "cut reset server-killed-idle",
	"V3 refused for ever":                          "down-at-start wrong-password",
	"V5 lost before Receive":                       "before-receive",
	"V7 binary header changed":                     "header-binary",
	"V9 no Close":                                  "round-trip open-close-cycles",
	"N1 ctx error lost, race on Close":             "cancel-idle close-during-receive",
	"N2 cancelled Receive keeps its subscription":  "receive-again",
	"N3 sends before it looks":                     "send-cancelled-before close-then-use",
	"N4 a panic kills the process":                 "panic",
	"R1 publishers use up connections":             "concurrent-publishers password",
	"R2 connect errors hidden":                     "down-at-start wrong-password",
	"R3 Close does nothing":                        "close-then-use",
	"T1 no framing":                                "order payload-sizes empty-payload",
	"T2 panics on the second envelope":             "order",
	"T5 ctx ignored":                               "deadline-idle send-deadline",
	"T6 no reconnect":                              "cut reset listener-restart",
	"X1 a message without Receive kills":           "before-receive receive-again",
	"X2 a panic kills the process":                 "panic",
	"U2 cut without an error":                      "payload-sizes payload-too-large",
	"W1 concurrent Send corrupts":                  "concurrent-send",
	"W3 deadlock with a second client":             "concurrent-publishers fan-out",
	"W5 default envelope kills the receiver":       "round-trip",
	"W6 no reconnect":                              "cut reset listener-restart",
}

func TestPredecessorsFailuresAreSeen(t *testing.T) {
	for failure, seen := range predecessor {
		for _, name := range strings.Fields(seen) {
			if byName(name).promise == "" {
				t.Errorf("%s: no check %s", failure, name)
			}
		}
	}
}
