package natsgo

import (
	"context"
	"errors"

	"github.com/nats-io/nats.go"
)

// errInterrupted: the connection broke before the server had confirmed.
var errInterrupted = errors.New("the connection was lost before the server confirmed")

// deliver gives messages to the server and returns when it has them all, with
// the errors of those that it does not take. While there is no connection it
// waits, and what was not confirmed it sends again.
func (c *connection) deliver(ctx context.Context, messages []*nats.Msg) ([]error, error) {
	return persist(ctx, c, func() ([]error, error) { return c.exchange(ctx, messages) })
}

// exchange sends messages, and a ping whose answer shows that the server has
// had them.
func (c *connection) exchange(ctx context.Context, messages []*nats.Msg) ([]error, error) {
	select {
	case c.gate <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	w := c.watch()
	defer c.unwatch(w)
	connected := c.nats.Stats().Reconnects
	errs, err := c.publish(ctx, messages)
	<-c.gate
	if err == nil {
		err = c.flush(ctx)
	}
	// The answer counts for messages on the same connection only.
	if err == nil && c.nats.Stats().Reconnects != connected {
		err = errInterrupted
	}
	if err != nil {
		return nil, err
	}
	for _, refusal := range c.unwatch(w) {
		for i, m := range messages {
			if m != nil && errs[i] == nil && refuses(refusal, m) {
				errs[i] = classify(refusal)
			}
		}
	}
	return errs, nil
}

func (c *connection) publish(ctx context.Context, messages []*nats.Msg) ([]error, error) {
	errs := make([]error, len(messages))
	for i, m := range messages {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if m == nil {
			continue
		}
		if err := c.nats.PublishMsg(m); final(err) {
			errs[i] = classify(err)
		} else if err != nil {
			return nil, err
		}
	}
	return errs, nil
}

// subscribeOnce awaits one message. That the server has the subscription is
// confirmed with the request that follows.
func (c *connection) subscribeOnce(ctx context.Context, subject string, replies chan *nats.Msg) (end func(), err error) {
	sub, err := persist(ctx, c, func() (*nats.Subscription, error) {
		sub, err := c.nats.ChanSubscribe(subject, replies)
		if err == nil {
			err = sub.AutoUnsubscribe(1)
		}
		if err == nil && ctx.Err() != nil {
			err = errors.Join(ctx.Err(), sub.Unsubscribe())
		}
		return sub, err
	})
	if err != nil {
		return nil, err
	}
	return func() { c.background(func() { _ = sub.Unsubscribe() }) }, nil // where it fails the subscription is gone
}
