package segmentio

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"
)

// record is a message on its way, and the Send that waits for it.
type record struct {
	message kafka.Message
	size    int
	ctx     context.Context // the Send's
	done    chan error

	mu   sync.Mutex
	last error // why it is not there yet
}

func newRecord(ctx context.Context, m kafka.Message) *record {
	const overhead = 70 // of a record, its batch and its headers on the wire, at most
	size := overhead + len(m.Key) + len(m.Value)
	for _, h := range m.Headers {
		size += 10 + len(h.Key) + len(h.Value)
	}
	return &record{message: m, size: size, ctx: ctx, done: make(chan error, 1)}
}

func (r *record) failed(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last = err
}

// lane sends the records of one partition, one batch at a time. That keeps
// their order, and what comes while a batch is under way makes the next one, so
// that no record waits for a timer.
type lane struct {
	publisher *Publisher
	partition partition
	wake      chan struct{} // told when a Send gives up
	queue     []*record     // guarded by publisher.mu
	running   bool          // guarded by publisher.mu
}

func (p *Publisher) enqueue(records []*record) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range records {
		if r == nil {
			continue
		}
		id := partition{r.message.Topic, r.message.Partition}
		l := p.lanes[id]
		if l == nil {
			l = &lane{publisher: p, partition: id, wake: make(chan struct{}, 1)}
			p.lanes[id] = l
		}
		l.queue = append(l.queue, r)
		if !l.running {
			l.running = true
			p.work.Add(1)
			go l.run()
		}
	}
}

// await waits for a record's result, or for its Send to end.
func (p *Publisher) await(ctx context.Context, r *record) error {
	select {
	case err := <-r.done:
		return classify(err)
	case <-ctx.Done():
	}
	p.mu.Lock()
	l := p.lanes[partition{r.message.Topic, r.message.Partition}]
	p.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return p.gaveUp(ctx, r.last)
}

// gaveUp is the error of a Send that ended without an answer.
func (p *Publisher) gaveUp(ctx context.Context, cause error) error {
	err := ctx.Err()
	if p.stop.Err() != nil {
		err = ErrClosed
	}
	if cause != nil && !errors.Is(cause, err) {
		err = fmt.Errorf("%w: %w", err, classify(cause))
	}
	return err
}

// run ends when the queue is empty; the next Send starts it again.
func (l *lane) run() {
	defer l.publisher.work.Done()
	health := l.publisher.network.health()
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
	l.publisher.mu.Lock()
	defer l.publisher.mu.Unlock()
	size, n := 0, 0
	for n < len(l.queue) && (n == 0 || size+l.queue[n].size <= l.publisher.network.options.MaxBatchBytes) {
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
	for attempt := 0; ; attempt++ {
		batch = wanted(batch)
		if len(batch) == 0 {
			return
		}
		err := l.produce(batch)
		health.report(err)
		switch k := kind(err); {
		case err == nil:
			for _, r := range batch {
				r.done <- nil
			}
			return
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
		case k == ErrNotFound || errors.Is(err, kafka.NotLeaderForPartition):
			l.publisher.network.refresh()
		}
		for _, r := range batch {
			r.failed(err)
		}
		timer := time.NewTimer(l.publisher.network.options.backoff(attempt))
		select {
		case <-timer.C:
		case <-l.wake:
		case <-l.publisher.stop.Done():
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

func (l *lane) produce(batch []*record) error {
	records := make([]kafka.Record, len(batch))
	for i, r := range batch {
		records[i] = kafka.Record{
			Time: r.message.Time, Headers: r.message.Headers,
			Key: kafka.NewBytes(r.message.Key), Value: kafka.NewBytes(r.message.Value),
		}
	}
	n := l.publisher.network
	response, err := n.client.Produce(l.publisher.stop, &kafka.ProduceRequest{
		Topic: l.partition.topic, Partition: l.partition.id,
		RequiredAcks: kafka.RequireAll, Records: kafka.NewRecordReader(records...),
		Compression: l.publisher.producer.compression,
	})
	if err != nil {
		return err
	}
	return response.Error
}
