package franz

import (
	"context"
	"errors"
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"
)

// reader hands a partition's records to the handler, one after the other, while
// the partition is ours. So its settled offsets never have a hole.
type reader struct {
	session  *session
	id       int32
	work     context.Context // no new handler after it is done
	stop     context.CancelFunc
	handlers context.Context // what handlers get
	lost     context.CancelFunc
	running  sync.WaitGroup

	// Guarded by session.mu.
	queue     []*kgo.Record
	busy      bool // a goroutine works on the queue
	paused    bool // the library does not fetch
	gone      bool // to another member
	settled   kgo.EpochOffset
	committed int64
}

func (s *session) newReader(id int32) *reader {
	r := &reader{session: s, id: id}
	r.work, r.stop = context.WithCancel(s.work)
	r.handlers, r.lost = context.WithCancel(s.handlers)
	return r
}

// add is called with session.mu held.
func (r *reader) add(records []*kgo.Record) {
	if r.work.Err() != nil {
		return
	}
	if len(r.queue) > 0 && !r.paused {
		// The handler does not keep up.
		r.paused = true
		r.session.client.PauseFetchPartitions(map[string][]int32{r.session.subscriber.topic: {r.id}})
	}
	r.queue = append(r.queue, records...)
	if !r.busy {
		r.busy = true
		r.running.Go(r.run)
	}
}

// resume is called with session.mu held.
func (r *reader) resume() {
	if r.paused {
		r.paused = false
		r.session.client.ResumeFetchPartitions(map[string][]int32{r.session.subscriber.topic: {r.id}})
	}
}

// run ends when the queue is empty; add starts it again.
func (r *reader) run() {
	failures := 0 // in a row
	for {
		record := r.next()
		if record == nil {
			return
		}
		if !record.Attrs.IsControl() && !r.deliver(record) {
			sleep(r.work, r.session.subscriber.network.options.backoff(failures))
			failures++
			continue
		}
		failures = 0
		r.settle(record)
	}
}

func (r *reader) next() *kgo.Record {
	r.session.mu.Lock()
	defer r.session.mu.Unlock()
	if len(r.queue) > 0 && r.work.Err() == nil {
		return r.queue[0]
	}
	r.busy = false
	if len(r.queue) == 0 {
		r.queue = nil
		r.resume()
	}
	return nil
}

func (r *reader) settle(record *kgo.Record) {
	s := r.session
	s.mu.Lock()
	r.queue[0] = nil
	r.queue = r.queue[1:]
	r.settled = kgo.EpochOffset{Epoch: record.LeaderEpoch, Offset: record.Offset + 1}
	s.mu.Unlock()
	if s.subscriber.group != "" {
		s.settledSome()
		return
	}
	s.subscriber.mu.Lock()
	defer s.subscriber.mu.Unlock()
	s.subscriber.positions[r.id] = record.Offset + 1
}

// deliver runs the handler and tells whether the record is settled.
func (r *reader) deliver(record *kgo.Record) bool {
	select {
	case r.session.slots <- struct{}{}:
	case <-r.work.Done():
		return false
	}
	defer func() { <-r.session.slots }()
	if r.work.Err() != nil {
		return false
	}
	err := r.call(record)
	if err == nil {
		return true
	}
	what := "kafka: handler failed, the record comes again"
	if rejected(err) {
		what = "kafka: record rejected"
	}
	r.session.subscriber.network.options.Logger.Warn(what,
		"topic", record.Topic, "partition", record.Partition, "offset", record.Offset, "error", err)
	return rejected(err)
}

// call keeps a panic for Receive, which runs in the caller's goroutine.
func (r *reader) call(record *kgo.Record) (err error) {
	returned := false
	defer func() {
		if returned {
			return
		}
		v := recover()
		if v == nil {
			v = "kafka: the handler called runtime.Goexit"
		}
		r.session.mu.Lock()
		if r.session.panicked == nil {
			r.session.panicked = v
		}
		r.session.mu.Unlock()
		err = errors.New("the handler panicked")
		r.session.stop(err)
	}()
	err = r.session.handle(r.handlers, newEnvelopeIn(record))
	returned = true
	return err
}
