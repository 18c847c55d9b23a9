// Package jetstream talks NATS JetStream with github.com/nats-io/nats.go. The
// copy is yours to change.
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
//		return nil // settles the message
//	})
//
// # Words
//
// channel = subject of a stream, envelope = message, queue = durable consumer. A
// Subscriber's subject may have the wildcards * (one token) and > (the rest);
// EnvelopeIn.Subject tells which one a message was sent to.
//
// A stream is created for a subject that none has, with the server's defaults,
// and named after it: "orders.new" is in orders_new. Options.Stream changes what
// is created, Options.NoDeclare turns it off. A subject that a stream has in
// part, or several have, is ErrRefused.
//
// # Delivery
//
// Send: stored by a stream, in order. A message whose confirmation is lost on
// the way is sent again, so it can be stored twice, unless it has a header
// Nats-Msg-Id; none is lost without an error.
//
// Receive: at least once. A message is acknowledged when its handler has
// returned nil, and terminated after Reject. After an error it comes again,
// following a back-off, while later ones go on; so does, after AckWait (30 s
// unless Options.Consumer says otherwise), what was under way when a connection
// broke or the program crashed. What must be in order all the same needs a
// MaxAckPending of 1.
//
// A Subscriber with a queue reads the durable consumer of that name, a new one
// from the stream's first message; Options.Consumer can say where else, and how
// fast, to replay. One without a queue gets what is sent from then on, by a
// consumer of its own, which the server removes an hour after the program is
// gone; an outage that lasts longer ends Receive with ErrNotFound.
//
// # Outages
//
// Send waits and tries again until its context or Options.Timeout ends. Receive
// reconnects for ever. Credentials refused twice end the connection: Send and
// Receive return ErrUnauthorized from then on. Where the server takes fewer
// subscriptions than before, each Receive that it may mean ends with ErrRefused:
// it does not say which one is too many. That no JetStream answers is ErrRefused
// when it has lasted for Options.Timeout: a server that has just started has none
// yet. Options.Logger hears of an outage when it begins and when it ends.
//
// # Bindings
//
//	operation  queue                subscribe: the durable consumer
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
// type is the header "Content-Type". Those that begin with Nats- instruct the
// server.
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
// ErrTooLarge. What a stream's own limits refuse is ErrRefused. A Subscriber
// holds up to Options.MaxPending messages that wait for a handler.
//
// # Not here
//
// Replies (Request and Reply are ErrUnsupported; nats/natsgo has them), push and
// ordered consumers, changing streams, key-value and object stores.
// Producer.Native and Consumer.Native give the jetstream.JetStream for the rest,
// Options.Native the nats.Options.
package jetstream
