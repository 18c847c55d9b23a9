package segmentio

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/consumer"
	"github.com/segmentio/kafka-go/protocol/heartbeat"
	"github.com/segmentio/kafka-go/protocol/joingroup"
	"github.com/segmentio/kafka-go/protocol/syncgroup"
)

// generation is what a Subscriber owns between two changes of its group: the
// partitions with their next offsets. Commits carry id and member, and the
// server refuses those of a generation that has ended. Without a group there
// is one generation that has all partitions.
type generation struct {
	id      int
	member  string
	offsets map[int]int64
	count   int // partitions of the topic when the generation began
}

var balancers = []kafka.GroupBalancer{kafka.RangeGroupBalancer{}, kafka.RoundRobinGroupBalancer{}}

// join begins a generation: JoinGroup, SyncGroup, OffsetFetch.
func (s *Subscriber) join(ctx context.Context) (*generation, error) {
	topic, err := s.network.topic(ctx, s.topic)
	if err != nil {
		return nil, err
	}
	if s.group == "" {
		g := &generation{offsets: map[int]int64{}, count: len(topic.Partitions)}
		for _, p := range topic.Partitions {
			// A partition that is new since Subscriber holds only records sent since.
			g.offsets[p.ID] = s.positions[p.ID]
		}
		return g, nil
	}
	joined, err := s.joinGroup(ctx)
	if err != nil {
		return nil, err
	}
	g := &generation{id: int(joined.GenerationID), member: joined.MemberID, count: len(topic.Partitions)}
	var assignments []syncgroup.RequestAssignment
	if joined.LeaderID == joined.MemberID {
		if assignments, err = s.assign(ctx, joined); err != nil {
			return nil, err
		}
	}
	owned, err := s.syncGroup(ctx, joined, assignments)
	if err != nil {
		return nil, err
	}
	g.offsets, err = s.committed(ctx, owned)
	return g, err
}

// joinGroup waits until the group's other members have joined as well.
func (s *Subscriber) joinGroup(ctx context.Context) (*joingroup.Response, error) {
	ctx, cancel := context.WithTimeout(ctx, s.network.options.RebalanceTimeout+s.network.options.Timeout)
	defer cancel()
	subscription, err := protocol.Marshal(consumer.MaxVersionSupported, consumer.Subscription{
		Version: consumer.MaxVersionSupported, Topics: []string{s.topic},
	})
	if err != nil {
		return nil, err
	}
	request := &joingroup.Request{
		GroupID:            s.group,
		SessionTimeoutMS:   int32(s.network.options.SessionTimeout.Milliseconds()),
		RebalanceTimeoutMS: int32(s.network.options.RebalanceTimeout.Milliseconds()),
		ProtocolType:       "consumer",
	}
	for _, b := range balancers {
		request.Protocols = append(request.Protocols, joingroup.RequestProtocol{Name: b.ProtocolName(), Metadata: subscription})
	}
	for {
		request.MemberID = s.memberID()
		response, err := s.network.client.Transport.RoundTrip(ctx, s.network.client.Addr, request)
		if err != nil {
			return nil, err
		}
		joined := response.(*joingroup.Response)
		switch code := kafka.Error(joined.ErrorCode); code {
		case 0:
			s.setMemberID(joined.MemberID)
			return joined, nil
		case kafka.MemberIDRequired: // KIP-394: the id is given first, the member joins with it
			s.setMemberID(joined.MemberID)
		case kafka.UnknownMemberId:
			if request.MemberID == "" {
				return nil, code
			}
			s.setMemberID("") // the session expired while we were away
		default:
			return nil, code
		}
	}
}

// assign is the leader's work: it gives the partitions to the members.
func (s *Subscriber) assign(ctx context.Context, joined *joingroup.Response) ([]syncgroup.RequestAssignment, error) {
	var members []kafka.GroupMember
	topics := map[string]bool{}
	for _, m := range joined.Members {
		subscription, err := decodeSubscription(m.Metadata)
		if err != nil {
			return nil, fmt.Errorf("group member %s: %w", m.MemberID, err)
		}
		members = append(members, kafka.GroupMember{ID: m.MemberID, Topics: subscription.Topics, UserData: subscription.UserData})
		for _, topic := range subscription.Topics {
			topics[topic] = true
		}
	}
	var partitions []kafka.Partition
	for name := range topics {
		topic, err := s.network.topic(ctx, name)
		if err != nil && (name == s.topic || kind(err) != ErrNotFound) {
			return nil, err
		}
		partitions = append(partitions, topic.Partitions...)
	}
	for _, b := range balancers {
		if b.ProtocolName() != joined.ProtocolName {
			continue
		}
		var assignments []syncgroup.RequestAssignment
		for member, topics := range b.AssignGroups(members, partitions) {
			a := consumer.Assignment{Version: consumer.MaxVersionSupported}
			for topic, ids := range topics {
				tp := consumer.TopicPartition{Topic: topic}
				for _, id := range ids {
					tp.Partitions = append(tp.Partitions, int32(id))
				}
				a.AssignedPartitions = append(a.AssignedPartitions, tp)
			}
			data, err := protocol.Marshal(consumer.MaxVersionSupported, a)
			if err != nil {
				return nil, err
			}
			assignments = append(assignments, syncgroup.RequestAssignment{MemberID: member, Assignment: data})
		}
		return assignments, nil
	}
	return nil, fmt.Errorf("the group chose the unknown assignor %q", joined.ProtocolName)
}

// decodeSubscription reads the version that another member wrote: the library
// reads version 1 alone, and would fail on an older client.
func decodeSubscription(data []byte) (consumer.Subscription, error) {
	var subscription consumer.Subscription
	if len(data) < 2 {
		return subscription, errors.New("malformed subscription")
	}
	version := min(int16(binary.BigEndian.Uint16(data)), consumer.MaxVersionSupported)
	return subscription, protocol.Unmarshal(data, version, &subscription)
}

// syncGroup gives the partitions that this member owns. The library's own
// SyncGroup can't tell why the server refuses it.
func (s *Subscriber) syncGroup(ctx context.Context, joined *joingroup.Response, assignments []syncgroup.RequestAssignment) ([]int, error) {
	ctx, cancel := context.WithTimeout(ctx, s.network.options.RebalanceTimeout+s.network.options.Timeout)
	defer cancel()
	response, err := s.network.client.Transport.RoundTrip(ctx, s.network.client.Addr, &syncgroup.Request{
		GroupID: s.group, GenerationID: joined.GenerationID, MemberID: joined.MemberID,
		ProtocolType: "consumer", ProtocolName: joined.ProtocolName, Assignments: assignments,
	})
	if err != nil {
		return nil, err
	}
	synced := response.(*syncgroup.Response)
	if synced.ErrorCode != 0 {
		return nil, kafka.Error(synced.ErrorCode)
	}
	var owned []int
	if len(synced.Assignments) == 0 {
		return owned, nil // more members than partitions
	}
	var assignment consumer.Assignment
	if err := protocol.Unmarshal(synced.Assignments, consumer.MaxVersionSupported, &assignment); err != nil {
		return nil, err
	}
	for _, tp := range assignment.AssignedPartitions {
		for _, id := range tp.Partitions {
			if tp.Topic == s.topic {
				owned = append(owned, int(id))
			}
		}
	}
	return owned, nil
}

// committed reads the group's offsets. A partition without one begins at its
// first record.
func (s *Subscriber) committed(ctx context.Context, owned []int) (map[int]int64, error) {
	offsets := map[int]int64{}
	if len(owned) == 0 {
		return offsets, nil
	}
	response, err := s.network.client.OffsetFetch(ctx, &kafka.OffsetFetchRequest{
		GroupID: s.group, Topics: map[string][]int{s.topic: owned},
	})
	if err == nil {
		err = response.Error
	}
	if err != nil {
		return nil, err
	}
	for _, p := range response.Topics[s.topic] {
		if p.Error != nil {
			return nil, p.Error
		}
		offsets[p.Partition] = p.CommittedOffset
		if p.CommittedOffset < 0 {
			offsets[p.Partition] = kafka.FirstOffset
		}
	}
	if len(offsets) != len(owned) {
		return nil, fmt.Errorf("the server gave offsets of %d partitions, not %d", len(offsets), len(owned))
	}
	return offsets, nil
}

// commit settles offsets in the group, and tells which error ends the generation.
func (g *generation) commit(ctx context.Context, s *Subscriber, offsets map[int]int64) error {
	request := &kafka.OffsetCommitRequest{GroupID: s.group, GenerationID: g.id, MemberID: g.member}
	var commits []kafka.OffsetCommit
	for id, offset := range offsets {
		commits = append(commits, kafka.OffsetCommit{Partition: id, Offset: offset})
	}
	request.Topics = map[string][]kafka.OffsetCommit{s.topic: commits}
	response, err := s.network.client.OffsetCommit(ctx, request)
	if err != nil {
		return err
	}
	for _, p := range response.Topics[s.topic] {
		if p.Error != nil {
			return p.Error
		}
	}
	return nil
}

// heartbeat works around the library, which reads the throttle time and the
// error of the answer in the wrong order: the error ends up in the lower half
// of the former.
func (g *generation) heartbeat(ctx context.Context, s *Subscriber) error {
	response, err := s.network.client.Transport.RoundTrip(ctx, s.network.client.Addr, &heartbeat.Request{
		GroupID: s.group, GenerationID: int32(g.id), MemberID: g.member,
	})
	if err != nil {
		return err
	}
	beat := response.(*heartbeat.Response)
	if code := cmp.Or(beat.ErrorCode, int16(beat.ThrottleTimeMs)); code != 0 {
		return kafka.Error(code)
	}
	return nil
}

// ended tells whether the generation belongs to the past: the server takes no
// more commits for it.
func ended(err error) bool {
	return errors.Is(err, kafka.UnknownMemberId) || errors.Is(err, kafka.IllegalGeneration) || errors.Is(err, kafka.FencedInstanceID)
}

// leave tells the group at once that this member is gone.
func (s *Subscriber) leave() {
	member := s.memberID()
	if member == "" {
		return
	}
	s.setMemberID("")
	err := s.insist(func(ctx context.Context) error {
		_, err := s.network.client.LeaveGroup(ctx, &kafka.LeaveGroupRequest{
			GroupID: s.group, Members: []kafka.LeaveGroupRequestMember{{ID: member}},
		})
		return err
	})
	if err != nil {
		s.network.options.Logger.Info("kafka: left the group without a word, it will wait for the session time-out", "group", s.group, "error", err)
	}
}

// insist tries a parting request for a short while: after an outage each
// connection of the pool that is dead costs an attempt.
func (s *Subscriber) insist(request func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), min(s.network.options.Timeout, 2*time.Second))
	defer cancel()
	for attempt := 0; ; attempt++ {
		err := request(ctx)
		if err == nil || kind(err) != nil || ended(err) || errors.Is(err, kafka.RebalanceInProgress) ||
			!sleep(ctx, s.network.options.backoff(attempt)) {
			return err
		}
	}
}

func (s *Subscriber) memberID() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.member
}

func (s *Subscriber) setMemberID(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.member = id
}
