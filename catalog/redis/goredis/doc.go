// Package goredis talks to Redis Pub/Sub with github.com/redis/go-redis/v9. The
// copy is yours to change.
//
//	producer, err := NewProducer("localhost:6379", nil, nil)
//	publisher, err := producer.Publisher(ctx, "my-channel", nil)
//	envelope := NewEnvelopeOut()
//	envelope.Write([]byte("Hello, Redis!"))
//	err = publisher.Send(ctx, envelope)
//
//	consumer, err := NewConsumer("localhost:6379", nil, nil)
//	subscriber, err := consumer.Subscriber(ctx, "my-channel", nil)
//	err = subscriber.Receive(ctx, func(ctx context.Context, e *EnvelopeIn) error {
//		...
//		return nil
//	})
//
// # Words
//
// channel = Pub/Sub channel, or a pattern of their names, envelope = message.
// Channels belong to the whole server: the database number does not part them.
//
// # Delivery
//
// Redis passes a message on to those who listen at that moment, and forgets it.
//
// Send: returns nil when the server has done so, be there listeners or not, in
// order. A message whose confirmation is lost on the way is sent again, so it
// can arrive twice.
//
// Receive: at most once, in order with one handler at a time. Subscriber returns
// when the server has confirmed the subscription; what is published from then on
// comes to Receive, also between two calls of it. A message whose handler failed
// is logged and gone. Nothing is read ahead of the handlers and nothing dropped
// here: what they are not ready for waits at the server.
//
// Lost is what is published while a Subscriber's connection is down, what was on
// its way to it then, and what Close finds waiting. The server itself cuts off a
// subscriber that is too slow, by default (client-output-buffer-limit) when 32
// MB wait for it, or 8 MB for a minute. Where that can't be, use streams.
//
// # Outages
//
// Send waits and tries again until its context or Options.Timeout ends. Receive
// reconnects and subscribes again for ever. Options.Logger hears of an outage
// when it begins and when it ends; messages published in between are lost.
//
// # Bindings
//
// AsyncAPI's redis bindings have no fields; any in JSON is an error. These are
// extensions:
//
//	channel    x-pattern      subscribe: PSUBSCRIBE; ErrUnsupported in Publisher
//	           x-maxLen       ErrUnsupported: for streams
//	operation  x-group        ErrUnsupported: for streams
//	           x-consumer     ErrUnsupported: for streams
//	all        bindingVersion descriptive
//
// # Headers
//
// There are none, nor a content type: setting one is ErrUnsupported from Send.
//
// # Security
//
// userPassword and plain (AUTH with a user of the ACL, or with none for the
// default user), apiKey in the password, oauth2 and openIdConnect (the token in
// place of the password; a user in the URL says whose it is), X509 (a client
// certificate in Options.TLS, which proves who connects and does not log in as a
// user). The others are ErrUnsupported.
//
// # Limits
//
// Options.MaxPayload bounds a payload: ErrTooLarge. Each Subscriber has a
// connection of its own, a Producer one for all its Publishers.
//
// # Not here
//
// Redis Cluster's sharded channels (SPUBLISH), lists of hosts, Sentinel, unix
// sockets, keyspace notifications other than as patterns. Producer.Native and
// Consumer.Native give a redis.Client for the rest, Options.Native the
// redis.Options.
package goredis
