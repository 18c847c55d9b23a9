package paho

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/eclipse/paho.golang/packets"
	"github.com/eclipse/paho.golang/paho"
	"github.com/eclipse/paho.golang/paho/session/state"
)

// line is one connection: the net.Conn that the library works on, and what the
// server said when it was made. It remembers why it ended.
type line struct {
	net.Conn
	client  *paho.Client
	resumed bool // the server still had the session
	limits  *paho.ConnackProperties
	timeout time.Duration
	ended   context.Context // done when the connection is; its cause tells why
	end     context.CancelCauseFunc

	writing sync.Mutex
	packet  []byte
}

func newLine(conn net.Conn, timeout time.Duration) *line {
	l := &line{Conn: conn, timeout: timeout}
	l.ended, l.end = context.WithCancelCause(context.Background())
	return l
}

// The library locks a net.Conn that is a sync.Locker, writes the pieces of one
// packet and unlocks it. They leave together, and a server that does not read
// can't hold them for ever.

func (l *line) Lock() { l.writing.Lock() }

func (l *line) Write(p []byte) (int, error) {
	l.packet = append(l.packet, p...)
	return len(p), nil
}

func (l *line) Unlock() {
	for rest := l.packet; len(rest) > 0; {
		piece := rest[:min(len(rest), 64<<10)]
		err := l.Conn.SetWriteDeadline(time.Now().Add(l.timeout))
		if err == nil {
			_, err = l.Conn.Write(piece)
		}
		if err != nil {
			l.end(err)
			l.Conn.Close()
			break
		}
		rest = rest[len(piece):]
	}
	if l.packet = l.packet[:0]; cap(l.packet) > 64<<10 {
		l.packet = nil
	}
	l.writing.Unlock()
}

func (l *line) Read(p []byte) (int, error) {
	n, err := l.Conn.Read(p)
	if err != nil {
		l.end(fmt.Errorf("connection lost: %w", err))
	}
	return n, err
}

func (l *line) Close() error {
	l.end(net.ErrClosed)
	return l.Conn.Close()
}

// keepAlive is the library's, which tells nobody in time why it ends the
// connection.
type keepAlive struct {
	*paho.DefaultPinger
	line *line
}

func (k keepAlive) Run(ctx context.Context, conn net.Conn, seconds uint16) error {
	err := k.DefaultPinger.Run(ctx, conn, seconds)
	if err != nil {
		k.line.end(fmt.Errorf("keep alive: %w", err))
	}
	return err
}

// lineSession is the session's state as one connection sees it.
type lineSession struct {
	*state.State
	line *line
	// automatic: what was delivered is settled with that.
	automatic bool
}

// Ack is called when the delivery has returned.
func (s lineSession) Ack(p *packets.Publish) error {
	if s.automatic && p.QoS > 0 {
		return s.State.Ack(p)
	}
	return nil
}

// ConnectionLost brings the server's reason, where it gave one.
func (s lineSession) ConnectionLost(d *packets.Disconnect) error {
	if d != nil {
		s.line.end(reason("DISCONNECT", d.ReasonCode, d.Properties, d.Reason()))
	}
	return s.State.ConnectionLost(d)
}

// filter is a subscription.
type filter struct {
	topic string
	qos   byte
}

func (l *line) subscribe(ctx context.Context, f filter) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(l.ended, cancel)()
	for {
		ack, err := l.client.Subscribe(ctx, &paho.Subscribe{Subscriptions: []paho.SubscribeOptions{{
			Topic: f.topic, QoS: f.qos, RetainHandling: packets.RetainSendOnSubscribeIfNew,
		}}})
		switch {
		case l.ended.Err() != nil:
			return context.Cause(l.ended)
		case ack != nil && len(ack.Reasons) != 1:
			return fmt.Errorf("subscribe: the server answers with %d reasons", len(ack.Reasons))
		case ack != nil && ack.Reasons[0] == packets.SubackPacketIdentifierinuse:
			// Some servers have one set of identifiers for both directions. The
			// next attempt has another one.
		case ack != nil && ack.Reasons[0] >= 0x80:
			p := packets.Suback{Reasons: ack.Reasons}
			return reason("SUBACK", ack.Reasons[0], &packets.Properties{ReasonString: ack.Properties.ReasonString}, p.Reason(0))
		case err != nil:
			return fmt.Errorf("subscribe: %w", err)
		case ack.Reasons[0] < f.qos:
			return fmt.Errorf("%w: the server grants QoS %d and not %d", ErrRefused, ack.Reasons[0], f.qos)
		default:
			return nil
		}
	}
}

// accepts tells whether the server takes such a message; sending it all the
// same would end the connection.
func (l *line) accepts(p *packets.Publish) error {
	if most := l.limits.MaximumQoS; most != nil && p.QoS > *most {
		return fmt.Errorf("%w: the server takes at most QoS %d", ErrRefused, *most)
	}
	if p.Retain && !l.limits.RetainAvailable {
		return fmt.Errorf("%w: the server retains nothing", ErrRefused)
	}
	if l.limits.MaximumPacketSize == nil && len(p.Payload) < 1<<27 {
		return nil
	}
	size := 0
	for _, b := range p.Buffers() {
		size += len(b)
	}
	most := uint32(268_435_455) // four groups of seven bits
	if l.limits.MaximumPacketSize != nil {
		most = min(most, *l.limits.MaximumPacketSize)
	}
	total := 2 + size
	for n := size; n >= 128; n /= 128 {
		total++
	}
	if uint32(total) > most {
		return fmt.Errorf("%w: a packet of %d bytes, the server takes %d", ErrTooLarge, total, most)
	}
	return nil
}

// goodbye ends the connection in good order. That the server ends it too shows
// that it has read all that was sent.
func (l *line) goodbye(expiry *uint32, timeout time.Duration) {
	d := packets.Disconnect{Properties: &packets.Properties{SessionExpiryInterval: expiry}}
	_, _ = d.WriteTo(l)
	if w, ok := l.Conn.(*webSocket); ok {
		w.goodbye()
	}
	select {
	case <-l.ended.Done():
	case <-time.After(timeout):
	}
	l.hangUp()
}

// hangUp returns when nothing of the connection is left.
func (l *line) hangUp() {
	l.Close()
	<-l.client.Done()
}
