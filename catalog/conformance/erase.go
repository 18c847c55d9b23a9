package conformance

import (
	"context"
	"errors"
	"net"
)

// The checks are written against the types of this file, so that they need no
// type parameters.

type publisher interface {
	Send(ctx context.Context, envelopes ...EnvelopeOut) error
	Close() error
}

type subscriber interface {
	Receive(ctx context.Context, handle func(context.Context, EnvelopeIn) error) error
	Close() error
}

type producer struct {
	publisher func(ctx context.Context, address string, channel Channel) (publisher, error)
	close     func() error
}

type consumer struct {
	subscriber func(ctx context.Context, address string, channel Channel) (subscriber, error)
	close      func() error
	url        func() string
}

// driver is a Driver without its type parameters.
type driver struct {
	name         string
	broker       *Broker
	caps         Capabilities
	newEnvelope  func() EnvelopeOut
	newProducer  func(Settings) (producer, error)
	newConsumer  func(Settings) (consumer, error)
	errors       Errors
	reject       func(error) error
	sendErrors   func(error) []error
	secureScheme string
	greet        func(client, server net.Conn) error
	address      func(string) string
	setKey       func(EnvelopeOut, string)
	request      func(context.Context, publisher, EnvelopeOut) (EnvelopeIn, error)
	reply        func(context.Context, EnvelopeIn, EnvelopeOut) error
	delete       func(context.Context, string) error
	foreign      *Foreign
	background   []string
}

func erase[O EnvelopeOut, I EnvelopeIn](d Driver[O, I]) *driver {
	e := &driver{
		name: d.Name, broker: d.Broker, caps: d.Capabilities, errors: d.Errors, reject: d.Reject,
		sendErrors: d.SendErrors, secureScheme: d.SecureScheme, greet: d.Greet, address: d.Address,
		delete: d.Delete, foreign: d.Foreign, background: d.Background,
	}
	e.newEnvelope = func() EnvelopeOut { return d.NewEnvelope() }
	e.newProducer = func(s Settings) (producer, error) {
		p, err := d.NewProducer(s)
		return producer{
			publisher: func(ctx context.Context, address string, c Channel) (publisher, error) {
				pub, err := p.Publisher(ctx, address, c)
				return typedPublisher[O]{pub}, err
			},
			close: p.Close,
		}, err
	}
	e.newConsumer = func(s Settings) (consumer, error) {
		c, err := d.NewConsumer(s)
		return consumer{
			subscriber: func(ctx context.Context, address string, channel Channel) (subscriber, error) {
				sub, err := c.Subscriber(ctx, address, channel)
				return typedSubscriber[I]{sub}, err
			},
			close: c.Close,
			url:   c.URL,
		}, err
	}
	if d.SetKey != nil {
		e.setKey = func(envelope EnvelopeOut, key string) { d.SetKey(envelope.(O), key) }
	}
	if d.Request != nil {
		e.request = func(ctx context.Context, p publisher, envelope EnvelopeOut) (EnvelopeIn, error) {
			return d.Request(ctx, p.(typedPublisher[O]).Publisher, envelope.(O))
		}
	}
	if d.Reply != nil {
		e.reply = func(ctx context.Context, request EnvelopeIn, envelope EnvelopeOut) error {
			return d.Reply(ctx, request.(I), envelope.(O))
		}
	}
	return e
}

// check tells what the wiring has forgotten.
func (d *driver) check() error {
	switch {
	case d.name == "" || d.newEnvelope == nil || d.reject == nil || d.sendErrors == nil:
		return errors.New("the wiring lacks one of Name, NewEnvelope, Reject, SendErrors")
	case d.errors.Closed == nil || d.errors.Unsupported == nil || d.errors.Refused == nil ||
		d.errors.NotFound == nil || d.errors.Unauthorized == nil || d.errors.TooLarge == nil:
		return errors.New("the wiring lacks one of the Errors")
	case d.broker == nil && !d.caps.NoServer:
		return errors.New("the wiring has no Broker, and its Capabilities do not say NoServer")
	}
	return nil
}

type typedPublisher[O EnvelopeOut] struct{ Publisher[O] }

func (p typedPublisher[O]) Send(ctx context.Context, envelopes ...EnvelopeOut) error {
	typed := make([]O, len(envelopes))
	for i, envelope := range envelopes {
		typed[i] = envelope.(O)
	}
	return p.Publisher.Send(ctx, typed...)
}

type typedSubscriber[I EnvelopeIn] struct{ Subscriber[I] }

func (s typedSubscriber[I]) Receive(ctx context.Context, handle func(context.Context, EnvelopeIn) error) error {
	return s.Subscriber.Receive(ctx, func(ctx context.Context, in I) error { return handle(ctx, in) })
}
