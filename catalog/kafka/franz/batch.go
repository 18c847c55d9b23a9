package franz

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// attempts is how often the library sends a batch again on the server's word
// before it lets go of it, so that the cause of a long delay comes out.
const attempts = 2

// maxRecordBytes bounds a single record in the library; the server's limit is
// lower.
const maxRecordBytes = 64 << 20

// producing are the options of a client that sends. The producer is idempotent
// by the library's default: what it sends again by itself arrives once.
func producing(o *Options, compression kgo.CompressionCodec) []kgo.Opt {
	return []kgo.Opt{
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerBatchCompression(compression),
		kgo.ProducerBatchMaxBytes(maxRecordBytes),
		kgo.ProducerLinger(0),
		// The library waits for the sum before it takes a connection for dead.
		kgo.ProduceRequestTimeout(max(o.exchange()/2, 100*time.Millisecond)),
		kgo.RequestTimeoutOverhead(max(o.exchange()/2, 100*time.Millisecond)),
		kgo.RecordRetries(attempts),
		kgo.UnknownTopicRetries(attempts),
		// Without it a record that is under way when the server falls silent
		// keeps its partition busy until the server is back.
		kgo.AllowIdempotentProduceCancellation(),
		kgo.MaxBufferedRecords(1 << 30), // bounded by the lanes: one batch for each partition
	}
}

// record is a message on its way, and the Send that waits for it.
type record struct {
	message   *kgo.Record // the library's while it is under way
	partition partition
	size      int
	ctx       context.Context // the Send's
	done      chan error

	mu   sync.Mutex
	last error // why it is not there yet
}

func newRecord(ctx context.Context, m *kgo.Record) *record {
	const overhead = 70 // of a record, its batch and its headers on the wire, at most
	size := overhead + len(m.Key) + len(m.Value)
	for _, h := range m.Headers {
		size += 10 + len(h.Key) + len(h.Value)
	}
	return &record{message: m, partition: partition{m.Topic, m.Partition}, size: size, ctx: ctx, done: make(chan error, 1)}
}

func (r *record) failed(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last = err
}

func (r *record) cause() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last
}

type partition struct {
	topic string
	id    int32
}

// sender queues records before a client. The library fails all records that it
// holds for a partition together; here they wait where one that fails, or whose
// Send ends, takes no other along.
type sender struct {
	network *network

	mu     sync.Mutex
	topics map[string]partitions
	lanes  map[partition]*lane
	work   sync.WaitGroup
}

// partitions is a topic's number of partitions, for a few seconds.
type partitions struct {
	count int
	until time.Time
}

func newSender(n *network) *sender {
	return &sender{network: n, topics: map[string]partitions{}, lanes: map[partition]*lane{}}
}

func (s *sender) close() {
	s.network.close()
	s.work.Wait()
}

// partitions tells how many partitions a topic has. One that SetTopic named
// may have to be created.
func (s *sender) partitions(ctx context.Context, topic string) (int, error) {
	s.mu.Lock()
	known := s.topics[topic]
	s.mu.Unlock()
	if time.Now().Before(known.until) {
		return known.count, nil
	}
	for attempt := 0; ; attempt++ {
		t, err := s.network.topic(ctx, topic)
		if errors.Is(err, kerr.UnknownTopicOrPartition) {
			if err = s.network.declare(ctx, topic, nil); err == nil {
				t, err = s.network.topic(ctx, topic)
			}
		}
		if err == nil && len(t.Partitions) > 0 {
			s.mu.Lock()
			s.topics[topic] = partitions{len(t.Partitions), time.Now().Add(metadataAge)}
			s.mu.Unlock()
			return len(t.Partitions), nil
		}
		if final(err) || errors.Is(err, ErrNotFound) || !sleep(ctx, s.network.options.backoff(attempt)) {
			return 0, err
		}
	}
}

// lane sends the records of one partition, one batch at a time. That keeps
// their order, and what comes while a batch is under way makes the next one, so
// that no record waits for a timer.
type lane struct {
	sender  *sender
	wake    chan struct{} // told when a Send gives up
	queue   []*record     // guarded by sender.mu
	running bool          // guarded by sender.mu
}

func (s *sender) enqueue(records []*record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range records {
		if r == nil {
			continue
		}
		l := s.lanes[r.partition]
		if l == nil {
			l = &lane{sender: s, wake: make(chan struct{}, 1)}
			s.lanes[r.partition] = l
		}
		l.queue = append(l.queue, r)
		if !l.running {
			l.running = true
			s.work.Add(1)
			go l.run()
		}
	}
}

// wake tells a record's lane that its Send has ended.
func (s *sender) wake(r *record) {
	s.mu.Lock()
	l := s.lanes[r.partition]
	s.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// run ends when the queue is empty; the next Send starts it again.
func (l *lane) run() {
	defer l.sender.work.Done()
	health := l.sender.network.health()
	defer health.end()
	for {
		batch := l.take()
		if batch == nil {
			return
		}
		l.deliver(batch, health)
	}
}

func (l *lane) take() []*record {
	l.sender.mu.Lock()
	defer l.sender.mu.Unlock()
	size, n := 0, 0
	for n < len(l.queue) && (n == 0 || size+l.queue[n].size <= l.sender.network.options.MaxBatchBytes) {
		size += l.queue[n].size
		n++
	}
	if n == 0 {
		l.queue, l.running = nil, false
		return nil
	}
	batch := l.queue[:n:n]
	l.queue = l.queue[n:]
	return batch
}

// deliver sends a batch until the server has answered, or nobody waits for the
// answer any more.
func (l *lane) deliver(batch []*record, health *health) {
	n := l.sender.network
	for attempt := 0; ; attempt++ {
		batch = wanted(batch)
		if len(batch) == 0 {
			return
		}
		sent, err := l.produce(batch)
		if sent > 0 {
			attempt = 0
		}
		for _, r := range batch[:sent] {
			r.done <- nil
		}
		if err == nil {
			health.report(nil)
			return
		}
		if !errors.Is(err, context.Canceled) {
			health.report(err)
		}
		batch = batch[sent:]
		switch k := kind(err); {
		case len(batch) > 1 && (k == ErrTooLarge || k == ErrRefused):
			// The server refuses a batch as a whole: find out which record it is.
			for _, r := range batch {
				l.deliver([]*record{r}, health)
			}
			return
		case final(err):
			for _, r := range batch {
				r.done <- err
			}
			return
		case k == ErrNotFound:
			// The library does not see by itself that a topic is a new one of
			// the same name.
			n.client.PurgeTopicsFromProducing(batch[0].partition.topic)
		}
		for _, r := range batch {
			r.failed(err)
		}
		timer := time.NewTimer(n.options.backoff(attempt))
		select {
		case <-timer.C:
		case <-l.wake:
		case <-n.stop.Done():
		}
		timer.Stop()
	}
}

// wanted leaves out the records whose Send has ended.
func wanted(batch []*record) []*record {
	var keep []*record
	for _, r := range batch {
		if r.ctx.Err() == nil {
			keep = append(keep, r)
		}
	}
	return keep
}

// produce hands a batch to the library and tells how many of its records, from
// the first one on, the server has. It gives up when no Send waits any more: one
// that does must not suffer from another's end.
func (l *lane) produce(batch []*record) (int, error) {
	client := l.sender.network.client
	ctx, cancel := context.WithCancel(l.sender.network.stop)
	defer cancel()
	results := make(chan error, len(batch))
	promise := func(_ *kgo.Record, err error) { results <- err }
	for _, r := range batch {
		r.message.Context = nil // what an earlier attempt left there
		client.Produce(ctx, r.message, promise)
	}
	sent := 0
	var failure error
	for answered := 0; answered < len(batch); {
		select {
		case err := <-results:
			answered++
			if err == nil && failure == nil {
				sent++
			} else if failure == nil {
				failure = err
			}
		case <-l.wake:
			if len(wanted(batch)) == 0 {
				cancel()
			}
		}
	}
	return sent, l.sender.network.cause(failure)
}
