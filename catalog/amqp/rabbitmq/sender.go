package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// message is on its way to the server, for the Send that waits for it.
type message struct {
	exchange, key string
	mandatory     bool
	properties    amqp.Publishing
	header        int // bytes of the properties on the wire, at most

	ctx  context.Context // the Send's
	done chan error
	by   *outlet // that confirmed it, to be read when it is done

	// alone: the server broke the channel over this message or one of those
	// that were on their way with it. Sent one by one, it shows which it is.
	alone bool
}

func (m *message) answer(err error) { m.done <- err }

// sender publishes messages over one channel at a time, in order, and sends
// what one channel did not confirm again over the next.
type sender struct {
	link    *link
	prepare func(context.Context, *session) error // declares what is needed
	replies func(amqp.Delivery)                   // takes replies, nil without any
	repeat  bool                                  // prepare makes up for what was deleted

	stop    context.Context // done when Close has waited long enough
	stopNow context.CancelFunc
	work    sync.WaitGroup

	mu      sync.Mutex
	outlet  *outlet
	queue   []*message // not on a channel, in order
	running bool
}

func newSender(l *link, prepare func(context.Context, *session) error) *sender {
	s := &sender{link: l, prepare: prepare, repeat: !l.options.NoDeclare}
	s.stop, s.stopNow = context.WithCancel(l.stop)
	return s
}

// send enqueues messages, of which some may be nil.
func (s *sender) send(messages ...*message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range messages {
		if m != nil {
			s.queue = append(s.queue, m)
		}
	}
	s.wake()
}

// wake is called with mu held.
func (s *sender) wake() {
	if !s.running && len(s.queue) > 0 {
		s.running = true
		s.work.Add(1)
		go s.run()
	}
}

// await waits for a message's result, or for its Send to end.
func (s *sender) await(ctx context.Context, m *message) error {
	select {
	case err := <-m.done:
		return classify(err)
	case <-ctx.Done():
		return s.gaveUp(ctx)
	}
}

// gaveUp is the error of a Send that ended without an answer.
func (s *sender) gaveUp(ctx context.Context) error {
	if s.stop.Err() != nil {
		return ErrClosed
	}
	if cause := s.link.delay(); cause != nil && !errors.Is(cause, ErrClosed) {
		return fmt.Errorf("%w: %w", ctx.Err(), classify(cause))
	}
	return ctx.Err()
}

// run ends when the queue is empty; the next Send starts it again.
func (s *sender) run() {
	defer s.work.Done()
	for s.waiting() {
		o, err := s.ready(s.stop)
		if err != nil {
			s.fail(err)
			continue
		}
		o.session.writable(s.stop)
		if m := s.next(o); m != nil {
			o.publish(m)
		}
	}
}

// waiting drops messages whose Send has ended, and tells whether others are
// left.
func (s *sender) waiting() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.queue) > 0 && s.queue[0].ctx.Err() != nil {
		s.queue = s.queue[1:]
	}
	s.running = len(s.queue) > 0
	return s.running
}

func (s *sender) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.queue {
		m.answer(err)
	}
	s.queue = nil
}

// next takes the next message, which the outlet has to publish.
func (s *sender) next(o *outlet) *attempt {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.queue) == 0 || s.queue[0].ctx.Err() != nil {
		return nil
	}
	a := o.register(s.queue[0])
	if a != nil {
		s.queue = s.queue[1:]
	}
	return a
}

// ready gives a channel that works.
func (s *sender) ready(ctx context.Context) (*outlet, error) {
	for attempts := 0; ; attempts++ {
		s.mu.Lock()
		o := s.outlet
		s.mu.Unlock()
		if over := s.ended(ctx); over != nil {
			return nil, over
		}
		if o != nil && o.alive() {
			return o, nil
		}
		n, err := s.link.get(ctx)
		if err == nil {
			if o, err = s.openOutlet(ctx, n); err == nil {
				s.mu.Lock()
				s.outlet = o
				s.mu.Unlock()
				continue
			}
		}
		if over := s.ended(ctx); over != nil {
			return nil, over
		}
		if final(err) {
			return nil, err
		}
		sleep(ctx, s.link.options.backoff(attempts))
	}
}

func (s *sender) ended(ctx context.Context) error {
	if s.stop.Err() != nil {
		return ErrClosed
	}
	return ctx.Err()
}

// close ends what is under way, and the channel, as far as the server answers
// before the deadline.
func (s *sender) close(deadline time.Time) {
	s.stopNow()
	s.mu.Lock()
	o := s.outlet
	s.mu.Unlock()
	if o != nil {
		o.session.closeChannel(o.channel, deadline)
	}
	done := make(chan struct{})
	go func() {
		s.work.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(time.Until(deadline)):
		// What still writes ends with the connection.
	}
}
