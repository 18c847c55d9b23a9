package conformance

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
)

// setup is what a check wants of a link beyond the defaults.
type setup struct {
	Settings
	Channel
	address string
	// producer and consumer change one side's settings only.
	producer, consumer func(*Settings)
}

// link is a publisher and a subscriber of one address, each on a connection of
// its own. What a check does not close is closed at its end.
type link struct {
	t       *trial
	setup   setup
	address string
	url     string // where the consumer listens, with NoServer

	producer   *openProducer
	publisher  *openPublisher
	consumer   *openConsumer
	subscriber *openSubscriber
}

// open opens a link, the subscriber first.
func (t *trial) open(s setup) *link {
	t.Helper()
	l := &link{t: t, setup: s, address: s.address}
	if l.address == "" {
		l.address = t.address()
	}
	// Other checks, and earlier runs, have groups of the same name.
	l.setup.Group, l.setup.Session = l.own(s.Group), l.own(s.Session)
	l.openConsumer()
	l.openProducer()
	return l
}

// own makes a name that belongs to the link's address.
func (l *link) own(name string) string {
	if name == "" {
		return ""
	}
	return name + "-" + strings.Map(func(r rune) rune {
		if r < '0' || r > '9' && r < 'A' || r > 'Z' && r < 'a' || r > 'z' {
			return '-'
		}
		return r
	}, l.address)
}

func (l *link) openConsumer() {
	l.t.Helper()
	settings := l.settings("consumer", l.setup.consumer)
	settings.URL = l.url
	if !l.t.caps.NoServer {
		settings.URL = l.t.serverURL("consumer", l.setup.URL)
	}
	c, err := l.t.newConsumer(settings)
	l.t.must(err, "NewConsumer")
	l.consumer = c
	l.subscriber = l.subscribe(l.address)
	if l.t.caps.NoServer {
		l.url = c.url()
	}
}

func (l *link) openProducer() {
	l.t.Helper()
	settings := l.settings("producer", l.setup.producer)
	settings.URL = l.producerURL()
	p, err := l.t.newProducer(settings)
	l.t.must(err, "NewProducer")
	l.producer = p
	l.publisher = l.publish(l.address)
}

// producerURL is the server's, or the consumer's where there is no server.
func (l *link) producerURL() string {
	switch {
	case !l.t.caps.NoServer:
		return l.t.serverURL("producer", l.setup.URL)
	case l.t.caps.NoConnection:
		return l.url
	}
	return l.t.through("producer", l.url)
}

// serverURL gives a URL of the server through a side's proxy.
func (t *trial) serverURL(side, url string) string {
	t.Helper()
	if url == "" {
		url = t.d.broker.URL
	}
	return t.through(side, url)
}

func (l *link) settings(side string, change func(*Settings)) Settings {
	s := l.setup.Settings
	if l.setup.Group != "" && side == "consumer" && s.Session == "" {
		s.Session = l.setup.Group
	}
	if side != "consumer" {
		s.Session = ""
	}
	if s.Session != "" {
		// A session is the server's, not the address's: those of other checks,
		// and of earlier runs, must not be taken up.
		s.Session += "-" + l.address
	}
	if change != nil {
		change(&s)
	}
	return l.t.settings(s)
}

// settings fills in what a check has left open.
func (t *trial) settings(s Settings) Settings {
	if s.Timeout == 0 {
		s.Timeout = t.timeout
	}
	if s.Backoff == 0 {
		s.Backoff = 100 * time.Millisecond
	}
	return s
}

// publish opens one more publisher of the link's producer.
func (l *link) publish(address string) *openPublisher {
	l.t.Helper()
	p, err := l.producer.open(l.t.ctx, address, l.setup.Channel)
	l.t.must(err, "Publisher")
	return p
}

// subscribe opens one more subscriber of the link's consumer.
func (l *link) subscribe(address string) *openSubscriber {
	l.t.Helper()
	s, err := l.consumer.open(l.t.ctx, address, l.setup.Channel)
	l.t.must(err, "Subscriber")
	return s
}

// also gives a link of another address on the same connections.
func (l *link) also(address string) *link {
	l.t.Helper()
	other := *l
	other.address = address
	other.subscriber = l.subscribe(address)
	other.publisher = l.publish(address)
	return &other
}

// reopenConsumer closes the consuming side and opens it again, as a restarted
// program does.
func (l *link) reopenConsumer() {
	l.t.Helper()
	l.t.must(l.subscriber.Close(), "Subscriber.Close")
	l.t.must(l.consumer.Close(), "Consumer.Close")
	l.openConsumer()
}

// send sends the texts one by one and fails unless every Send returns nil.
func (l *link) send(payloads ...string) {
	l.t.Helper()
	for _, payload := range payloads {
		l.t.must(l.publisher.Send(l.t.ctx, l.t.envelope(payload)), "Send")
	}
}

// sendAside sends the texts in another goroutine, for messages whose handlers
// will not return soon: where Send waits for the handler each has a goroutine.
// The function it returns waits for the end and gives the errors joined.
func (l *link) sendAside(payloads ...string) func() error {
	envelopes := make([]EnvelopeOut, len(payloads))
	for i, payload := range payloads {
		envelopes[i] = l.t.envelope(payload)
	}
	return l.sendEach(envelopes)
}

// spread is sendAside with a key of its own for each message.
func (l *link) spread(payloads ...string) func() error {
	envelopes := make([]EnvelopeOut, len(payloads))
	for i, payload := range payloads {
		envelopes[i] = l.t.envelope(payload)
		if l.t.d.setKey != nil {
			l.t.d.setKey(envelopes[i], fmt.Sprint("key-", i))
		}
	}
	return l.sendEach(envelopes)
}

func (l *link) sendEach(envelopes []EnvelopeOut) func() error {
	var group sync.WaitGroup
	errs := make([]error, len(envelopes))
	send := func(i int) { errs[i] = l.publisher.Send(l.t.ctx, envelopes[i]) }
	group.Add(1)
	go func() {
		defer group.Done()
		for i := range envelopes {
			if !l.t.caps.Answered {
				send(i)
				continue
			}
			group.Add(1)
			go func(i int) { defer group.Done(); send(i) }(i)
		}
	}()
	return func() error { group.Wait(); return errors.Join(errs...) }
}

// sendUntil sends a text in another goroutine, for a handler that closes the
// side that answers: where Send waits for it, Send goes on until the function
// that is returned makes it give up.
func (l *link) sendUntil(payload string) (giveUp func()) {
	ctx, cancel := context.WithCancel(l.t.ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		l.publisher.Send(ctx, l.t.envelope(payload))
	}()
	return func() {
		cancel()
		<-done
	}
}

func (t *trial) envelope(payload string) EnvelopeOut {
	e := t.d.newEnvelope()
	e.SetPayload([]byte(payload))
	return e
}
