package franz

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Consumer is the connection to a cluster that Subscribers read over. It is
// safe for concurrent use.
type Consumer struct {
	network *network

	mu          sync.Mutex
	closed      bool
	subscribers map[*Subscriber]struct{}
}

// NewConsumer reaches the cluster and logs in, as NewProducer does.
func NewConsumer(serverURL string, bindings *ServerBindings, options *Options) (*Consumer, error) {
	n, err := connect(serverURL, bindings, options.withDefaults())
	if err != nil {
		return nil, err
	}
	return &Consumer{network: n, subscribers: map[*Subscriber]struct{}{}}, nil
}

// Native gives a client of the library, which stops working at Close. It reads
// nothing: each Receive has a client of its own.
func (c *Consumer) Native() *kgo.Client { return c.network.client }

// Subscriber opens a topic for reading, and creates it where it is missing.
// With a groupId in the bindings it shares the topic with the group's other
// members, a new group from the first record on. Without one it gets every
// record that is sent after Subscriber has returned, on all partitions.
//
// Errors: as those of Publisher.
func (c *Consumer) Subscriber(ctx context.Context, address string, bindings *ChannelBindings) (*Subscriber, error) {
	n, topic, err := c.network.open(ctx, address, bindings)
	if err != nil {
		return nil, fmt.Errorf("kafka: open %q for receiving: %w", address, classify(err))
	}
	s := &Subscriber{consumer: c, network: n, topic: topic, group: string(bindings.operation().GroupID)}
	s.closing, s.beginClose = context.WithCancel(context.Background())
	s.abandoned, s.abandon = context.WithCancel(context.Background())
	if s.group == "" {
		s.positions, err = n.ends(ctx, topic)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil && c.closed {
		err = ErrClosed
	}
	if err != nil {
		s.release()
		return nil, fmt.Errorf("kafka: open %q for receiving: %w", address, classify(err))
	}
	c.subscribers[s] = struct{}{}
	return s, nil
}

// Close closes the Subscribers and then the connections. It waits for the
// handlers that run, at most Options.Timeout.
func (c *Consumer) Close() error {
	c.mu.Lock()
	c.closed = true
	var open []*Subscriber
	for s := range c.subscribers {
		open = append(open, s)
	}
	c.mu.Unlock()
	err := closeAll(open)
	c.network.close()
	return err
}

// Subscriber reads a topic.
type Subscriber struct {
	consumer   *Consumer
	network    *network
	topic      string
	group      string
	closing    context.Context // done when Close begins
	beginClose context.CancelFunc
	abandoned  context.Context // done when Close has waited long enough
	abandon    context.CancelFunc

	mu        sync.Mutex
	receiving chan struct{}   // closed when the Receive that runs returns
	session   *session        // of the Receive that runs
	positions map[int32]int64 // without a group: the next offset of each partition
}

// Receive calls handle for each record, in order within a partition, and at
// most Options.Concurrency at once. Nil from handle settles the record; the
// group's offset never passes one that is not settled. After an error the same
// record comes again, following a back-off, before any other of its partition.
// Reject(err) settles it too: Kafka has no dead letters.
//
// handle's context ends with ctx, and when the partition has gone to another
// member. Its panic is Receive's.
//
// Receive returns ctx's error when ctx ends and ErrClosed after Close, both as
// soon as the handlers that run have returned and are settled. It reconnects
// for ever; what can't heal ends it: ErrUnauthorized, ErrNotFound when the topic
// was deleted. One Receive runs at a time; a new one goes on where the last one
// ended.
func (s *Subscriber) Receive(ctx context.Context, handle func(context.Context, *EnvelopeIn) error) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("kafka: receive from %q: %w", s.topic, err)
	}
	s.mu.Lock()
	if s.closing.Err() != nil {
		s.mu.Unlock()
		return fmt.Errorf("kafka: receive from %q: %w", s.topic, ErrClosed)
	}
	if s.receiving != nil {
		s.mu.Unlock()
		return fmt.Errorf("kafka: receive from %q: another Receive runs on this Subscriber", s.topic)
	}
	done := make(chan struct{})
	s.receiving = done
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.receiving = nil
		s.mu.Unlock()
		close(done)
	}()

	err := s.receive(ctx, handle)
	switch {
	case ctx.Err() != nil:
		err = ctx.Err()
	case s.closing.Err() != nil:
		err = ErrClosed
	}
	return fmt.Errorf("kafka: receive from %q: %w", s.topic, classify(err))
}

// receive runs one session after the other until there is no point in another.
func (s *Subscriber) receive(ctx context.Context, handle func(context.Context, *EnvelopeIn) error) error {
	active, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.closing, cancel)()
	for attempt := 0; ; attempt++ {
		session, err := newSession(ctx, active, s, handle)
		if err != nil {
			return err
		}
		s.setSession(session)
		err = session.run()
		s.setSession(nil)
		if session.panicked != nil {
			panic(session.panicked)
		}
		if active.Err() != nil || err != nil {
			return err
		}
		sleep(active, s.network.options.backoff(attempt)) // the topic is another one of that name
	}
}

func (s *Subscriber) setSession(session *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.session = session
}

// restart reads a topic that is another one of the same name from its first
// record.
func (s *Subscriber) restart() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id := range s.positions {
		s.positions[id] = 0
	}
}

// Close ends Receive and waits until the handlers that run have returned and
// are settled, at most Options.Timeout; then their contexts end and the error
// says so. The group is left at once, so that its other members take over.
func (s *Subscriber) Close() error {
	s.mu.Lock()
	s.beginClose()
	running := s.receiving
	s.mu.Unlock()
	var err error
	if running != nil {
		select {
		case <-running:
		case <-time.After(s.network.options.Timeout):
			err = fmt.Errorf("kafka: close %q: a handler still runs after %v", s.topic, s.network.options.Timeout)
			s.abandon()
			s.mu.Lock()
			session := s.session
			s.mu.Unlock()
			if session != nil {
				session.quit()
			}
		}
	}
	s.release()
	s.consumer.mu.Lock()
	delete(s.consumer.subscribers, s)
	s.consumer.mu.Unlock()
	return err
}

func (s *Subscriber) release() {
	s.beginClose()
	s.abandon()
	if s.network != s.consumer.network {
		s.network.close()
	}
}

// ends reads where each partition ends now.
func (n *network) ends(ctx context.Context, name string) (map[int32]int64, error) {
	ctx, cancel := context.WithTimeout(ctx, n.options.Timeout)
	defer cancel()
	topic, err := n.topic(ctx, name)
	if err != nil {
		return nil, err
	}
	list := kmsg.NewListOffsetsRequestTopic()
	list.Topic = name
	for _, p := range topic.Partitions {
		partition := kmsg.NewListOffsetsRequestTopicPartition()
		partition.Partition, partition.Timestamp = p.Partition, -1 // the end
		list.Partitions = append(list.Partitions, partition)
	}
	request := kmsg.NewPtrListOffsetsRequest()
	request.ReplicaID = -1
	request.Topics = append(request.Topics, list)
	for attempt := 0; ; attempt++ {
		response, err := ask(ctx, n, request.RequestWith)
		ends := map[int32]int64{}
		if err == nil {
			for _, t := range response.Topics {
				for _, p := range t.Partitions {
					ends[p.Partition] = p.Offset
					err = errors.Join(err, kerr.ErrorForCode(p.ErrorCode))
				}
			}
			if err == nil && len(ends) != len(list.Partitions) {
				err = kerr.LeaderNotAvailable
			}
		}
		// A topic that was just created may have no leaders yet.
		if err == nil || final(err) || !sleep(ctx, n.options.backoff(attempt)) {
			return ends, err
		}
	}
}
