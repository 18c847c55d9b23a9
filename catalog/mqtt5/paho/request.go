package paho

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"

	"github.com/eclipse/paho.golang/packets"
	"github.com/eclipse/paho.golang/paho"
)

// replies are the requests that wait for one.
type replies struct {
	subscribing sync.Mutex
	subscribed  map[string]bool

	mu      sync.Mutex
	waiting map[string]chan *paho.Publish // by correlation data
}

// Request sends an envelope that asks for a reply, and waits for it until ctx
// ends or, where ctx has no deadline, Options.Timeout. The reply comes to the
// response topic of the envelope or of its bindings, else to
// Options.ReplyTopic; it is told from others by the correlation data. After an
// error the request may have been handled.
//
// Errors: as those of Send, and those of subscribing to the response topic.
func (p *Publisher) Request(ctx context.Context, envelope *EnvelopeOut) (*EnvelopeIn, error) {
	ctx, done, err := p.begin(ctx)
	if err != nil {
		return nil, fmt.Errorf("mqtt: request to %q: %w", p.topic, err)
	}
	defer done()
	reply, err := p.request(ctx, envelope)
	if err != nil {
		if p.stop.Err() != nil {
			err = fmt.Errorf("%w: %w", ErrClosed, err)
		}
		return nil, fmt.Errorf("mqtt: request to %q: %w", p.topic, classify(err))
	}
	return newEnvelopeIn(p.producer.session, reply), nil
}

func (p *Publisher) request(ctx context.Context, envelope *EnvelopeOut) (*paho.Publish, error) {
	packet, err := envelope.packet(p.topic, p.operation)
	if err != nil {
		return nil, err
	}
	s, r := p.producer.session, &p.producer.replies
	properties := packet.Properties
	if properties.ResponseTopic == "" {
		properties.ResponseTopic = s.options.ReplyTopic
	}
	if properties.CorrelationData == nil {
		properties.CorrelationData = make([]byte, 16)
		rand.Read(properties.CorrelationData)
	}
	if err := r.subscribe(ctx, s, properties.ResponseTopic); err != nil {
		return nil, err
	}
	answer, forget, err := r.expect(string(properties.CorrelationData))
	if err != nil {
		return nil, err
	}
	defer forget()
	errs := make([]error, 1)
	if s.publish(ctx, []*packets.Publish{packet}, errs); errs[0] != nil {
		return nil, errs[0]
	}
	select {
	case reply := <-answer:
		return reply, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("no reply: %w", s.gaveUp(ctx))
	}
}

// subscribe makes sure that replies come in.
func (r *replies) subscribe(ctx context.Context, s *session, topic string) error {
	r.subscribing.Lock()
	defer r.subscribing.Unlock()
	if r.subscribed[topic] {
		return nil
	}
	if err := s.subscribe(ctx, filter{topic, 1}); err != nil {
		return fmt.Errorf("subscribe to the response topic %q: %w", topic, err)
	}
	if r.subscribed == nil {
		r.subscribed = map[string]bool{}
	}
	r.subscribed[topic] = true
	return nil
}

func (r *replies) expect(correlation string) (<-chan *paho.Publish, func(), error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, taken := r.waiting[correlation]; taken {
		return nil, nil, errors.New("another request with this correlation data waits for its reply")
	}
	if r.waiting == nil {
		r.waiting = map[string]chan *paho.Publish{}
	}
	answer := make(chan *paho.Publish, 1)
	r.waiting[correlation] = answer
	return answer, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.waiting, correlation)
	}, nil
}

// deliver brings a reply to its request. One that nobody waits for any more,
// or that has come already, is of no use.
func (r *replies) deliver(_ *line, p *paho.Publish) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if answer := r.waiting[string(p.Properties.CorrelationData)]; answer != nil {
		select {
		case answer <- p:
		default:
		}
	}
}

// Reply answers a request, over the connection that it came by, with its
// correlation data. It returns nil when the server has taken the reply.
// Errors: as those of Send; ErrUnsupported where no reply is asked for.
func (e *EnvelopeIn) Reply(ctx context.Context, envelope *EnvelopeOut) error {
	topic := e.ResponseTopic()
	err := e.reply(ctx, topic, envelope)
	if err != nil {
		return fmt.Errorf("mqtt: reply to %q: %w", topic, classify(err))
	}
	return nil
}

func (e *EnvelopeIn) reply(ctx context.Context, topic string, envelope *EnvelopeOut) error {
	if topic == "" {
		return fmt.Errorf("%w: the message has no response topic", ErrUnsupported)
	}
	packet, err := envelope.packet(topic, OperationBindings{})
	if err != nil {
		return err
	}
	// Written by anybody: what is no topic would end the connection.
	if err := topicName(topic); err != nil {
		return err
	}
	packet.Topic = topic
	packet.Properties.CorrelationData = e.CorrelationData()
	ctx, cancel := e.session.bounded(ctx)
	defer cancel()
	errs := []error{ctx.Err()}
	e.session.publish(ctx, []*packets.Publish{packet}, errs)
	return errs[0]
}
