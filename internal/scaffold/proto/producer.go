package proto

import (
	"context"
	"fmt"
)

// notYet is what everything returns that is still to be written.
func notYet(what string) error {
	return fmt.Errorf("proto: %s is not implemented yet: %w", what, ErrUnsupported)
}

// Producer is a connection to a server, for sending. It is safe for concurrent
// use.
type Producer struct {
	host    string
	options Options
}

// NewProducer connects to the server and logs in. A dead address, a wrong
// password or an authority that is not trusted is an error here, within
// Options.Timeout, and leaves nothing behind. A security scheme that the
// protocol cannot carry is ErrUnsupported.
func NewProducer(serverURL string, bindings *ServerBindings, options *Options) (*Producer, error) {
	host, err := address(serverURL)
	if err != nil {
		return nil, err
	}
	p := &Producer{host: host, options: options.withDefaults()}
	return p, notYet("NewProducer")
}

// Publisher opens a channel for sending. What the channel needs on the server
// is declared; what exists with other settings is ErrRefused, and stays.
func (p *Producer) Publisher(ctx context.Context, address string, bindings *ChannelBindings) (*Publisher, error) {
	return nil, notYet("Publisher")
}

// Close closes the publishers and the connection. It can be called again, in
// any order with the publishers' Close, and leaves no goroutine behind.
func (p *Producer) Close() error { return notYet("Producer.Close") }

// Publisher sends to one address. It is safe for concurrent use.
type Publisher struct{}

// Send sends the envelopes in order. It returns nil when the protocol's
// strongest guarantee holds for all of them; if some of several failed,
// SendErrors. During an outage it waits for the connection, until ctx ends or,
// where that has no deadline, Options.Timeout. After Close it is ErrClosed.
func (p *Publisher) Send(ctx context.Context, envelopes ...*EnvelopeOut) error {
	return notYet("Send")
}

// Close waits for Sends in flight, no longer than Options.Timeout.
func (p *Publisher) Close() error { return notYet("Publisher.Close") }
