package paho

import (
	"bytes"
	"sync"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// loose is how many messages of QoS 0 wait for a handler. Nothing holds their
// sender back; more are dropped, and the Logger is told.
const loose = 10_000

// inbox holds what has been delivered and is not yet settled, in the order it
// came. MQTT wants acknowledgements in that order (4.6), and has none that says
// no: a message is acknowledged when it and all before it are settled.
type inbox struct {
	session *session
	arrived chan struct{} // holds one token

	mu        sync.Mutex
	line      *line // the connection that can be acknowledged to
	unsettled []*delivery
	loose     int
	dropping  bool
}

type delivery struct {
	message mqtt.Message
	line    *line // that it came by
	state   deliveryState
}

type deliveryState int

const (
	waiting deliveryState = iota
	running
	settled
)

func newInbox(s *session) *inbox {
	b := &inbox{session: s, arrived: make(chan struct{}, 1)}
	s.deliver, s.cut, s.receives = b.put, b.cut, true
	return b
}

// put takes a message from the library, which must not have to wait.
func (b *inbox) put(l *line, m mqtt.Message) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.line = l
	if m.Duplicate() && b.again(l, m) {
		return
	}
	if m.Qos() == 0 {
		if b.loose == loose {
			if !b.dropping {
				b.session.options.Logger.Warn("mqtt: messages of QoS 0 are dropped, the handlers are too slow", "session", b.session.id, "waiting", loose)
			}
			b.dropping = true
			return
		}
		b.loose++
	}
	b.unsettled = append(b.unsettled, &delivery{message: m, line: l})
	b.wake()
}

// again recognizes a message that was delivered over an earlier connection and
// is still here: the server sends it again under the same packet identifier.
// Then it is acknowledged to the new connection, and not handled twice.
func (b *inbox) again(l *line, m mqtt.Message) bool {
	for _, d := range b.unsettled {
		if n := d.message; d.line != l && n.MessageID() == m.MessageID() && n.Qos() == m.Qos() && n.Topic() == m.Topic() && bytes.Equal(n.Payload(), m.Payload()) {
			d.line = l
			b.acknowledge()
			return true
		}
	}
	return false
}

// cut is called when the connection is gone. What came by it can't be
// acknowledged any more, unless the server sends it again.
func (b *inbox) cut() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.line = nil
}

// next gives the first message that waits for a handler.
func (b *inbox) next() *delivery {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, d := range b.unsettled {
		if d.state == waiting {
			d.state = running
			return d
		}
	}
	return nil
}

// release takes back a message whose handling has ended.
func (b *inbox) release(d *delivery, done bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !done {
		d.state = waiting
		b.wake()
		return
	}
	d.state = settled
	if d.message.Qos() == 0 {
		b.loose--
		b.dropping = false
	}
	b.acknowledge()
}

// acknowledge lets go of what is settled, as far as nothing before it is not.
func (b *inbox) acknowledge() {
	for len(b.unsettled) > 0 && b.unsettled[0].state == settled {
		d := b.unsettled[0]
		b.unsettled = b.unsettled[1:]
		if d.message.Qos() > 0 && d.line == b.line {
			d.line.acknowledge(d.message)
		}
	}
}

func (b *inbox) wake() {
	select {
	case b.arrived <- struct{}{}:
	default:
	}
}
