package streams

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/redis/go-redis/v9"
)

// message is one on its way, and the Send that waits for it.
type message struct {
	command []any
	size    int
	ctx     context.Context // the Send's
	done    chan error
}

// sender sends a Producer's messages over one connection, one pipeline at a
// time. That keeps their order, and what comes while a pipeline is under way
// makes the next one.
type sender struct {
	network *network
	queued  chan struct{} // told when the queue has something
	ended   chan struct{}

	mu    sync.Mutex
	queue []*message
	fault error // why messages are waiting
}

func newSender(n *network, l *link) *sender {
	s := &sender{network: n, queued: make(chan struct{}, 1), ended: make(chan struct{})}
	go s.run(l)
	return s
}

func (s *sender) enqueue(messages []*message) {
	s.mu.Lock()
	for _, m := range messages {
		if m != nil {
			s.queue = append(s.queue, m)
		}
	}
	s.mu.Unlock()
	select {
	case s.queued <- struct{}{}:
	default:
	}
}

// await waits for a message's result, or for its Send to end.
func (s *sender) await(ctx context.Context, m *message) error {
	select {
	case err := <-m.done:
		return classify(err)
	case <-ctx.Done():
	}
	err := ctx.Err()
	if errors.Is(context.Cause(ctx), ErrClosed) {
		err = ErrClosed
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fault != nil && !errors.Is(s.fault, err) {
		err = fmt.Errorf("%w: %w", err, classify(s.fault))
	}
	return err
}

// maxPipeline bounds the bytes of a pipeline; one message may be larger.
const maxPipeline = 1 << 20

func (s *sender) take() []*message {
	s.mu.Lock()
	defer s.mu.Unlock()
	size, n := 0, 0
	for n < len(s.queue) && (n == 0 || size < maxPipeline) {
		size += s.queue[n].size
		n++
	}
	batch := s.queue[:n:n]
	if s.queue = s.queue[n:]; len(s.queue) == 0 {
		s.queue = nil
	}
	return batch
}

func (s *sender) run(l *link) {
	defer close(s.ended)
	health := s.network.health()
	defer health.end()
	for s.network.stop.Err() == nil {
		batch := s.take()
		if len(batch) == 0 {
			select {
			case <-s.queued:
			case <-s.network.stop.Done():
			}
			continue
		}
		l = s.deliver(l, batch, health)
	}
	if l != nil {
		l.close()
	}
}

// deliver sends a batch until the server has answered, or nobody waits for the
// answer any more. It gives the connection for the next one.
func (s *sender) deliver(l *link, batch []*message, health *health) *link {
	stop := s.network.stop
	for attempt := 0; ; attempt++ {
		batch = wanted(batch)
		if len(batch) == 0 || stop.Err() != nil {
			return l
		}
		var err error
		fresh := l == nil
		if fresh {
			l, err = s.network.login(stop, 0)
		}
		if err == nil {
			batch, err = l.send(stop, batch)
		}
		health.report(err)
		s.mu.Lock()
		s.fault = err
		s.mu.Unlock()
		if err == nil {
			return l
		}
		if l != nil && !answered(err) {
			l.close()
			l = nil
		}
		if final(err) {
			for _, m := range batch {
				m.done <- err
			}
			return l
		}
		// A connection that was idle may have ended long ago: the next one is
		// tried at once.
		if fresh || answered(err) {
			sleep(stop, s.network.options.backoff(attempt))
		}
	}
}

// wanted leaves out the messages whose Send has ended.
func wanted(batch []*message) []*message {
	var keep []*message
	for _, m := range batch {
		if m.ctx.Err() == nil {
			keep = append(keep, m)
		}
	}
	return keep
}

// send gives the messages that have to be sent again, and why.
func (l *link) send(ctx context.Context, batch []*message) ([]*message, error) {
	pipeline := l.client.Pipeline()
	for _, m := range batch {
		_ = pipeline.Do(ctx, m.command...)
	}
	var results []redis.Cmder
	failed := l.during(ctx, func(ctx context.Context) (err error) {
		results, err = pipeline.Exec(ctx)
		return err
	})
	if failed != nil && !slices.ContainsFunc(results, func(c redis.Cmder) bool { return c.Err() != nil }) {
		return batch, failed // the library came to none of the commands
	}
	var again []*message
	var cause error
	for i, m := range batch {
		switch err := results[i].Err(); {
		case err == nil, answered(err) && kind(err) != nil:
			m.done <- err
		default:
			again, cause = append(again, m), err
		}
	}
	return again, cause
}
