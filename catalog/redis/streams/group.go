package streams

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"
)

// open finds or makes what the Subscriber reads.
func (s *Subscriber) open(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.network.options.Timeout)
	defer cancel()
	defer context.AfterFunc(s.closing, cancel)()
	l, err := s.network.login(ctx, 0)
	if err != nil {
		return err
	}
	defer l.close()
	return l.during(ctx, func(ctx context.Context) error {
		if s.group != "" {
			return s.declare(ctx, l)
		}
		info, err := l.client.XInfoStream(ctx, s.stream).Result()
		if kind(err) == ErrNotFound && !s.network.options.NoDeclare {
			s.position = "0-0"
			return nil
		}
		if err == nil {
			s.position = info.LastGeneratedID
		}
		return err
	})
}

// declare makes the group and its stream, or sees to it that they are there.
func (s *Subscriber) declare(ctx context.Context, l *link) error {
	if s.network.options.NoDeclare {
		return l.client.XPending(ctx, s.stream, s.group).Err()
	}
	err := l.client.XGroupCreateMkStream(ctx, s.stream, s.group, "0").Err()
	if redis.HasErrorPrefix(err, "BUSYGROUP") {
		err = nil // there is one
	}
	return err
}

// leaveScript gives the member's entries an age at which others take them at
// once. A member without any is removed, in the same step: the server may yet
// give it one, and removing a member that has entries would lose them.
var leaveScript = redis.NewScript(`
local pending = redis.call('XPENDING', KEYS[1], ARGV[1], '-', '+', 1000, ARGV[2])
if #pending == 0 then
	if ARGV[3] == '1' then redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], ARGV[2]) end
	return 0
end
for _, entry in ipairs(pending) do
	redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, entry[1], 'IDLE', 86400000, 'JUSTID')
end
return #pending`)

// leave hands what is not settled to the other members. Where that fails they
// take it over after Options.ClaimAfter.
func (s *Subscriber) leave(limit time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	l, err := s.network.login(ctx, 0)
	if err == nil {
		defer l.close()
		err = l.during(ctx, func(ctx context.Context) error {
			anonymous := 0
			if s.anonymous {
				anonymous = 1
			}
			return leaveScript.Eval(ctx, l.client, []string{s.stream}, s.group, s.name, anonymous).Err()
		})
	}
	if err != nil && kind(err) != ErrNotFound && !errors.Is(err, redis.Nil) {
		s.network.options.Logger.Warn("redis: could not leave the group", "stream", s.stream, "group", s.group, "consumer", s.name, "error", err)
	}
}
