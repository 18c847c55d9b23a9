// Package proto talks to PROTO with LIBRARY. Nothing of it is implemented yet:
// Publisher and Subscriber, Send and Receive say so. This comment is the form
// that every driver's documentation has; fill it in as you go.
//
//	producer, err := NewProducer("proto://localhost", nil, nil)
//	publisher, err := producer.Publisher(ctx, "my-address", nil)
//	envelope := NewEnvelopeOut()
//	envelope.Write([]byte("Hello!"))
//	err = publisher.Send(ctx, envelope)
//
//	consumer, err := NewConsumer("proto://localhost", nil, nil)
//	subscriber, err := consumer.Subscriber(ctx, "my-address", nil)
//	err = subscriber.Receive(ctx, func(ctx context.Context, e *EnvelopeIn) error {
//		...
//		return nil // settles the message
//	})
//
// # Words
//
// What the protocol calls a channel, an envelope and a payload.
//
// # Delivery
//
// What Send has when it returns nil, in which order messages arrive, when a
// message is settled, what becomes of one whose handler failed.
//
// # Outages
//
// What Send and Receive do while the server is away.
//
// # Bindings
//
// Each field: applied where, refused, or descriptive.
//
// # Security
//
// Which schemes the protocol can carry.
//
// # Limits
//
// Sizes, numbers, costs.
//
// # Not here
//
// What a reader may look for in vain.
package proto
