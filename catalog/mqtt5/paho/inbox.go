package paho

import (
	"bytes"
	"sync"

	"github.com/eclipse/paho.golang/paho"
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
	publish *paho.Publish
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
	s.deliver, s.cut = b.put, b.cut
	return b
}

// put takes a message from the library, which must not have to wait.
func (b *inbox) put(l *line, p *paho.Publish) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.line = l
	if p.Duplicate() && b.again(l, p) {
		return
	}
	if p.QoS == 0 {
		if b.loose == loose {
			if !b.dropping {
				b.session.options.Logger.Warn("mqtt: messages of QoS 0 are dropped, the handlers are too slow", "session", b.session.id, "waiting", loose)
			}
			b.dropping = true
			return
		}
		b.loose++
	}
	b.unsettled = append(b.unsettled, &delivery{publish: p, line: l})
	b.wake()
}

// again recognizes a message that was delivered over an earlier connection and
// is still here: the server sends it again under the same packet identifier.
// Then it is acknowledged to the new connection, and not handled twice.
func (b *inbox) again(l *line, p *paho.Publish) bool {
	for _, d := range b.unsettled {
		if q := d.publish; d.line != l && q.PacketID == p.PacketID && q.QoS == p.QoS && q.Topic == p.Topic && bytes.Equal(q.Payload, p.Payload) {
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
	if d.publish.QoS == 0 {
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
		if d.publish.QoS > 0 && d.line == b.line {
			// An error means that the connection has ended: it comes again.
			_ = b.session.state.Ack(d.publish.Packet())
		}
	}
}

func (b *inbox) wake() {
	select {
	case b.arrived <- struct{}{}:
	default:
	}
}
