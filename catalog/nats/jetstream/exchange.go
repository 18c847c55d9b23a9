package jetstream

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// delivery is a Send's messages and what has become of them.
type delivery struct {
	messages []*nats.Msg // nil for those that need not be sent
	errs     []error
	settled  []bool
	missing  *atomic.Bool // no stream has answered
}

// deliver gives messages to the stream and returns when it has answered for
// them all. What was not confirmed is sent again.
func (p *Publisher) deliver(ctx context.Context, messages []*nats.Msg) ([]error, error) {
	d := &delivery{messages: messages, errs: make([]error, len(messages)), settled: make([]bool, len(messages)), missing: new(atomic.Bool)}
	missing := d.missing
	errs, err := persist(ctx, p.producer.connection, func() ([]error, error) { return d.errs, p.exchange(ctx, d) })
	if err != nil && missing.Load() {
		err = fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	return errs, err
}

func (p *Publisher) exchange(ctx context.Context, d *delivery) error {
	c := p.producer.connection
	select {
	case c.gate <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	w := c.watch()
	defer c.unwatch(w)
	acks, err := p.publish(ctx, d)
	<-c.gate
	if err == nil {
		// A refused message has no answer: that is known when the server has
		// answered what came after.
		err = c.flush(ctx)
	}
	for _, refusal := range c.unwatch(w) {
		for i, m := range d.messages {
			if m != nil && !d.settled[i] && refuses(refusal, m) {
				d.errs[i], d.settled[i] = classify(refusal), true
			}
		}
	}
	d.missing.Store(false)
	for i, ack := range acks {
		if ack == nil || d.settled[i] {
			continue
		}
		select {
		case <-ack.Ok():
			d.settled[i] = true
		case failure := <-ack.Err():
			switch {
			case errors.Is(failure, jetstream.ErrNoStreamResponse):
				// It can pass: a server that has just started, or that elects.
				d.missing.Store(true)
				err = errors.New(failure.Error())
			case final(failure):
				d.errs[i], d.settled[i] = classify(failure), true
			default:
				err = failure
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return err
}

func (p *Publisher) publish(ctx context.Context, d *delivery) ([]jetstream.PubAckFuture, error) {
	acks := make([]jetstream.PubAckFuture, len(d.messages))
	for i, m := range d.messages {
		if err := ctx.Err(); err != nil {
			return acks, err
		}
		if m == nil || d.settled[i] {
			continue
		}
		ack, err := p.producer.streams.PublishMsgAsync(m)
		switch {
		case err == nil:
			acks[i] = ack
		case final(err):
			d.errs[i], d.settled[i] = classify(err), true
		default:
			return acks, err
		}
	}
	return acks, nil
}
