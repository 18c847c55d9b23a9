package proto

import "context"

// Consumer is a connection to a server, for receiving. It is safe for
// concurrent use.
type Consumer struct {
	host    string
	options Options
}

// NewConsumer connects to the server and logs in, as NewProducer does.
func NewConsumer(serverURL string, bindings *ServerBindings, options *Options) (*Consumer, error) {
	host, err := address(serverURL)
	if err != nil {
		return nil, err
	}
	c := &Consumer{host: host, options: options.withDefaults()}
	return c, notYet("NewConsumer")
}

// Subscriber subscribes to an address. What is sent after it returned is
// received.
func (c *Consumer) Subscriber(ctx context.Context, address string, bindings *ChannelBindings) (*Subscriber, error) {
	return nil, notYet("Subscriber")
}

// Close closes the subscribers and the connection. It can be called again, and
// leaves no goroutine behind.
func (c *Consumer) Close() error { return notYet("Consumer.Close") }

// Subscriber receives from one address.
type Subscriber struct{}

// Receive hands messages to handle, Options.Concurrency at once, until ctx ends
// (ctx.Err()), the subscriber is closed (ErrClosed) or it cannot go on. One
// Receive runs at a time. A message is settled when handle has returned: nil
// acknowledges it, an error that came from Reject drops it, any other makes it
// come again after a pause. handle's panic goes to Receive's caller. An outage
// is waited for, not returned.
func (s *Subscriber) Receive(ctx context.Context, handle func(context.Context, *EnvelopeIn) error) error {
	return notYet("Receive")
}

// Close makes Receive return ErrClosed and waits for the handlers in flight, no
// longer than Options.Timeout. It can be called from a handler.
func (s *Subscriber) Close() error { return notYet("Subscriber.Close") }
