package segmentio

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
)

const (
	// commitInterval is the least time between two commits: the first settled
	// record is committed at once, those that follow together.
	commitInterval = 100 * time.Millisecond
	// fetchWait is how long the server holds the answer while it has nothing new.
	fetchWait = 500 * time.Millisecond
	// watchInterval is how often new partitions are looked for.
	watchInterval = 5 * time.Second
)

// errRebalance ends a session whose group changed; the next one begins at once.
var errRebalance = errors.New("the group rebalances")

// session reads the partitions of one generation: a goroutine for each, which
// waits for its handler before it takes the next record. So the settled offsets
// of a partition never have a hole.
type session struct {
	subscriber *Subscriber
	generation *generation
	handle     func(context.Context, *EnvelopeIn) error
	slots      chan struct{} // one for each handler that may run

	work     context.Context // no new handler after it is done
	stop     context.CancelCauseFunc
	handlers context.Context // what handlers get
	lost     context.CancelFunc

	mu       sync.Mutex
	settled  map[int]int64 // next offsets that are not committed yet
	dirty    chan struct{}
	panicked any
}

func newSession(s *Subscriber, g *generation, handle func(context.Context, *EnvelopeIn) error) *session {
	return &session{
		subscriber: s, generation: g, handle: handle,
		slots:   make(chan struct{}, s.network.options.Concurrency),
		settled: map[int]int64{}, dirty: make(chan struct{}, 1),
	}
}

// run returns when active ends, the group changes, or something fails: after
// the handlers that run have returned and what they settled is committed.
func (s *session) run(ctx, active context.Context) error {
	s.handlers, s.lost = context.WithCancel(ctx)
	defer s.lost()
	defer context.AfterFunc(s.subscriber.abandoned, s.lost)()
	s.work, s.stop = context.WithCancelCause(active)
	defer s.stop(nil)

	var readers, keepers sync.WaitGroup
	keep, release := context.WithCancel(context.Background())
	start := func(wg *sync.WaitGroup, f func()) {
		wg.Add(1)
		go func() {
			defer wg.Done()
			f()
		}()
	}
	for id, offset := range s.generation.offsets {
		start(&readers, func() { s.read(id, offset) })
	}
	start(&keepers, func() { s.watch(s.work) })
	if s.subscriber.group != "" {
		// They outlive the readers: a member whose handlers take long must not
		// be thought dead.
		start(&keepers, func() { s.heartbeats(keep) })
		start(&keepers, func() { s.commits(keep) })
	}
	<-s.work.Done()
	readers.Wait()
	release()
	keepers.Wait()
	if err := s.subscriber.insist(s.commit); err != nil {
		s.subscriber.network.options.Logger.Warn("kafka: offsets not committed, their records will come again", "topic", s.subscriber.topic, "error", err)
	}
	if err := context.Cause(s.work); !errors.Is(err, errRebalance) {
		return err
	}
	return nil
}

// read hands a partition's records to the handler, one after the other.
func (s *session) read(id int, offset int64) {
	n := s.subscriber.network
	health := n.health()
	defer health.end()
	unreadable, unhandled := 0, 0 // failures in a row
	for s.work.Err() == nil {
		records, next, err := s.fetch(id, offset)
		if s.work.Err() != nil {
			return
		}
		health.report(err)
		if err != nil {
			if final(err) {
				s.stop(err)
				return
			}
			if kind(err) == ErrNotFound || errors.Is(err, kafka.NotLeaderForPartition) {
				n.refresh()
			}
			sleep(s.work, n.options.backoff(unreadable))
			unreadable++
			continue
		}
		unreadable = 0
		failed := false
		for _, m := range records {
			if failed = !s.deliver(m); failed {
				// Fetched again rather than kept: the handler may have changed it.
				next = m.Offset
				break
			}
			unhandled = 0
			s.settle(id, m.Offset+1)
		}
		if failed {
			sleep(s.work, n.options.backoff(unhandled))
			unhandled++
		} else if next > offset {
			s.settle(id, next) // past what is no record of anybody's
		}
		offset = next
	}
}

// fetch reads records from offset on, and tells where to go on: past the last
// record, or past what the server gives instead of one, such as the markers of
// a transaction or a batch whose records were all compacted away.
func (s *session) fetch(id int, offset int64) ([]kafka.Message, int64, error) {
	n, topic := s.subscriber.network, s.subscriber.topic
	if offset == kafka.FirstOffset {
		first, err := n.first(s.work, topic, id)
		return nil, first, err
	}
	response, err := n.client.Fetch(s.work, &kafka.FetchRequest{
		Topic: topic, Partition: id, Offset: offset,
		MinBytes: 1, MaxBytes: int64(n.options.MaxFetchBytes), MaxWait: min(fetchWait, n.options.Timeout/2),
	})
	if err == nil {
		err = response.Error
	}
	if errors.Is(err, kafka.OffsetOutOfRange) {
		// The records up to there were deleted, or the topic is a new one.
		first, err := n.first(s.work, topic, id)
		if err == nil {
			n.options.Logger.Warn("kafka: the offset is gone, going on at the first one", "topic", topic, "partition", id, "offset", offset, "first", first)
		}
		return nil, first, err
	}
	if err != nil {
		return nil, offset, err
	}
	stream, ok := response.Records.(*protocol.RecordStream)
	if !ok {
		return nil, offset, nil
	}
	next := offset
	var messages []kafka.Message
	for _, batch := range stream.Records {
		_, control := batch.(*protocol.ControlBatch)
		for {
			record, err := batch.ReadRecord()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return messages, next, err
			}
			m, err := message(record)
			if err != nil {
				return messages, next, err
			}
			if m.Offset < next {
				continue // a batch is given as a whole
			}
			next = m.Offset + 1
			if !control {
				m.Topic, m.Partition, m.HighWaterMark = topic, id, response.HighWatermark
				messages = append(messages, m)
			}
		}
	}
	if next == offset && len(stream.Records) > 0 && offset < response.HighWatermark {
		next++
	}
	return messages, next, nil
}

func message(r *kafka.Record) (kafka.Message, error) {
	for _, b := range []kafka.Bytes{r.Key, r.Value} {
		if b != nil {
			defer b.Close()
		}
	}
	m := kafka.Message{Offset: r.Offset, Time: r.Time, Headers: r.Headers}
	var err error
	if m.Key, err = kafka.ReadAll(r.Key); err == nil {
		m.Value, err = kafka.ReadAll(r.Value)
	}
	return m, err
}

// first reads the offset of a partition's first record.
func (n *network) first(ctx context.Context, topic string, id int) (int64, error) {
	response, err := n.client.ListOffsets(ctx, &kafka.ListOffsetsRequest{
		Topics: map[string][]kafka.OffsetRequest{topic: {kafka.FirstOffsetOf(id)}},
	})
	if err != nil {
		return kafka.FirstOffset, err
	}
	if len(response.Topics[topic]) != 1 {
		return kafka.FirstOffset, kafka.UnknownTopicOrPartition
	}
	p := response.Topics[topic][0]
	if p.Error != nil {
		return kafka.FirstOffset, p.Error
	}
	return p.FirstOffset, nil
}

// deliver runs the handler and tells whether the record is settled.
func (s *session) deliver(m kafka.Message) bool {
	select {
	case s.slots <- struct{}{}:
	case <-s.work.Done():
		return false
	}
	defer func() { <-s.slots }()
	if s.work.Err() != nil {
		return false
	}
	err := s.call(m)
	if err == nil {
		return true
	}
	settled, message := rejected(err), "kafka: handler failed, the record comes again"
	if settled {
		message = "kafka: record rejected"
	}
	s.subscriber.network.options.Logger.Warn(message, "topic", m.Topic, "partition", m.Partition, "offset", m.Offset, "error", err)
	return settled
}

// call keeps a panic for Receive, which runs in the caller's goroutine.
func (s *session) call(m kafka.Message) (err error) {
	returned := false
	defer func() {
		if returned {
			return
		}
		v := recover()
		if v == nil {
			v = "kafka: the handler called runtime.Goexit"
		}
		s.mu.Lock()
		if s.panicked == nil {
			s.panicked = v
		}
		s.mu.Unlock()
		err = errors.New("the handler panicked")
		s.stop(err)
	}()
	err = s.handle(s.handlers, &EnvelopeIn{message: m, unread: m.Value})
	returned = true
	return err
}

// settle notes the next offset of a partition.
func (s *session) settle(id int, next int64) {
	if s.subscriber.group == "" {
		s.subscriber.mu.Lock()
		s.subscriber.positions[id] = next
		s.subscriber.mu.Unlock()
		return
	}
	s.mu.Lock()
	s.settled[id] = next
	s.mu.Unlock()
	select {
	case s.dirty <- struct{}{}:
	default:
	}
}

// commit commits what is settled and keeps it where that fails.
func (s *session) commit(ctx context.Context) error {
	s.mu.Lock()
	offsets := s.settled
	s.settled = map[int]int64{}
	s.mu.Unlock()
	if len(offsets) == 0 {
		return nil
	}
	err := s.generation.commit(ctx, s.subscriber, offsets)
	if err == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, next := range offsets {
		s.settled[id] = max(s.settled[id], next)
	}
	return err
}

func (s *session) commits(ctx context.Context) {
	for failures := 0; ; {
		select {
		case <-s.dirty:
		case <-ctx.Done():
			return
		}
		wait := commitInterval
		if err := s.commit(ctx); err != nil {
			s.outcome(err)
			wait = s.subscriber.network.options.backoff(failures)
			failures++
			select {
			case s.dirty <- struct{}{}:
			default:
			}
		} else {
			failures = 0
		}
		if !sleep(ctx, wait) {
			return
		}
	}
}

// heartbeats tells the group that the member lives, and hears from it when its
// members change.
func (s *session) heartbeats(ctx context.Context) {
	o := s.subscriber.network.options
	for sleep(ctx, min(o.SessionTimeout/10, 3*time.Second)) {
		if err := s.generation.heartbeat(ctx, s.subscriber); err != nil {
			s.outcome(err)
		}
	}
}

// outcome is what an answer of the group means for the session.
func (s *session) outcome(err error) {
	switch {
	case ended(err):
		s.stop(errRebalance)
		s.lost() // the partitions are somebody else's
	case errors.Is(err, kafka.RebalanceInProgress):
		s.stop(errRebalance)
	case final(err):
		s.stop(err)
	}
}

// watch ends the session when the topic has grown, or is gone.
func (s *session) watch(ctx context.Context) {
	n := s.subscriber.network
	for sleep(ctx, min(watchInterval, n.options.Timeout/2)) {
		topic, err := n.topic(ctx, s.subscriber.topic)
		switch {
		case err == nil && len(topic.Partitions) > s.generation.count:
			s.stop(errRebalance)
		case kind(err) == ErrNotFound:
			s.stop(fmt.Errorf("topic: %w", err))
		}
	}
}
