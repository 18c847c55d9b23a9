package rabbitmq

import (
	"context"
	"fmt"
	"sync"

	amqp "github.com/rabbitmq/amqp091-go"
)

// replyTo is the pseudo-queue of RabbitMQ's direct reply-to: a reply comes over
// the channel that the request went out by.
const replyTo = "amq.rabbitmq.reply-to"

// outlet is a sender's channel in one session.
type outlet struct {
	sender  *sender
	session *session
	channel *amqp.Channel

	gone chan struct{} // closed when the channel has ended

	mu      sync.Mutex
	over    bool
	pending []*attempt // published and not confirmed, in order
	tag     uint64     // delivery tag of the first of them
}

// openOutlet declares what is needed and opens a channel with confirms.
func (s *sender) openOutlet(ctx context.Context, n *session) (*outlet, error) {
	if err := s.prepare(ctx, n); err != nil {
		return nil, err
	}
	o := &outlet{sender: s, session: n, gone: make(chan struct{}), tag: 1}
	var replies <-chan amqp.Delivery
	// The channel of returns has no buffer: the library goes on to the confirm
	// of a message only when its return has been taken.
	returns, confirms, closes := make(chan amqp.Return), make(chan amqp.Confirmation, 64), make(chan *amqp.Error, 1)
	channel, err := n.open(ctx, func(channel *amqp.Channel) (err error) {
		if s.replies != nil {
			const noAck, exclusive, noLocal, noWait = true, false, false, false
			replies, err = channel.Consume(replyTo, "", noAck, exclusive, noLocal, noWait, nil)
			if err != nil {
				return err
			}
		}
		return channel.Confirm(false)
	})
	if err != nil {
		return nil, err
	}
	o.channel = channel
	channel.NotifyReturn(returns)
	channel.NotifyClose(closes)
	channel.NotifyPublish(confirms)
	s.work.Add(1)
	go o.watch(returns, confirms, closes)
	if replies != nil {
		s.work.Add(1)
		go func() {
			defer s.work.Done()
			for d := range replies {
				s.replies(d)
			}
		}()
	}
	return o, nil
}

func (o *outlet) alive() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return !o.over && alive(o.session)
}

// attempt is one publishing of a message.
type attempt struct {
	*message
	returned error         // the server had no queue for it
	over     chan struct{} // for one that goes alone: closed when the server has answered, or won't
}

// register notes a message as published, before it is: the confirm may be
// faster than the call that publishes. It gives nil where the channel has ended.
func (o *outlet) register(m *message) *attempt {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.over {
		return nil
	}
	a := &attempt{message: m}
	if m.alone {
		a.over = make(chan struct{})
	}
	o.pending = append(o.pending, a)
	return a
}

// publish writes a registered message. Its answer comes to watch, also where
// writing fails: the channel ends then.
func (o *outlet) publish(a *attempt) {
	if err := fits(a.message, o.session.conn.Config.FrameSize); err != nil {
		o.withdraw(a, err)
		return
	}
	const immediate = false
	if err := o.channel.Publish(a.exchange, a.key, a.mandatory, immediate, a.properties); err != nil {
		o.session.opened.close(o.channel)
	}
	if a.over != nil {
		<-a.over
	}
}

// fits refuses properties that are larger than a frame, over which the server
// would close the connection.
func fits(m *message, frame int) error {
	const overhead = 64
	if frame > 0 && m.header > frame-overhead {
		return fmt.Errorf("%w: headers of %d bytes, the connection's frames have %d", ErrTooLarge, m.header, frame)
	}
	return nil
}

// withdraw takes back the message that was registered last.
func (o *outlet) withdraw(a *attempt, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if n := len(o.pending); n > 0 && o.pending[n-1] == a {
		o.pending = o.pending[:n-1]
		a.answer(err)
	}
}

// watch settles messages by what the server says of them, until the channel
// has ended.
func (o *outlet) watch(returns <-chan amqp.Return, confirms <-chan amqp.Confirmation, closes <-chan *amqp.Error) {
	defer o.sender.work.Done()
	for {
		select {
		case r, ok := <-returns:
			if !ok {
				returns = nil
				continue
			}
			o.returned(r)
		case c, ok := <-confirms:
			if !ok {
				o.end(<-closes)
				return
			}
			o.confirmed(c)
		}
	}
}

// returned notes that a message had nowhere to go. Its confirm follows.
func (o *outlet) returned(r amqp.Return) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, a := range o.pending {
		if a.returned == nil && a.mandatory && a.properties.MessageId == r.MessageId && a.key == r.RoutingKey {
			a.returned = &amqp.Error{Code: int(r.ReplyCode), Reason: r.ReplyText, Server: true}
			return
		}
	}
}

// confirmed settles the first message: the library gives confirms in order.
func (o *outlet) confirmed(c amqp.Confirmation) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.pending) == 0 || c.DeliveryTag != o.tag {
		o.session.socket.fail(fmt.Errorf("the server confirmed message %d of the channel, not %d", c.DeliveryTag, o.tag))
		return
	}
	a := o.pending[0]
	o.pending[0] = nil
	o.pending = o.pending[1:]
	o.tag++
	a.by = o
	if a.over != nil {
		close(a.over)
	}
	switch {
	case a.returned != nil:
		a.answer(fmt.Errorf("no queue takes it: %w", a.returned))
	case !c.Ack:
		a.answer(fmt.Errorf("%w: negative confirm", ErrRefused))
	default:
		a.answer(nil)
	}
}

// end hands what was not confirmed back to the sender. Nobody knows whether
// the server has it, so it is sent again.
func (o *outlet) end(reason *amqp.Error) {
	o.mu.Lock()
	o.over = true
	pending := o.pending
	o.pending = nil
	o.mu.Unlock()
	close(o.gone)
	o.session.opened.close(o.channel)
	s := o.sender
	s.mu.Lock()
	defer s.mu.Unlock()
	var again []*message
	for _, a := range pending {
		if a.over != nil {
			close(a.over)
		}
		switch {
		case s.stop.Err() != nil:
			a.answer(ErrClosed)
		case s.blames(reason) && len(pending) == 1:
			a.answer(refusal(reason))
		default:
			a.alone = a.alone || s.blames(reason)
			again = append(again, a.message)
		}
	}
	s.queue = append(again, s.queue...)
	s.wake()
}

// blames tells whether the server ended the channel for what was sent over it.
// A missing exchange is declared again rather.
func (s *sender) blames(reason *amqp.Error) bool {
	return reason != nil && reason.Server && reason.Recover && !(s.repeat && reason.Code == amqp.NotFound)
}

// refusal is the error of a message that the server ended the channel for.
func refusal(reason *amqp.Error) error {
	if kind(reason) == nil {
		return fmt.Errorf("%w: %w", ErrRefused, reason)
	}
	return reason
}
