package franz

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// commitInterval is the least time between two commits: the first settled
// record is committed at once, those that follow together.
const commitInterval = 100 * time.Millisecond

func (s *session) owned() []int32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	var ids []int32
	for id := range s.readers {
		ids = append(ids, id)
	}
	return ids
}

// revoked waits for the handlers of partitions that are about to go to another
// member, and commits what they settled.
func (s *session) revoked(ids []int32) {
	readers := s.end(ids, false)
	if len(readers) == 0 {
		return
	}
	if err := s.commit(context.Background()); err != nil {
		s.subscriber.network.options.Logger.Warn("kafka: offsets not committed, their records will come again", "topic", s.subscriber.topic, "error", err)
	}
	s.forget(readers)
}

// lost waits for the handlers of partitions that are somebody else's already.
// What they settle is not committed.
func (s *session) lost(ids []int32) {
	s.forget(s.end(ids, true))
}

func (s *session) end(ids []int32, gone bool) []*reader {
	s.mu.Lock()
	var readers []*reader
	for _, id := range ids {
		if r := s.readers[id]; r != nil {
			readers = append(readers, r)
			r.gone = r.gone || gone
			r.stop()
			if gone {
				r.lost()
			}
		}
	}
	s.mu.Unlock()
	for _, r := range readers {
		// Then the group does not wait any longer either.
		timer := time.AfterFunc(s.subscriber.network.options.RebalanceTimeout, r.lost)
		r.running.Wait()
		timer.Stop()
		r.lost()
	}
	return readers
}

// forget waits for the commit under way, which may be about these readers: the
// next generation of the group must not get it.
func (s *session) forget(readers []*reader) {
	s.committing.Lock()
	defer s.committing.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range readers {
		if s.readers[r.id] == r {
			delete(s.readers, r.id)
		}
		r.resume()
	}
}

// commit commits what is settled.
func (s *session) commit(ctx context.Context) error {
	if s.subscriber.group == "" {
		return nil
	}
	s.committing.Lock()
	defer s.committing.Unlock()
	offsets := map[int32]kgo.EpochOffset{}
	s.mu.Lock()
	for id, r := range s.readers {
		if r.settled.Offset > r.committed && !r.gone {
			offsets[id] = r.settled
		}
	}
	s.mu.Unlock()
	if len(offsets) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, s.subscriber.network.options.Timeout)
	defer cancel()
	var failure error
	s.client.CommitOffsetsSync(ctx, map[string]map[int32]kgo.EpochOffset{s.subscriber.topic: offsets},
		func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, response *kmsg.OffsetCommitResponse, err error) {
			failure = err
			if err != nil {
				return
			}
			for _, topic := range response.Topics {
				for _, p := range topic.Partitions {
					if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
						failure = err
					}
				}
			}
		})
	if failure != nil {
		return failure
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, at := range offsets {
		if r := s.readers[id]; r != nil {
			r.committed = at.Offset
		}
	}
	return nil
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
			if final(err) {
				s.stop(err)
			}
			wait = s.subscriber.network.options.backoff(failures)
			failures++
			s.settledSome()
		} else {
			failures = 0
		}
		if !sleep(ctx, wait) {
			return
		}
	}
}

func (s *session) settledSome() {
	select {
	case s.dirty <- struct{}{}:
	default:
	}
}

// leave ends the client and takes the member out of the group. The client by
// itself would first wait for a rebalance under way.
func (s *session) leave() {
	s.client.AllowRebalance()
	s.close()
	s.client.Close()
	s.quit()
	s.release()
}

// quit tells the group that this member is gone, so that the others take over at
// once. It does not wait for handlers.
func (s *session) quit() {
	member, _ := s.client.GroupMetadata()
	if member == "" {
		return
	}
	request := kmsg.NewPtrLeaveGroupRequest()
	request.Group, request.MemberID = s.subscriber.group, member
	leaving := kmsg.NewLeaveGroupRequestMember()
	leaving.MemberID = member
	request.Members = append(request.Members, leaving)
	n := s.subscriber.network
	ctx, cancel := context.WithTimeout(context.Background(), min(n.options.Timeout, 2*time.Second))
	defer cancel()
	if _, err := ask(ctx, n, request.RequestWith); err != nil {
		n.options.Logger.Info("kafka: left the group without a word, it will wait for the session time-out", "group", s.subscriber.group, "error", err)
	}
}
