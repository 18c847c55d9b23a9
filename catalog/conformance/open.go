package conformance

import (
	"context"
	"sync/atomic"
	"time"
)

// The open types are the driver's objects with every call watched by run.

type openProducer struct {
	t       *trial
	p       producer
	timeout time.Duration
	closed  atomic.Bool
}

type openConsumer struct {
	t       *trial
	c       consumer
	timeout time.Duration
	closed  atomic.Bool
}

type openPublisher struct {
	t       *trial
	p       publisher
	timeout time.Duration
}

type openSubscriber struct {
	t       *trial
	s       subscriber
	timeout time.Duration
}

func (t *trial) newProducer(s Settings) (*openProducer, error) {
	o := &openProducer{t: t, timeout: s.Timeout}
	err := t.run("NewProducer", context.Background(), s.Timeout, func() (err error) {
		o.p, err = t.d.newProducer(s)
		return err
	})
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() {
		if !o.closed.Load() {
			o.Close()
		}
	})
	return o, nil
}

func (t *trial) newConsumer(s Settings) (*openConsumer, error) {
	o := &openConsumer{t: t, timeout: s.Timeout}
	err := t.run("NewConsumer", context.Background(), s.Timeout, func() (err error) {
		o.c, err = t.d.newConsumer(s)
		return err
	})
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() {
		if !o.closed.Load() {
			o.Close()
		}
	})
	return o, nil
}

func (o *openProducer) open(ctx context.Context, address string, c Channel) (*openPublisher, error) {
	p := &openPublisher{t: o.t, timeout: o.timeout}
	err := o.t.run("Publisher", ctx, o.timeout, func() (err error) {
		p.p, err = o.p.publisher(ctx, address, c)
		return err
	})
	if err != nil {
		return nil, err
	}
	return p, nil
}

func (o *openConsumer) open(ctx context.Context, address string, c Channel) (*openSubscriber, error) {
	s := &openSubscriber{t: o.t, timeout: o.timeout}
	err := o.t.run("Subscriber", ctx, o.timeout, func() (err error) {
		s.s, err = o.c.subscriber(ctx, address, c)
		return err
	})
	if err != nil {
		return nil, err
	}
	return s, nil
}

func (o *openConsumer) url() string { return o.c.url() }

func (o *openProducer) Close() error {
	o.closed.Store(true)
	return o.t.run("Producer.Close", context.Background(), o.timeout, o.p.close)
}

func (o *openConsumer) Close() error {
	o.closed.Store(true)
	return o.t.run("Consumer.Close", context.Background(), o.timeout, o.c.close)
}

func (o *openPublisher) Close() error {
	return o.t.run("Publisher.Close", context.Background(), o.timeout, o.p.Close)
}

func (o *openSubscriber) Close() error {
	return o.t.run("Subscriber.Close", context.Background(), o.timeout, o.s.Close)
}

func (o *openPublisher) Send(ctx context.Context, envelopes ...EnvelopeOut) error {
	return o.t.run("Send", ctx, o.timeout, func() error { return o.p.Send(ctx, envelopes...) })
}
