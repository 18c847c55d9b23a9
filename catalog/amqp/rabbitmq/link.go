package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// link is a connection that comes back: when one session has ended it opens
// the next, with another connection and other channels. The library's own
// recovery is not used: it keeps its channels, so that settling a message of the
// old session would settle another one of the new.
type link struct {
	server  server
	vhost   string
	options Options

	stop    context.Context // done when close begins
	stopNow context.CancelFunc
	keeping sync.WaitGroup

	mu      sync.Mutex
	current *session      // nil while there is none
	busy    bool          // a session is kept or looked for
	err     error         // why there is none
	changed chan struct{} // closed at the next change
}

// connect reaches the server and logs in, or says why it can't.
func connect(serverURL string, o Options) (*link, error) {
	s, err := parseServer(serverURL)
	if err != nil {
		return nil, err
	}
	l := newLink(s, s.vhost, o)
	if err := l.start(context.Background()); err != nil {
		l.close(time.Now())
		return nil, fmt.Errorf("amqp: connect to %s: %w%s", strings.Join(s.hosts, ","), classify(err), hint(err))
	}
	return l, nil
}

func newLink(s server, vhost string, o Options) *link {
	l := &link{server: s, vhost: vhost, options: o, changed: make(chan struct{})}
	l.stop, l.stopNow = context.WithCancel(context.Background())
	return l
}

// start opens the first session.
func (l *link) start(ctx context.Context) error {
	n, err := l.dial(ctx)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stop.Err() != nil {
		go n.close(time.Now())
		return ErrClosed
	}
	l.current, l.busy = n, true
	l.keeping.Add(1)
	go l.keep(n)
	return nil
}

// dial tries every host once, within Options.Timeout altogether.
func (l *link) dial(ctx context.Context) (*session, error) {
	ctx, cancel := context.WithTimeout(ctx, l.options.Timeout)
	defer cancel()
	defer context.AfterFunc(l.stop, cancel)()
	var errs []error
	for i, host := range l.server.hosts {
		deadline, _ := ctx.Deadline()
		share := time.Until(deadline) / time.Duration(len(l.server.hosts)-i)
		one, done := context.WithTimeout(ctx, share)
		n, err := dial(one, &l.options, l.server, host, l.vhost)
		done()
		if err == nil {
			return n, nil
		}
		errs = append(errs, err)
		if final(err) || ctx.Err() != nil {
			break
		}
	}
	return nil, errors.Join(errs...)
}

// keep opens a session after the other, until there is no point in another one.
func (l *link) keep(n *session) {
	defer l.keeping.Done()
	for n != nil {
		select {
		case <-n.gone:
		case <-l.stop.Done():
			return
		}
		n = l.renew(n.err)
	}
}

// renew opens the next session, nil when that is of no use.
func (l *link) renew(lost error) *session {
	log := l.options.Logger
	if lost != nil && l.stop.Err() == nil {
		log.Warn("amqp: connection lost, connecting again", "error", lost)
	}
	l.change(nil, true, lost)
	for attempt := 0; ; attempt++ {
		if !sleep(l.stop, l.options.backoff(attempt)) {
			l.change(nil, false, ErrClosed)
			return nil
		}
		n, err := l.dial(context.Background())
		switch {
		case err == nil:
			log.Info("amqp: connected again")
			l.change(n, true, nil)
			return n
		case final(err):
			log.Error("amqp: no connection, and trying again won't help", "error", err)
			l.change(nil, false, err)
			return nil
		}
		l.change(nil, true, err)
	}
}

func (l *link) change(n *session, busy bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.current, l.busy, l.err = n, busy, err
	close(l.changed)
	l.changed = make(chan struct{})
}

// get waits for a session that lives. Its error is ErrClosed, ctx's, or one
// that trying again won't help; the next call tries again all the same.
func (l *link) get(ctx context.Context) (*session, error) {
	for first := true; ; first = false {
		l.mu.Lock()
		n, busy, err, changed := l.current, l.busy, l.err, l.changed
		if first && !busy && l.stop.Err() == nil {
			l.busy = true
			l.keeping.Add(1)
			go l.keepAgain()
			busy = true
		}
		l.mu.Unlock()
		switch {
		case l.stop.Err() != nil:
			return nil, ErrClosed
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case n != nil && alive(n):
			return n, nil
		case !busy:
			return nil, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
		case <-l.stop.Done():
		}
	}
}

// keepAgain is keep after an error that ended it.
func (l *link) keepAgain() {
	if n := l.renew(nil); n != nil {
		l.keep(n)
		return
	}
	l.keeping.Done()
}

func alive(n *session) bool {
	select {
	case <-n.gone:
		return false
	default:
		return true
	}
}

// delay is why nothing is sent or received at the moment, nil where nothing is
// known to be wrong.
func (l *link) delay() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.current == nil {
		return l.err
	}
	return l.current.delay()
}

// native is the connection of the moment, nil while there is none.
func (l *link) native() *amqp.Connection {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.current == nil {
		return nil
	}
	return l.current.conn
}

// close ends the session and looks for no other.
func (l *link) close(deadline time.Time) {
	l.stopNow()
	l.keeping.Wait()
	l.mu.Lock()
	n := l.current
	l.current = nil
	l.mu.Unlock()
	if n != nil {
		n.close(deadline)
	}
}
