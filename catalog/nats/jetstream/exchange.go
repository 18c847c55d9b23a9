package jetstream

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// delivery is a Send's messages and what has become of them.
type delivery struct {
	messages []*nats.Msg // nil for those that need not be sent

	mu      sync.Mutex // an attempt that was given up may still go on
	errs    []error
	settled []bool
	missing bool // no stream has answered
}

func (d *delivery) settle(i int, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.messages[i] != nil && !d.settled[i] {
		d.errs[i], d.settled[i] = err, true
	}
}

func (d *delivery) open(i int) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.messages[i] != nil && !d.settled[i]
}

func (d *delivery) setMissing(missing bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.missing = missing
}

// outcome gives the errors, with that of the whole for what is open.
func (d *delivery) outcome(err error) []error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err != nil && d.missing {
		err = fmt.Errorf("%w: no stream answers: %w", ErrNotFound, err)
	}
	errs := make([]error, len(d.errs))
	for i := range errs {
		if errs[i] = d.errs[i]; d.messages[i] != nil && !d.settled[i] {
			errs[i] = err
		}
	}
	return errs
}

// deliver gives messages to the stream and returns its answer for each. What
// was not confirmed is sent again.
func (p *Publisher) deliver(ctx context.Context, messages []*nats.Msg) []error {
	d := &delivery{messages: messages, errs: make([]error, len(messages)), settled: make([]bool, len(messages))}
	_, err := persist(ctx, p.producer.connection, func() (struct{}, error) { return struct{}{}, p.exchange(ctx, d) })
	if err != nil {
		err = p.why(err)
	}
	return d.outcome(err)
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
			if m != nil && refuses(refusal, m) {
				d.settle(i, classify(refusal))
			}
		}
	}
	missing := false
	for i, ack := range acks {
		if ack == nil || !d.open(i) {
			continue
		}
		select {
		case <-ack.Ok():
			d.settle(i, nil)
		case failure := <-ack.Err():
			switch {
			case errors.Is(failure, jetstream.ErrNoStreamResponse):
				// It can pass: a server that has just started, or that elects.
				missing, err = true, errors.New(failure.Error())
			case final(failure):
				d.settle(i, classify(failure))
			default:
				err = failure
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	d.setMissing(missing)
	return err
}

func (p *Publisher) publish(ctx context.Context, d *delivery) ([]jetstream.PubAckFuture, error) {
	acks := make([]jetstream.PubAckFuture, len(d.messages))
	for i, m := range d.messages {
		if err := ctx.Err(); err != nil {
			return acks, err
		}
		if !d.open(i) {
			continue
		}
		ack, err := p.producer.streams.PublishMsgAsync(m)
		switch {
		case err == nil:
			acks[i] = ack
		case final(err):
			d.settle(i, classify(err))
		default:
			return acks, err
		}
	}
	return acks, nil
}
