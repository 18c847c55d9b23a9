package streams

import (
	"context"
	"time"
)

// read asks the server for entries, on one connection after the other, until
// the work ends or what can't heal.
func (s *session) read() {
	n := s.subscriber.network
	health := n.health()
	defer health.end()
	from := s.subscriber.position // without a group: the last entry that was read
	for attempt := 0; s.work.Err() == nil; {
		l, err := n.login(s.work, s.block())
		if err == nil {
			began := time.Now()
			health.report(nil)
			err = l.during(s.work, func(ctx context.Context) error { return s.fetch(ctx, l, &from) })
			l.close()
			if time.Since(began) > n.options.MaxBackoff {
				attempt = 0
			}
		}
		if s.work.Err() != nil {
			return
		}
		health.report(err)
		if final(err) {
			s.stop(err)
			return
		}
		sleep(s.work, n.options.backoff(attempt))
		attempt++
	}
}

// block is how long the server holds the answer while it has nothing.
func (s *session) block() time.Duration {
	o := s.subscriber.network.options
	block := o.KeepAlive
	if s.subscriber.group != "" {
		block = min(block, o.ClaimAfter/2)
	}
	return max(block, time.Millisecond)
}

// fetch reads until the connection fails.
func (s *session) fetch(ctx context.Context, l *link, from *string) error {
	if s.subscriber.group == "" {
		return s.follow(ctx, l, from)
	}
	for {
		err := s.consume(ctx, l)
		// The group may be lost: with the stream, or in a failover.
		if kind(err) != ErrNotFound || s.subscriber.network.options.NoDeclare {
			return err
		}
		s.subscriber.network.options.Logger.Warn("redis: the group is gone and is created again", "stream", s.subscriber.stream, "group", s.subscriber.group, "error", err)
		if err := s.subscriber.declare(ctx, l); err != nil {
			return err
		}
	}
}

// follow reads without a group.
func (s *session) follow(ctx context.Context, l *link, from *string) error {
	o := s.subscriber.network.options
	for {
		entries, err := ofStream(l.client.Do(ctx, "XREAD", "COUNT", o.Prefetch, "BLOCK", s.block().Milliseconds(),
			"STREAMS", s.subscriber.stream, *from).Result())
		if err != nil {
			return err
		}
		for _, e := range entries {
			s.queue(e)
			*from = e.id
		}
		if s.work.Err() != nil {
			return s.work.Err()
		}
	}
}

// consume reads as a member of the group: first what the server thinks that
// this member has, since an answer may have been lost with a connection, then
// what others have left behind, then what is new.
func (s *session) consume(ctx context.Context, l *link) error {
	sub, o := s.subscriber, s.subscriber.network.options
	const fresh = ">"
	from, claim := "0-0", time.Now()
	for {
		if from == fresh && !time.Now().Before(claim) {
			holes, err := s.claim(ctx, l)
			if err != nil {
				return err
			}
			if claim = time.Now().Add(s.block()); holes > 0 {
				from = "0-0"
			}
		}
		entries, err := ofStream(l.client.Do(ctx, "XREADGROUP", "GROUP", sub.group, sub.name, "COUNT", o.Prefetch,
			"BLOCK", s.block().Milliseconds(), "STREAMS", sub.stream, from).Result())
		if err != nil {
			return err
		}
		for _, e := range entries {
			s.queue(e)
			if from != fresh {
				from = e.id
			}
		}
		if len(entries) == 0 {
			from = fresh
		}
		if s.work.Err() != nil {
			return s.work.Err()
		}
	}
}

// claim takes over what other members have had for Options.ClaimAfter without
// being heard of.
func (s *session) claim(ctx context.Context, l *link) (holes int, err error) {
	sub, o := s.subscriber, s.subscriber.network.options
	for cursor := "0-0"; s.work.Err() == nil; {
		next, entries, n, err := ofClaim(l.client.Do(ctx, "XAUTOCLAIM", sub.stream, sub.group, sub.name,
			o.ClaimAfter.Milliseconds(), cursor, "COUNT", o.Prefetch).Result())
		if err != nil {
			return holes, err
		}
		holes += n
		for _, e := range entries {
			s.queue(e)
		}
		if cursor = next; cursor == "0-0" || cursor == "" {
			break
		}
	}
	return holes, nil
}

// queue hands an entry to the workers, unless they have it already. The content
// of one that was trimmed is lost: it is settled.
func (s *session) queue(e entry) {
	sub := s.subscriber
	s.mu.Lock()
	known := s.held[e.id]
	if sub.group == "" {
		sub.mu.Lock()
		known = sub.ahead[e.id] // by an earlier Receive
		sub.mu.Unlock()
		s.order = append(s.order, e.id)
	}
	if !known {
		s.held[e.id] = true
	}
	s.mu.Unlock()
	if known {
		return
	}
	if e.fields == nil {
		sub.network.options.Logger.Warn("redis: an entry was trimmed before it was handled", "stream", sub.stream, "id", e.id)
		s.settle(e.id)
		return
	}
	select {
	case s.entries <- e:
	case <-s.work.Done():
	}
}
