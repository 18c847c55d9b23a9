package streadway

import (
	"context"
	"errors"
	"fmt"
	"math/rand"
	"strings"
	"sync"
	"sync/atomic"

	amqp "github.com/streadway/amqp"
)

var (
	idPrefix = rand.Uint64()
	ids      atomic.Uint64
)

// newID is unique among all processes, as far as chance allows.
func newID() string { return fmt.Sprintf("%016x-%x", idPrefix, ids.Add(1)) }

// requester sends requests and waits for their replies. It has a channel of
// its own: with direct reply-to a reply comes back on the channel of its
// request.
type requester struct {
	sender *sender

	mu      sync.Mutex
	waiting map[string]chan *amqp.Delivery // by correlation id
}

// Request sends a request, as Send does, and waits for the reply to it. The
// channel's connection is the reply's way back (RabbitMQ's direct reply-to), so
// nothing has to be declared; where it is lost the request is sent again,
// over the next one.
//
// Errors: Send's. ctx's error says that no reply came in time; without a
// deadline in ctx that is Options.Timeout.
func (p *Publisher) Request(ctx context.Context, envelope *EnvelopeOut) (*EnvelopeIn, error) {
	d, err := p.request(ctx, envelope)
	if err != nil {
		return nil, fmt.Errorf("amqp: request to %q: %w", p.address, err)
	}
	return &EnvelopeIn{delivery: *d, unread: d.Body}, nil
}

func (p *Publisher) request(ctx context.Context, envelope *EnvelopeOut) (*amqp.Delivery, error) {
	ctx, end, err := p.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	m, err := envelope.message(ctx, &p.channel)
	if err != nil {
		return nil, err
	}
	if m.properties.ReplyTo != "" {
		return nil, fmt.Errorf("%w: replies go to %q, so Request can't wait for one", ErrUnsupported, m.properties.ReplyTo)
	}
	m.properties.ReplyTo = replyTo
	if m.properties.CorrelationId == "" {
		m.properties.CorrelationId = newID()
	}
	r := p.replies()
	reply, err := r.expect(m.properties.CorrelationId)
	if err != nil {
		return nil, err
	}
	defer r.forget(m.properties.CorrelationId)
	for {
		r.sender.send(m)
		if err := r.sender.await(ctx, m); err != nil {
			return nil, err
		}
		select {
		case d := <-reply:
			return d, nil
		case <-ctx.Done():
			return nil, r.sender.gaveUp(ctx)
		case <-m.by.gone:
		}
	}
}

// replies starts what waits for replies, at the first Request.
func (p *Publisher) replies() *requester {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.requester == nil {
		r := &requester{waiting: map[string]chan *amqp.Delivery{}}
		r.sender = newSender(p.sender.link, p.sender.prepare)
		r.sender.replies = r.take
		p.requester = r
	}
	return p.requester
}

func (r *requester) expect(id string) (<-chan *amqp.Delivery, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.waiting[id] != nil {
		return nil, fmt.Errorf("another request with the correlation id %q waits for its reply", id)
	}
	reply := make(chan *amqp.Delivery, 1)
	r.waiting[id] = reply
	return reply, nil
}

func (r *requester) forget(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.waiting, id)
}

// take hands a reply to its request. A second one, and one that comes too
// late, is nobody's.
func (r *requester) take(d amqp.Delivery) {
	r.mu.Lock()
	defer r.mu.Unlock()
	select {
	case r.waiting[d.CorrelationId] <- &d:
	default:
		r.sender.link.options.Logger.Warn("amqp: a reply that nobody waits for", "correlationId", d.CorrelationId)
	}
}

// Reply sends a message to where the request says, with its correlation id. It
// returns when the server has confirmed it. That the requester of a direct
// reply-to has gone is not told: such a reply is dropped by the server.
//
// Errors: ErrUnsupported where the request names no place, else Send's.
func (e *EnvelopeIn) Reply(ctx context.Context, envelope *EnvelopeOut) error {
	if err := e.reply(ctx, envelope); err != nil {
		return fmt.Errorf("amqp: reply to %q: %w", e.delivery.ReplyTo, err)
	}
	return nil
}

func (e *EnvelopeIn) reply(ctx context.Context, envelope *EnvelopeOut) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case e.delivery.ReplyTo == "":
		return fmt.Errorf("%w: the message says no place for a reply", ErrUnsupported)
	case e.replier == nil:
		return errors.New("a reply has no reply")
	}
	s, err := e.replier(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := s.link.options.bound(ctx)
	defer cancel()
	defer context.AfterFunc(s.stop, cancel)()
	// To the server a direct reply-to is no queue: mandatory would return it.
	mandatory := !strings.HasPrefix(e.delivery.ReplyTo, replyTo)
	m, err := envelope.message(ctx, &channel{key: e.delivery.ReplyTo, operation: OperationBindings{Mandatory: &mandatory}})
	if err != nil {
		return err
	}
	m.key = e.delivery.ReplyTo
	if m.properties.CorrelationId == "" {
		m.properties.CorrelationId = e.delivery.CorrelationId
	}
	s.send(m)
	return s.await(ctx, m)
}
