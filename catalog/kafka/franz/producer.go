package franz

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Producer is the connection to a cluster that Publishers send over. It is
// safe for concurrent use.
type Producer struct {
	sender *sender

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
	n, err := connect(serverURL, bindings, o, producing(&o, compression)...)
	if err != nil {
		return nil, err
	}
	return &Producer{sender: newSender(n), publishers: map[*Publisher]struct{}{}}, nil
}

// Native gives the library's client, which stops working at Close.
func (p *Producer) Native() *kgo.Client { return p.sender.network.client }

// Publisher opens a topic for sending, and creates it where it is missing.
// Errors: ErrNotFound where that is off or the server does not do it within
// Options.Timeout, ErrRefused where the topic exists and is not what the
// bindings say, ErrUnauthorized, ErrClosed.
func (p *Producer) Publisher(ctx context.Context, address string, bindings *ChannelBindings) (*Publisher, error) {
	n, topic, err := p.sender.network.open(ctx, address, bindings)
	if err != nil {
		return nil, fmt.Errorf("kafka: open %q for sending: %w", address, classify(err))
	}
	pub := &Publisher{producer: p, sender: p.sender, topic: topic}
	if n != p.sender.network {
		pub.sender = newSender(n)
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
	p.sender.close()
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
	sender   *sender
	topic    string
	stop     context.Context // done when Close has waited long enough
	stopNow  context.CancelFunc

	mu     sync.Mutex
	closed bool
	turn   int
	sends  sync.WaitGroup
}

// Send returns nil when all in-sync replicas have every envelope (acks=all).
// Envelopes for one partition keep their order; those without a key go to one
// partition together, the next call's to another. While the cluster can't be
// reached it tries again, until ctx ends or, where ctx has no deadline,
// Options.Timeout; a record whose confirmation was lost is stored once.
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
		ctx, cancel = context.WithTimeout(ctx, p.sender.network.options.Timeout)
	}
	defer cancel()
	defer context.AfterFunc(p.stop, cancel)()

	errs := make(SendErrors, len(envelopes))
	records := make([]*record, len(envelopes))
	for i, e := range envelopes {
		records[i], errs[i] = p.record(ctx, e, turn)
	}
	p.sender.enqueue(records)
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
	m, err := e.record(p.topic)
	if err != nil {
		return nil, err
	}
	count, err := p.sender.partitions(ctx, m.Topic)
	if err != nil {
		return nil, p.gaveUp(ctx, err)
	}
	switch {
	case int(m.Partition) >= count:
		return nil, fmt.Errorf("%w: topic %q has %d partitions, no partition %d", ErrNotFound, m.Topic, count, m.Partition)
	case m.Partition < 0 && m.Key != nil:
		m.Partition = int32(byKey.Partition(m, count))
	case m.Partition < 0:
		m.Partition = int32(turn % count)
	}
	return newRecord(ctx, m), nil
}

// byKey hashes keys as the Java client does, so that every producer sends a key
// to the same partition.
var byKey = kgo.StickyKeyPartitioner(nil).ForTopic("")

// await waits for a record's result, or for its Send to end.
func (p *Publisher) await(ctx context.Context, r *record) error {
	select {
	case err := <-r.done:
		return classify(err)
	case <-ctx.Done():
	}
	p.sender.wake(r)
	return p.gaveUp(ctx, r.cause())
}

// gaveUp is the error of a Send that ended without an answer, or with the
// answer that there is no point in waiting.
func (p *Publisher) gaveUp(ctx context.Context, cause error) error {
	err := ctx.Err()
	if p.stop.Err() != nil {
		err = ErrClosed
	}
	if err == nil || final(cause) || errors.Is(cause, ErrNotFound) {
		return classify(cause)
	}
	if cause == nil {
		cause = p.sender.network.links.last()
	}
	if cause != nil && !errors.Is(cause, err) {
		err = fmt.Errorf("%w: %w", err, classify(cause))
	}
	return err
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
	case <-time.After(p.sender.network.options.Timeout):
		err = fmt.Errorf("kafka: close %q: sends without an answer after %v", p.topic, p.sender.network.options.Timeout)
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
	if p.sender != p.producer.sender {
		p.sender.close()
	}
}
