package paho

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/eclipse/paho.golang/packets"
	"github.com/eclipse/paho.golang/paho"
	"github.com/eclipse/paho.golang/paho/session/state"
)

// outage is how long the server keeps a session that is not to outlive this
// program, so that being cut off for a while costs nothing.
const outage = 300 // seconds

// session is a session on the server, over as many connections as it takes.
// One goroutine, run, makes them and does all the publishing.
type session struct {
	server      server
	credentials credentials
	bindings    ServerBindings
	options     Options
	id          string
	state       *state.State
	automatic   bool // what is delivered is settled with that
	deliver     func(*line, *paho.Publish)
	cut         func() // called when a connection is gone, before the next one

	outbox  chan *record
	retry   chan struct{}
	stop    context.Context
	stopNow context.CancelFunc
	done    chan struct{} // closed when run has ended
	clean   bool          // the next connection asks for a new session

	mu      sync.Mutex
	line    *line // nil while there is no connection
	trouble error // why there is none
	failed  bool  // trying again would not help
	changed chan struct{}
	filters []filter
	pending []*record // handed over and without an answer, in order
}

// record is a message on its way out.
type record struct {
	packet *packets.Publish
	stored bool        // it is part of the session's state: run alone looks at it
	over   atomic.Bool // nobody waits for it any more
	answer chan packets.ControlPacket
	done   chan error // where there is no answer
}

// end tells what became of a record without an answer of the server.
func (r *record) end(err error) {
	if !r.over.Swap(true) {
		r.done <- err
	}
}

// newSession parses, but connects to nobody.
func newSession(serverURL string, bindings *ServerBindings, options *Options) (*session, error) {
	s := &session{options: options.withDefaults()}
	var err error
	if s.server, err = parseServer(serverURL); err != nil {
		return nil, err
	}
	if s.bindings, err = bindings.checked(); err == nil {
		s.credentials, err = s.options.credentials(s.server)
	}
	if err != nil {
		return nil, fmt.Errorf("mqtt: %w", err)
	}
	if s.id = s.bindings.ClientID; s.id == "" {
		s.id = randomName()
	}
	return s, nil
}

// another is a session for the same server under another client id.
func (s *session) another(id string) *session {
	b := s.bindings
	if id != s.id {
		b.LastWill = nil // one client dies once
	}
	return &session{server: s.server, credentials: s.credentials, bindings: b, options: s.options, id: id}
}

// persistent tells whether the session is to outlive this client.
func (s *session) persistent() bool {
	return s.bindings.CleanSession != nil && !*s.bindings.CleanSession
}

// expiry is how long the server keeps the session without a connection.
func (s *session) expiry() uint32 {
	switch {
	case s.bindings.SessionExpiryInterval != nil:
		return uint32(*s.bindings.SessionExpiryInterval)
	case s.persistent():
		return math.MaxUint32
	}
	return outage
}

// open makes the first connection.
func (s *session) open(ctx context.Context, filters ...filter) error {
	s.state = state.NewInMemory()
	s.outbox = make(chan *record)
	s.retry = make(chan struct{}, 1)
	s.done = make(chan struct{})
	s.changed = make(chan struct{})
	s.filters = filters
	s.clean = !s.persistent()
	s.stop, s.stopNow = context.WithCancel(context.Background())
	l, err := s.dial(ctx)
	if err != nil {
		s.stopNow()
		return fmt.Errorf("connect to %s: %w", s.server.address, classify(err))
	}
	s.line = l
	go s.run(l)
	return nil
}

// dial connects, logs in and subscribes.
func (s *session) dial(ctx context.Context) (*line, error) {
	ctx, cancel := context.WithTimeout(ctx, s.options.Timeout)
	defer cancel()
	hello, err := s.hello(ctx)
	if err != nil {
		return nil, err
	}
	conn, err := s.server.dial(ctx, &s.options, s.credentials)
	if err != nil {
		return nil, err
	}
	l := newLine(conn, s.options.Timeout)
	config := paho.ClientConfig{
		Conn:          l,
		Session:       lineSession{s.state, l, s.automatic},
		PingHandler:   keepAlive{paho.NewDefaultPinger(), l},
		PacketTimeout: s.options.Timeout,
		OnPublishReceived: []func(paho.PublishReceived) (bool, error){func(p paho.PublishReceived) (bool, error) {
			s.deliver(l, p.Packet)
			return true, nil
		}},
		OnServerDisconnect: func(*paho.Disconnect) {}, // ConnectionLost has told
	}
	if s.options.Native != nil {
		s.options.Native(&config, hello)
	}
	l.client = paho.NewClient(config)
	ack, err := l.client.Connect(ctx, hello)
	if err != nil {
		if cause := context.Cause(l.ended); errors.Is(cause, io.EOF) {
			err = fmt.Errorf("%w (a server hangs up like this that expects TLS, a login, or MQTT 3.1.1)", cause)
		}
		if ack != nil && ack.ReasonCode >= 0x80 {
			p := packets.Connack{ReasonCode: ack.ReasonCode}
			err = reason("CONNACK", ack.ReasonCode, &packets.Properties{ReasonString: ack.Properties.ReasonString}, p.Reason())
		}
		l.Close()
		return nil, err
	}
	l.resumed, l.limits = ack.SessionPresent, ack.Properties
	s.mu.Lock()
	filters := slices.Clone(s.filters)
	s.mu.Unlock()
	for _, f := range filters {
		if err := l.subscribe(ctx, f); err != nil {
			l.hangUp()
			return nil, err
		}
	}
	s.clean = false
	return l, nil
}

// hello is the CONNECT packet.
func (s *session) hello(ctx context.Context) (*paho.Connect, error) {
	expiry, ahead := s.expiry(), uint16(s.options.ReceiveMaximum)
	p := &paho.Connect{
		ClientID: s.id, CleanStart: s.clean, KeepAlive: 15,
		Properties: &paho.ConnectProperties{
			SessionExpiryInterval: &expiry, ReceiveMaximum: &ahead,
			MaximumPacketSize: s.bindings.MaximumPacketSize.uint32(), RequestProblemInfo: true,
		},
	}
	if s.bindings.KeepAlive != nil {
		p.KeepAlive = uint16(*s.bindings.KeepAlive)
	}
	if w := s.bindings.LastWill; w != nil {
		p.WillMessage = &paho.WillMessage{Topic: w.Topic, QoS: byte(w.QoS), Retain: w.Retain, Payload: []byte(w.Message)}
	}
	if user := s.credentials.user; user != nil {
		p.UsernameFlag, p.Username = true, *user
	}
	password := s.credentials.password
	if s.credentials.token != nil {
		token, err := s.credentials.token(ctx)
		if err != nil {
			return nil, fmt.Errorf("token: %w", err)
		}
		password = &token
	}
	if password != nil {
		p.PasswordFlag, p.Password = true, []byte(*password)
	}
	return p, nil
}

// run keeps the session connected until close.
func (s *session) run(l *line) {
	defer close(s.done)
	for attempt := 0; ; attempt++ {
		var err error
		if l == nil {
			l, err = s.dial(s.stop)
		}
		if l != nil {
			since := time.Now()
			s.up(l)
			err = s.serve(l)
			if s.stop.Err() == nil {
				s.down(err)
			}
			l.hangUp()
			s.cut()
			l = nil
			// One that did not last is no reason to try faster.
			if time.Since(since) > s.options.MaxBackoff {
				attempt = 0
			}
		}
		if s.stop.Err() == nil {
			if final(err) {
				s.fail(err)
			} else {
				s.down(err)
				sleep(s.stop, s.options.backoff(attempt))
			}
		}
		if s.stop.Err() != nil {
			return
		}
	}
}

// serve publishes until the connection ends, and tells why.
func (s *session) serve(l *line) error {
	s.mu.Lock()
	again := slices.Clone(s.pending)
	s.mu.Unlock()
	for _, r := range again {
		// The library has sent again what belongs to a session that goes on.
		if r.stored = r.stored && l.resumed; !r.stored {
			s.transmit(l, r)
		}
	}
	for {
		select {
		case r := <-s.outbox:
			s.keep(r)
			s.transmit(l, r)
		case <-l.ended.Done():
			err := context.Cause(l.ended)
			if poisoned(err) && s.automatic {
				s.clean = true // or a message that nobody waits for would be sent again and again
			}
			return err
		case <-s.stop.Done():
			var expiry *uint32
			if !s.persistent() && s.bindings.SessionExpiryInterval == nil {
				expiry = new(uint32)
			}
			l.goodbye(expiry, s.options.Timeout)
			return ErrClosed
		}
	}
}

// poisoned tells whether the server ended the connection over a packet that it
// will never take.
func poisoned(err error) bool {
	var r *ReasonError
	if !errors.As(err, &r) || r.Packet != "DISCONNECT" {
		return false
	}
	switch r.Code {
	case 0x81, 0x82, 0x90, 0x94, 0x95, 0x99, 0x9A, 0x9B:
		return true
	}
	return false
}

// transmit sends a record, or leaves it for the next connection.
func (s *session) transmit(l *line, r *record) {
	if r.over.Load() || l.ended.Err() != nil {
		return
	}
	if err := l.accepts(r.packet); err != nil {
		r.end(err)
		return
	}
	if r.packet.QoS == 0 {
		if _, _ = r.packet.WriteTo(l); l.ended.Err() == nil {
			r.end(nil)
		}
		return
	}
	// It waits here while the server has as many messages as it takes at once.
	if s.state.AddToSession(s.stop, r.packet, r.answer) == nil {
		r.stored = true
		_, _ = r.packet.WriteTo(l) // an error ends the line
	}
}

func (s *session) keep(r *record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pending = append(s.pending, r)
}

// hand gives a packet to run.
func (s *session) hand(ctx context.Context, p *packets.Publish) (*record, error) {
	r := &record{packet: p, answer: make(chan packets.ControlPacket, 2), done: make(chan error, 1)}
	select {
	case s.outbox <- r:
		return r, nil
	case <-ctx.Done():
		return nil, s.gaveUp(ctx)
	case <-s.stop.Done():
		return nil, ErrClosed
	}
}

// answer waits for what the server says to a record.
func (s *session) answer(ctx context.Context, r *record) error {
	defer func() {
		r.over.Store(true)
		s.mu.Lock()
		defer s.mu.Unlock()
		if i := slices.Index(s.pending, r); i >= 0 {
			s.pending = slices.Delete(s.pending, i, i+1)
		}
	}()
	select {
	case err := <-r.done:
		return err
	case a := <-r.answer:
		switch p := a.Content.(type) {
		case *packets.Puback:
			if p.ReasonCode >= 0x80 {
				return reason("PUBACK", p.ReasonCode, p.Properties, p.Reason())
			}
		case *packets.Pubrec: // the library takes a refusal of QoS 2 for success
			if p.ReasonCode >= 0x80 {
				return reason("PUBREC", p.ReasonCode, p.Properties, p.Reason())
			}
		}
		return nil
	case <-ctx.Done():
		return s.gaveUp(ctx)
	case <-s.done:
		return ErrClosed
	}
}

// gaveUp is ctx's error with the cause of the delay.
func (s *session) gaveUp(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.trouble == nil {
		return ctx.Err()
	}
	return fmt.Errorf("%w: %v", ctx.Err(), s.trouble)
}

// subscribe subscribes now and on every connection to come.
func (s *session) subscribe(ctx context.Context, f filter) error {
	s.mu.Lock()
	s.filters = append(s.filters, f)
	s.mu.Unlock()
	for {
		l, err := s.await(ctx)
		if err == nil {
			if err = l.subscribe(ctx, f); err != nil && l.ended.Err() != nil && !final(err) {
				continue
			}
		}
		if err != nil {
			s.mu.Lock()
			s.filters = slices.DeleteFunc(s.filters, func(g filter) bool { return g == f })
			s.mu.Unlock()
		}
		return err
	}
}

// await waits for a connection.
func (s *session) await(ctx context.Context) (*line, error) {
	for {
		s.mu.Lock()
		l, trouble, failed, changed := s.line, s.trouble, s.failed, s.changed
		s.mu.Unlock()
		switch {
		case l != nil && l.ended.Err() == nil:
			return l, nil
		case failed:
			return nil, trouble
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, s.gaveUp(ctx)
		case <-s.stop.Done():
			return nil, ErrClosed
		}
	}
}

// up, down and fail say how the connection is, to the Logger once per state.

func (s *session) up(l *line) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.trouble != nil {
		s.options.Logger.Info("mqtt: connected again", "server", s.server.address, "session", s.id)
		if !l.resumed && !s.automatic {
			s.options.Logger.Warn("mqtt: the server has lost the session, and with it what it held for this subscriber", "session", s.id)
		}
	}
	s.set(l, nil, false)
}

func (s *session) down(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.trouble == nil {
		s.options.Logger.Warn("mqtt: no connection, trying again", "server", s.server.address, "session", s.id, "error", err)
	}
	s.set(nil, err, false)
}

// fail waits until somebody asks for another attempt, one that can't come too
// soon after this one.
func (s *session) fail(err error) {
	err = classify(err)
	soon := time.Now().Add(s.options.MaxBackoff)
	s.mu.Lock()
	s.options.Logger.Error("mqtt: refused, not trying again by itself", "server", s.server.address, "session", s.id, "error", err)
	for _, r := range s.pending {
		r.end(err)
	}
	s.pending = nil
	s.set(nil, err, true)
	s.mu.Unlock()
	for {
		select {
		case r := <-s.outbox:
			if time.Now().Before(soon) {
				r.end(err)
				continue
			}
			s.keep(r)
		case <-s.retry:
		case <-s.stop.Done():
		}
		return
	}
}

// set needs the lock.
func (s *session) set(l *line, trouble error, failed bool) {
	s.line, s.trouble, s.failed = l, trouble, failed
	close(s.changed)
	s.changed = make(chan struct{})
}

// native gives the library's client, nil while there is no connection.
func (s *session) native() *paho.Client {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.line == nil {
		return nil
	}
	return s.line.client
}

// status gives why the session will not come back by itself, nil if it may,
// and a channel that is closed when that changes.
func (s *session) status() (changed <-chan struct{}, failure error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed {
		return s.changed, s.trouble
	}
	return s.changed, nil
}

// tryAgain undoes fail.
func (s *session) tryAgain() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed {
		s.failed = false
		select {
		case s.retry <- struct{}{}:
		default:
		}
	}
}

// close ends the session in good order, within about Options.Timeout.
func (s *session) close() {
	s.stopNow()
	<-s.done
}
