package paho

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/eclipse/paho.mqtt.golang/packets"
)

// session is a client of the server, over as many connections as it takes: the
// library's own reconnecting would confirm what was lost, and acknowledge to
// another connection than the message came by. One goroutine, run, makes the
// connections and does all the publishing.
type session struct {
	server      server
	credentials credentials
	bindings    ServerBindings
	options     Options
	id          string
	store       *store
	receives    bool
	deliver     func(*line, mqtt.Message)
	cut         func() // called when a connection is gone, before the next one

	outbox  chan *record
	retry   chan struct{}
	stop    context.Context
	stopNow context.CancelFunc
	done    chan struct{} // closed when run has ended

	mu         sync.Mutex
	line       *line // nil while there is no connection
	trouble    error // why there is none
	failed     bool  // trying again would not help
	changed    chan struct{}
	filters    []filter
	subscribed bool      // the server has had the filters
	pending    []*record // handed over and without an answer, in order
}

// record is a message on its way out.
type record struct {
	packet *packets.PublishPacket
	stored bool        // the library has it: run alone looks at it
	over   atomic.Bool // nobody waits for it any more
	done   chan error
}

// end tells what became of a record.
func (r *record) end(err error) {
	if r != nil && !r.over.Swap(true) {
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

// open makes the first connection.
func (s *session) open(ctx context.Context, filters ...filter) error {
	s.store = newStore()
	s.outbox = make(chan *record)
	s.retry = make(chan struct{}, 1)
	s.done = make(chan struct{})
	s.changed = make(chan struct{})
	s.filters = filters
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
	if s.store.forget(); !s.persistent() {
		s.store = newStore() // serve sends again what is pending
	}
	l := newLine(s.options.Timeout)
	options, err := s.clientOptions(ctx, l)
	if err != nil {
		return nil, err
	}
	l.client = mqtt.NewClient(options)
	token := l.client.Connect().(*mqtt.ConnectToken)
	<-token.Done() // it ends with ctx: all that it waits for does
	if l.keep != nil {
		l.keep()
	}
	if err := token.Error(); err != nil {
		if ctx.Err() != nil {
			err = fmt.Errorf("%w: %w", ctx.Err(), err)
		}
		if errors.Is(context.Cause(l.ended), io.EOF) {
			err = fmt.Errorf("%w (a server hangs up like this that expects TLS, or a login)", err)
		}
		l.Close()
		return nil, err
	}
	if l.ended.Err() != nil {
		// The library closes the connection over a code that it does not know,
		// and says that all is well.
		l.hangUp()
		return nil, fmt.Errorf("the answer to CONNECT is none of MQTT 3.1.1's, or the connection is gone: %w", context.Cause(l.ended))
	}
	l.resumed = token.SessionPresent()
	s.mu.Lock()
	filters, again := slices.Clone(s.filters), l.resumed && s.subscribed
	s.mu.Unlock()
	for _, f := range filters {
		if again {
			break // the server would send its retained messages again
		}
		if err := l.subscribe(ctx, f); err != nil {
			l.hangUp()
			return nil, err
		}
	}
	s.mu.Lock()
	s.subscribed = len(filters) > 0
	s.mu.Unlock()
	return l, nil
}

// clientOptions configure a client of the library for one connection.
func (s *session) clientOptions(ctx context.Context, l *line) (*mqtt.ClientOptions, error) {
	o := mqtt.NewClientOptions().AddBroker("tcp://" + s.server.address).SetClientID(s.id).SetProtocolVersion(4).
		SetCleanSession(!s.persistent()).SetStore(s.store).SetAutoReconnect(false).SetAutoAckDisabled(true).
		SetConnectTimeout(s.options.Timeout).SetKeepAlive(15 * time.Second)
	if s.bindings.KeepAlive != nil {
		o.SetKeepAlive(time.Duration(*s.bindings.KeepAlive) * time.Second)
	}
	o.SetPingTimeout(time.Duration(max(o.KeepAlive, 1)) * time.Second)
	if w := s.bindings.LastWill; w != nil {
		o.SetBinaryWill(w.Topic, []byte(w.Message), byte(w.QoS), w.Retain)
	}
	user, password, err := s.credentials.get(ctx, s.id)
	if err != nil {
		return nil, err
	}
	o.SetUsername(user).SetPassword(password)
	o.SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) { s.deliver(l, m) })
	o.SetConnectionLostHandler(func(_ mqtt.Client, err error) {
		l.end(err)
		close(l.lost)
	})
	o.SetCustomOpenConnectionFn(func(*url.URL, mqtt.ClientOptions) (net.Conn, error) {
		conn, err := s.server.dial(ctx, &s.options, s.credentials)
		if err != nil {
			return nil, err
		}
		l.Conn, l.keep = conn, context.AfterFunc(ctx, func() { conn.Close() })
		return l, nil
	})
	if s.options.Native != nil {
		s.options.Native(o)
	}
	return o, nil
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
		// The library has sent again what it has kept for the session.
		if r.stored = r.stored && s.persistent(); !r.stored {
			s.transmit(l, r)
		}
	}
	for {
		select {
		case r := <-s.outbox:
			s.keep(r)
			s.transmit(l, r)
		case <-l.ended.Done():
			return context.Cause(l.ended)
		case <-s.stop.Done():
			l.goodbye()
			return ErrClosed
		}
	}
}

// transmit sends a record, or leaves it for the next connection.
func (s *session) transmit(l *line, r *record) {
	if r.over.Load() || l.ended.Err() != nil {
		return
	}
	publish := func() mqtt.Token {
		return l.client.Publish(r.packet.TopicName, r.packet.Qos, r.packet.Retain, r.packet.Payload)
	}
	if r.packet.Qos == 0 {
		if l.wait(s.stop, publish()) == nil {
			r.end(nil)
		}
		return
	}
	select {
	case s.store.slots <- struct{}{}:
	case <-l.ended.Done():
		return
	case <-s.stop.Done():
		return
	}
	r.stored = s.store.hand(r, func() { publish() })
}

func (s *session) keep(r *record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pending = append(s.pending, r)
}

// hand gives a packet to run.
func (s *session) hand(ctx context.Context, p *packets.PublishPacket) (*record, error) {
	r := &record{packet: p, done: make(chan error, 1)}
	select {
	case s.outbox <- r:
		return r, nil
	case <-ctx.Done():
		return nil, s.gaveUp(ctx)
	case <-s.stop.Done():
		return nil, ErrClosed
	}
}

// answer waits for what becomes of a record.
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
		if err == nil {
			s.mu.Lock()
			s.subscribed = true
			s.mu.Unlock()
		} else {
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
		if !l.resumed && s.receives {
			s.options.Logger.Warn("mqtt: a new session: what was sent meanwhile is missed", "session", s.id)
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
func (s *session) native() mqtt.Client {
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
