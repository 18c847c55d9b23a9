package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// feed is what one channel of one session delivers to one Receive. Messages are
// settled over the channel that they came by, and over no other: what is
// settled too late is an error there, and comes again.
type feed struct {
	subscriber *Subscriber
	session    *session
	channel    *amqp.Channel
	noAck      bool
	handle     func(context.Context, *EnvelopeIn) error

	deliveries <-chan amqp.Delivery
	cancels    chan string
	closes     chan *amqp.Error

	work     context.Context // no new handler after it is done
	stop     context.CancelCauseFunc
	handlers context.Context // what handlers get

	mu       sync.Mutex
	failures int // in a row
	panicked any
}

// consumerTag needs to be unique in a channel only, and each has one consumer.
const consumerTag = "receive"

func (s *Subscriber) consume(ctx context.Context, n *session, handle func(context.Context, *EnvelopeIn) error) (*feed, error) {
	if err := s.declare(ctx, n); err != nil {
		return nil, err
	}
	f := &feed{
		subscriber: s, session: n, handle: handle, noAck: !yes(s.channel.operation.Ack),
		cancels: make(chan string, 1), closes: make(chan *amqp.Error, 1),
	}
	var err error
	f.channel, err = n.open(ctx, func(channel *amqp.Channel) (err error) {
		channel.NotifyCancel(f.cancels)
		channel.NotifyClose(f.closes)
		const size, global = 0, false
		if err := channel.Qos(s.link.options.Prefetch, size, global); err != nil {
			return err
		}
		const exclusive, noLocal, noWait = false, false, false
		f.deliveries, err = channel.Consume(s.queue, consumerTag, f.noAck, exclusive, noLocal, noWait, nil)
		return err
	})
	return f, err
}

// run returns when active ends or the channel does: after the handlers that
// run have returned, and what they settled has reached the server.
func (f *feed) run(ctx, active context.Context) error {
	var end context.CancelFunc
	f.handlers, end = context.WithCancel(ctx)
	defer end()
	defer context.AfterFunc(f.subscriber.abandoned, func() {
		end()
		f.session.opened.close(f.channel) // what is in hand goes back to the queue
	})()
	f.work, f.stop = context.WithCancelCause(active)
	defer f.stop(nil)

	var workers sync.WaitGroup
	for i := 0; i < f.subscriber.link.options.Concurrency; i++ {
		workers.Add(1)
		go func() {
			defer workers.Done()
			f.read()
		}()
	}
	workers.Wait()
	deadline := time.Now().Add(f.session.options.Timeout)
	if f.noAck {
		f.hold(deadline)
	}
	f.session.closeChannel(f.channel, deadline)
	return context.Cause(f.work)
}

// read hands messages to the handler, one after the other.
func (f *feed) read() {
	for f.work.Err() == nil {
		d, ok := f.held()
		if !ok {
			select {
			case <-f.work.Done():
				return
			case d, ok = <-f.deliveries:
			}
			if !ok {
				f.stop(f.ended())
				return
			}
		}
		if f.work.Err() != nil {
			if f.noAck {
				f.keep(d)
			}
			return
		}
		f.deliver(d)
	}
}

// ended is why the deliveries have.
func (f *feed) ended() error {
	select {
	case _, ok := <-f.cancels:
		if ok {
			return fmt.Errorf("%w: the server ended the subscription, as it does when the queue is deleted", ErrNotFound)
		}
	default:
	}
	select {
	case err := <-f.closes:
		if err != nil {
			return err
		}
	default:
	}
	return amqp.ErrClosed
}

// deliver runs the handler and settles the message.
func (f *feed) deliver(d amqp.Delivery) {
	log := f.subscriber.link.options.Logger.With("queue", f.subscriber.queue, "messageId", d.MessageId)
	err := f.call(d)
	var settled error
	switch {
	case f.noAck && err != nil:
		log.Warn("amqp: handler failed, the message is lost: it came without acknowledgement", "error", err)
	case f.noAck:
	case err == nil:
		f.pause(false)
		settled = d.Ack(false)
	case rejected(err):
		f.pause(false)
		log.Warn("amqp: message rejected", "error", err)
		settled = d.Nack(false, false)
	default:
		log.Warn("amqp: handler failed, the message comes again", "error", err)
		sleep(f.work, f.pause(true))
		settled = d.Nack(false, true)
	}
	if settled != nil {
		log.Warn("amqp: message not settled, it comes again", "error", f.session.explain(settled))
	}
}

// pause is how long to wait before a failed message goes back to the queue,
// from where the server would give it again at once.
func (f *feed) pause(failed bool) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !failed {
		f.failures = 0
		return 0
	}
	f.failures++
	return f.subscriber.link.options.backoff(f.failures - 1)
}

// call keeps a panic for Receive, which runs in the caller's goroutine.
func (f *feed) call(d amqp.Delivery) (err error) {
	returned := false
	defer func() {
		if returned {
			return
		}
		v := recover()
		if v == nil {
			v = "amqp: the handler called runtime.Goexit"
		}
		f.mu.Lock()
		if f.panicked == nil {
			f.panicked = v
		}
		f.mu.Unlock()
		err = errors.New("the handler panicked")
		f.stop(err)
	}()
	s := f.subscriber
	err = f.handle(f.handlers, &EnvelopeIn{
		delivery: d, unread: d.Body,
		replier: func(ctx context.Context) (*sender, error) { return s.consumer.replier(ctx, s.link) },
	})
	returned = true
	return err
}

// hold ends a subscription without acknowledgement, whose messages the server
// has forgotten: those that came and were not handled are for the next Receive.
func (f *feed) hold(deadline time.Time) {
	timer := time.AfterFunc(time.Until(deadline), func() { f.session.socket.fail(errNoAnswer) })
	defer timer.Stop()
	go func() { _ = f.channel.Cancel(consumerTag, false) }() // ends the deliveries
	for d := range f.deliveries {
		f.keep(d)
	}
}

func (f *feed) keep(d amqp.Delivery) {
	f.subscriber.mu.Lock()
	defer f.subscriber.mu.Unlock()
	f.subscriber.held = append(f.subscriber.held, d)
}

// held gives a message that an earlier Receive has left.
func (f *feed) held() (d amqp.Delivery, ok bool) {
	if !f.noAck {
		return d, false
	}
	s := f.subscriber
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.held) == 0 {
		return d, false
	}
	d = s.held[0]
	s.held = s.held[1:]
	return d, true
}
