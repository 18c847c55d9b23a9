package conformance

import "time"

var leakChecks = []check{
	{name: "open-close-cycles", topic: "leaks", rows: []int{38},
		promise: "Opening and closing again and again leaves no goroutine, connection or file descriptor behind.",
		serial:  true,
		run:     openCloseCycles},
	{name: "failed-opens", topic: "leaks", rows: []int{38},
		promise: "Opening that fails leaves no goroutine, connection or file descriptor behind.",
		needs:   []need{connection}, serial: true,
		run: failedOpens},
	{name: "many-sends", topic: "leaks", rows: []int{38},
		promise: "Sending uses a few connections, not one for each message.",
		needs:   []need{connection},
		run:     manySends},
}

func openCloseCycles(t *trial) {
	before := -1
	for i := 0; i < t.pick(20, 200); i++ {
		l := t.open(setup{})
		in := l.receive(accept)
		if !t.caps.Lossy {
			l.send(text(0))
			in.waitFor(text(0))
		}
		t.must(l.publisher.Close(), "Publisher.Close")
		t.must(l.producer.Close(), "Producer.Close")
		t.must(l.subscriber.Close(), "Subscriber.Close")
		t.must(l.consumer.Close(), "Consumer.Close")
		in.ended()
		for _, side := range []string{"producer", "consumer"} {
			t.connectionsGone(side)
			if p := t.proxy(side); p != nil && t.caps.NoServer {
				p.Close()
			}
		}
		if t.Failed() {
			return
		}
		if i == 0 {
			before = sockets()
		}
	}
	t.noSockets(before)
}

func failedOpens(t *trial) {
	url := t.deadURL()
	for i := 0; i < t.pick(5, 50); i++ {
		if producing, _ := t.opens(Settings{URL: url, Timeout: time.Second}); producing == nil {
			t.fatal("expected an error from a server that is down, got nil")
		}
	}
}

func manySends(t *trial) {
	l := t.open(setup{})
	in := l.receive(accept)
	n := t.pick(300, 10000)
	l.send(texts(0, n)...)
	in.waitFor(texts(0, n)...)
	if got := t.proxy("producer").Accepted(); got > 20 {
		t.fail("expected a few connections for %d messages, there were %d", n, got)
	}
}
