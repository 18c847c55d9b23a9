package streams

import (
	"context"
	"time"
)

// read asks the server for entries, on one connection after the other, until
// the work ends or what can't heal.
func (s *session) read() {
	n := s.subscriber.network
	s.reading = n.health()
	defer s.reading.end()
	from := s.subscriber.position // without a group: the last entry that was read
	for attempt := 0; s.work.Err() == nil; {
		l, err := n.login(s.work, s.block())
		if err == nil {
			began := time.Now()
			err = l.during(s.work, func(ctx context.Context) error { return s.fetch(ctx, l, &from) })
			l.close()
			if time.Since(began) > n.options.MaxBackoff {
				attempt = 0
			}
		}
		if s.work.Err() != nil {
			return
		}
		s.reading.report(err)
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
		s.reading.report(nil)
		if s.queue(entries); len(entries) > 0 {
			*from = entries[len(entries)-1].id
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
		s.reading.report(nil)
		s.queue(entries)
		switch {
		case len(entries) == 0:
			from = fresh
		case from != fresh:
			from = entries[len(entries)-1].id
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
		s.queue(entries)
		if cursor = next; cursor == "0-0" || cursor == "" {
			break
		}
	}
	return holes, nil
}

// queue hands entries to the workers, but for those that they have already. All
// count as held from now on. The content of one that was trimmed is lost: it is
// settled.
func (s *session) queue(entries []entry) {
	sub := s.subscriber
	fresh := make([]entry, 0, len(entries))
	s.mu.Lock()
	sub.mu.Lock()
	for _, e := range entries {
		if sub.group == "" {
			s.order = append(s.order, e.id)
		}
		if !s.held[e.id] && !sub.ahead[e.id] {
			s.held[e.id] = true
			fresh = append(fresh, e)
		}
	}
	sub.mu.Unlock()
	s.mu.Unlock()
	for _, e := range fresh {
		if e.fields == nil {
			sub.network.options.Logger.Warn("redis: an entry was trimmed before it was handled", "stream", sub.stream, "id", e.id)
			s.settle(e.id)
			continue
		}
		select {
		case s.entries <- e:
		case <-s.work.Done():
			return
		}
	}
}
