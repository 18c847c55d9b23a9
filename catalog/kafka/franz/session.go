package franz

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// fetchWait is how long the server holds the answer while it has nothing new.
	fetchWait = 500 * time.Millisecond
	// watchInterval is how often the topic is looked at.
	watchInterval = 5 * time.Second
)

// errNewTopic ends a session whose topic was deleted and created again.
var errNewTopic = errors.New("the topic is another one of the same name")

// session is a client of the library that reads the topic during a Receive.
type session struct {
	subscriber *Subscriber
	client     *kgo.Client
	handle     func(context.Context, *EnvelopeIn) error
	slots      chan struct{} // one for each handler that may run
	dirty      chan struct{} // told when a record is settled

	work     context.Context // no new handler after it is done
	stop     context.CancelCauseFunc
	handlers context.Context // what the handlers' contexts come from
	abandon  context.CancelFunc
	close    context.CancelFunc // ends the client's context

	committing sync.Mutex // held from reading what is settled to the server's answer
	mu         sync.Mutex
	readers    map[int32]*reader
	panicked   any
}

// newSession makes a client, which joins the group at once.
func newSession(ctx, active context.Context, s *Subscriber, handle func(context.Context, *EnvelopeIn) error) (*session, error) {
	o := s.network.options
	session := &session{
		subscriber: s, handle: handle,
		slots: make(chan struct{}, o.Concurrency), dirty: make(chan struct{}, 1),
		readers: map[int32]*reader{},
	}
	session.work, session.stop = context.WithCancelCause(active)
	session.handlers, session.abandon = context.WithCancel(ctx)
	client, end := context.WithCancel(context.Background())
	session.close = end
	options := []kgo.Opt{
		kgo.WithContext(client),
		kgo.WithHooks(session),
		// When the link falls silent the heartbeats notice. The connection that
		// joins the group must not be one from before, whose answer it would
		// await for RebalanceTimeout.
		kgo.ConnIdleTimeout(max(o.exchange()/2, 100*time.Millisecond)),
		// Markers of transactions are nobody's records, but the offsets go on
		// past them.
		kgo.KeepControlRecords(),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.FetchMaxWait(min(fetchWait, max(o.Timeout/2, 10*time.Millisecond))),
		kgo.FetchMaxPartitionBytes(int32(min(o.MaxFetchBytes, 1<<30))),
	}
	if s.group == "" {
		s.mu.Lock()
		offsets := map[int32]kgo.Offset{}
		for id, next := range s.positions {
			offsets[id] = kgo.NewOffset().At(next)
		}
		s.mu.Unlock()
		options = append(options, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{s.topic: offsets}))
	} else {
		options = append(options,
			kgo.ConsumeTopics(s.topic),
			kgo.ConsumerGroup(s.group),
			kgo.Balancers(kgo.RangeBalancer(), kgo.RoundRobinBalancer()),
			kgo.SessionTimeout(o.SessionTimeout),
			kgo.RebalanceTimeout(o.RebalanceTimeout),
			kgo.HeartbeatInterval(min(o.SessionTimeout/10, 3*time.Second)),
			kgo.DisableAutoCommit(),
			// Partitions must not go between a poll and its dispatch.
			kgo.BlockRebalanceOnPoll(),
			kgo.OnPartitionsRevoked(func(_ context.Context, _ *kgo.Client, gone map[string][]int32) { session.revoked(gone[s.topic]) }),
			kgo.OnPartitionsLost(func(_ context.Context, _ *kgo.Client, gone map[string][]int32) { session.lost(gone[s.topic]) }),
		)
	}
	var err error
	if session.client, err = s.network.newClient(options...); err != nil {
		session.release()
	}
	return session, err
}

// OnBrokerConnect implements kgo.HookBrokerConnect: the library would try again
// what can't heal.
func (s *session) OnBrokerConnect(_ kgo.BrokerMetadata, _ time.Duration, _ net.Conn, err error) {
	if final(err) {
		s.stop(err)
	}
}

// run returns when active ends, or something fails that can't heal: after the
// handlers that run have returned and what they settled is committed.
func (s *session) run() error {
	defer context.AfterFunc(s.subscriber.abandoned, s.abandon)()
	var keepers sync.WaitGroup
	keep, release := context.WithCancel(context.Background())
	keepers.Go(func() { s.watch(s.work) })
	if s.subscriber.group != "" {
		keepers.Go(func() { s.commits(keep) })
	}
	health := s.subscriber.network.health()
	defer health.end()
	for s.work.Err() == nil {
		s.dispatch(s.client.PollFetches(s.work), health)
		s.client.AllowRebalance()
	}
	// Until the handlers are through the client stays in the group.
	cause := context.Cause(s.work)
	if errors.Is(cause, errNewTopic) {
		s.lost(s.owned())
		s.subscriber.restart()
		cause = nil
	} else {
		s.revoked(s.owned())
	}
	release()
	keepers.Wait()
	s.leave()
	return cause
}

// dispatch gives records to the readers of their partitions.
func (s *session) dispatch(fetches kgo.Fetches, health *health) {
	fetches.EachError(func(_ string, partition int32, err error) {
		var loss *kgo.ErrDataLoss
		switch {
		case s.work.Err() != nil:
		case errors.As(err, &loss):
			s.subscriber.network.options.Logger.Warn("kafka: the offset is gone", "topic", s.subscriber.topic, "partition", partition, "error", err)
		case final(err):
			s.stop(err)
		default:
			health.report(err)
		}
	})
	fetches.EachPartition(func(p kgo.FetchTopicPartition) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(p.Records) == 0 || s.work.Err() != nil {
			return
		}
		health.report(nil)
		r := s.readers[p.Partition]
		if r == nil {
			r = s.newReader(p.Partition)
			s.readers[p.Partition] = r
		}
		r.add(p.Records)
	})
}

// watch hears of what the library keeps to itself: the topic is gone or a new
// one, the login is not accepted any more. Without a group it also finds new
// partitions.
func (s *session) watch(ctx context.Context) {
	n := s.subscriber.network
	health := n.health()
	defer health.end()
	var id [16]byte
	var missing time.Time // since when the topic is unknown
	for first := true; first || sleep(ctx, min(watchInterval, n.options.Timeout/2)); first = false {
		topic, err := n.topic(ctx, s.subscriber.topic)
		if ctx.Err() != nil {
			return
		}
		health.report(err)
		switch {
		case final(err):
			s.stop(err)
		case kind(err) == ErrNotFound:
			// It can pass: a server that has just started knows no topics yet.
			if missing.IsZero() {
				missing = time.Now()
			} else if time.Since(missing) > n.options.Timeout {
				s.stop(fmt.Errorf("topic: %w", err))
			}
		case err == nil:
			missing = time.Time{}
			if id != ([16]byte{}) && id != topic.TopicID {
				s.stop(errNewTopic)
			}
			id = topic.TopicID
			s.grow(topic)
		}
	}
}

// grow reads partitions that are new since Subscriber: they hold only records
// sent since.
func (s *session) grow(topic kmsg.MetadataResponseTopic) {
	if s.subscriber.group != "" {
		return // the group sees to it
	}
	fresh := map[int32]kgo.Offset{}
	s.subscriber.mu.Lock()
	for _, p := range topic.Partitions {
		if _, known := s.subscriber.positions[p.Partition]; !known {
			s.subscriber.positions[p.Partition] = 0
			fresh[p.Partition] = kgo.NewOffset().AtStart()
		}
	}
	s.subscriber.mu.Unlock()
	if len(fresh) > 0 {
		s.client.AddConsumePartitions(map[string]map[int32]kgo.Offset{s.subscriber.topic: fresh})
	}
}

func (s *session) release() {
	s.stop(nil)
	s.abandon()
	s.close()
}
