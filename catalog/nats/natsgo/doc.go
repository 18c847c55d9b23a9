// Package natsgo talks core NATS with github.com/nats-io/nats.go. The copy is
// yours to change.
//
//	producer, err := NewProducer("localhost:4222", nil, nil)
//	publisher, err := producer.Publisher(ctx, "my-subject", nil)
//	envelope := NewEnvelopeOut()
//	envelope.Write([]byte("Hello, NATS!"))
//	err = publisher.Send(ctx, envelope)
//
//	consumer, err := NewConsumer("localhost:4222", nil, nil)
//	subscriber, err := consumer.Subscriber(ctx, "my-subject", nil)
//	err = subscriber.Receive(ctx, func(ctx context.Context, e *EnvelopeIn) error {
//		...
//		return nil
//	})
//
// # Words
//
// channel = subject, envelope = message. A Subscriber's subject may have the
// wildcards * (one token) and > (the rest); EnvelopeIn.Subject tells which one a
// message was sent to.
//
// # Delivery
//
// Core NATS delivers at most once, to whoever is subscribed at that moment.
//
// Send returns nil when the server has the message and does not refuse it; that
// nobody subscribes is no error. A message whose confirmation was lost with the
// connection is sent again, so it can arrive twice.
//
// Receive: once and in order. Nothing can be delivered again: a failed or
// rejected message is logged and the next one follows. Without a queue every
// Subscriber gets every message; the members of a queue group share them.
//
// What can be lost, although Send returned nil: what is sent while a Subscriber
// is not connected, what was on its way to it when its connection broke, what
// has come and waits for a handler when the program ends or Close is called, and
// what comes when more than Options.MaxPending wait. The Logger hears of the
// last two. Where that is too much, the driver nats/jetstream has the same API.
//
// # Replies
//
// Publisher.Request sends with a reply subject of its own and awaits one reply,
// EnvelopeIn.Reply answers. That nobody subscribes is ErrNotFound at once.
//
// # Outages
//
// Send waits and tries again until its context or Options.Timeout ends. Receive
// reconnects for ever, and subscriptions are restored. Credentials refused twice
// end the connection: Send and Receive return ErrUnauthorized from then on. Where
// the server takes fewer subscriptions than before, each Receive that it may mean
// ends with ErrRefused: it does not say which one is too many.
// Options.Logger hears of an outage when it begins and when it ends.
//
// # Bindings
//
//	operation  queue                subscribe: the queue group
//	all        bindingVersion       descriptive
//
// AsyncAPI has no others for NATS: in JSON every other field is ErrUnsupported.
//
// # Headers
//
// Out: text, numbers, booleans and times as text, []byte as it is, a slice as
// repeated headers. NATS has lines of text: a value with a line break or with
// white space at its ends, and a key that is not printable ASCII, is
// ErrUnsupported. In: string, []string where a key is repeated. The content
// type is the header "Content-Type".
//
// # Security
//
// userPassword and plain (user and password in the server's own form), apiKey,
// oauth2 and openIdConnect (all three the server's token), X509 (a client
// certificate in Options.TLS). NKeys and JWTs have no AsyncAPI scheme: they are
// Options.NKey and Options.Credentials. The others are ErrUnsupported.
//
// # Limits
//
// The server's max_payload, 1 MiB by default, bounds a payload with its headers:
// ErrTooLarge. A Producer and a Consumer each have one connection.
//
// # Not here
//
// JetStream, key-value and object stores, services, draining. Producer.Native
// and Consumer.Native give the nats.Conn for the rest, Options.Native the
// nats.Options.
package natsgo
