package segmentio

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"
)

// Producer is the connection to a cluster that Publishers send over. It is
// safe for concurrent use.
type Producer struct {
	network     *network
	compression kafka.Compression

	mu         sync.Mutex
	closed     bool
	publishers map[*Publisher]struct{}
}

// NewProducer reaches the cluster and logs in. The URL is host:port or
// kafka://[user:password@]host:port[,host:port], kafka-secure:// for TLS.
// Errors: ErrUnauthorized, ErrUnsupported for a security scheme that Kafka can't
// carry, a network error where no server answers within Options.Timeout.
func NewProducer(serverURL string, bindings *ServerBindings, options *Options) (*Producer, error) {
	o := options.withDefaults()
	compression, err := o.compression()
	if err != nil {
		return nil, fmt.Errorf("kafka: %w", err)
	}
	n, err := connect(serverURL, bindings, o)
	if err != nil {
		return nil, err
	}
	return &Producer{network: n, compression: compression, publishers: map[*Publisher]struct{}{}}, nil
}

// Native gives the library's client, which stops working at Close.
func (p *Producer) Native() *kafka.Client { return p.network.client }

// Publisher opens a topic for sending, and creates it where it is missing.
// Errors: ErrNotFound where that is off or the server does not do it within
// Options.Timeout, ErrRefused where the topic exists and is not what the
// bindings say, ErrUnauthorized, ErrClosed.
func (p *Producer) Publisher(ctx context.Context, address string, bindings *ChannelBindings) (*Publisher, error) {
	n, topic, err := p.network.open(ctx, address, bindings)
	if err != nil {
		return nil, fmt.Errorf("kafka: open %q for sending: %w", address, classify(err))
	}
	pub := &Publisher{
		producer: p, network: n, topic: topic,
		topics: map[string]partitions{}, lanes: map[partition]*lane{},
	}
	pub.stop, pub.stopNow = context.WithCancel(n.stop)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		pub.release()
		return nil, fmt.Errorf("kafka: open %q for sending: %w", address, ErrClosed)
	}
	p.publishers[pub] = struct{}{}
	return pub, nil
}

// Close closes the Publishers and then the connections. It waits for each Send
// under way, at most Options.Timeout.
func (p *Producer) Close() error {
	p.mu.Lock()
	p.closed = true
	var open []*Publisher
	for pub := range p.publishers {
		open = append(open, pub)
	}
	p.mu.Unlock()
	err := closeAll(open)
	p.network.close()
	return err
}

// closeAll closes side by side, so that the time-outs do not add up.
func closeAll[T interface{ Close() error }](all []T) error {
	errs := make([]error, len(all))
	var wg sync.WaitGroup
	for i, c := range all {
		wg.Add(1)
		go func() {
			defer wg.Done()
			errs[i] = c.Close()
		}()
	}
	wg.Wait()
	return errors.Join(errs...)
}

// Publisher sends to a topic. It is safe for concurrent use.
type Publisher struct {
	producer *Producer
	network  *network
	topic    string
	stop     context.Context // done when Close has waited long enough
	stopNow  context.CancelFunc

	mu     sync.Mutex
	closed bool
	turn   int
	topics map[string]partitions
	lanes  map[partition]*lane
	sends  sync.WaitGroup
	work   sync.WaitGroup
}

// partitions is a topic's number of partitions, for a few seconds.
type partitions struct {
	count int
	until time.Time
}

type partition struct {
	topic string
	id    int
}

// Send returns nil when all in-sync replicas have every envelope (acks=all).
// Envelopes for one partition keep their order; those without a key go to one
// partition together, the next call's to another. While the cluster can't be
// reached it tries again, until ctx ends or, where ctx has no deadline,
// Options.Timeout; a record whose confirmation was lost is then sent twice.
//
// Where some of several envelopes fail, errors.As gives SendErrors. Errors:
// ErrTooLarge, ErrUnsupported for a header, ErrNotFound for a topic or
// partition, ErrUnauthorized, ErrRefused, ErrClosed, or ctx's error with the
// cause of the delay. After ctx's error the record may still arrive.
func (p *Publisher) Send(ctx context.Context, envelopes ...*EnvelopeOut) error {
	if err := p.send(ctx, envelopes); err != nil {
		return fmt.Errorf("kafka: send to %q: %w", p.topic, err)
	}
	return nil
}

func (p *Publisher) send(ctx context.Context, envelopes []*EnvelopeOut) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return ErrClosed
	}
	p.sends.Add(1)
	p.turn++
	turn := p.turn
	p.mu.Unlock()
	defer p.sends.Done()

	var cancel context.CancelFunc
	if _, bounded := ctx.Deadline(); bounded {
		ctx, cancel = context.WithCancel(ctx)
	} else {
		ctx, cancel = context.WithTimeout(ctx, p.network.options.Timeout)
	}
	defer cancel()
	defer context.AfterFunc(p.stop, cancel)()

	errs := make(SendErrors, len(envelopes))
	records := make([]*record, len(envelopes))
	for i, e := range envelopes {
		records[i], errs[i] = p.record(ctx, e, turn)
	}
	p.enqueue(records)
	failed := false
	for i, r := range records {
		if r != nil {
			errs[i] = p.await(ctx, r)
		}
		failed = failed || errs[i] != nil
	}
	switch {
	case !failed:
		return nil
	case len(errs) == 1:
		return errs[0]
	default:
		return errs
	}
}

func (p *Publisher) record(ctx context.Context, e *EnvelopeOut, turn int) (*record, error) {
	if e == nil {
		return nil, errors.New("the envelope is nil")
	}
	m, err := e.message(p.topic)
	if err != nil {
		return nil, err
	}
	count, err := p.partitions(ctx, m.Topic)
	if err != nil {
		return nil, classify(err)
	}
	switch {
	case m.Partition >= count:
		return nil, fmt.Errorf("%w: topic %q has %d partitions, no partition %d", ErrNotFound, m.Topic, count, m.Partition)
	case m.Partition < 0 && m.Key != nil:
		m.Partition = keyPartition(m, count)
	case m.Partition < 0:
		m.Partition = turn % count
	}
	return newRecord(ctx, m), nil
}

// keyPartition hashes the key as the Java client does, so that every producer
// sends a key to the same partition.
func keyPartition(m kafka.Message, count int) int {
	ids := make([]int, count)
	for i := range ids {
		ids[i] = i
	}
	return kafka.Murmur2Balancer{}.Balance(m, ids...)
}

// partitions tells how many partitions a topic has. One that SetTopic named
// may have to be created.
func (p *Publisher) partitions(ctx context.Context, topic string) (int, error) {
	p.mu.Lock()
	known := p.topics[topic]
	p.mu.Unlock()
	if time.Now().Before(known.until) {
		return known.count, nil
	}
	for attempt := 0; ; attempt++ {
		t, err := p.network.topic(ctx, topic)
		if errors.Is(err, kafka.UnknownTopicOrPartition) {
			if err = p.network.declare(ctx, topic, nil); err == nil {
				t, err = p.network.topic(ctx, topic)
			}
		}
		if err == nil && len(t.Partitions) > 0 {
			p.mu.Lock()
			p.topics[topic] = partitions{len(t.Partitions), time.Now().Add(5 * time.Second)}
			p.mu.Unlock()
			return len(t.Partitions), nil
		}
		if final(err) || errors.Is(err, ErrNotFound) {
			return 0, err
		}
		if !sleep(ctx, p.network.options.backoff(attempt)) {
			return 0, p.gaveUp(ctx, err)
		}
	}
}

// Close waits until each Send under way has its answer, at most
// Options.Timeout, and ends those that have none with ErrClosed.
func (p *Publisher) Close() error {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	done := make(chan struct{})
	go func() {
		p.sends.Wait()
		close(done)
	}()
	var err error
	select {
	case <-done:
	case <-time.After(p.network.options.Timeout):
		err = fmt.Errorf("kafka: close %q: sends without an answer after %v", p.topic, p.network.options.Timeout)
	}
	p.release()
	p.producer.mu.Lock()
	delete(p.producer.publishers, p)
	p.producer.mu.Unlock()
	return err
}

func (p *Publisher) release() {
	p.stopNow()
	p.sends.Wait()
	p.work.Wait()
	if p.network != p.producer.network {
		p.network.close()
	}
}
