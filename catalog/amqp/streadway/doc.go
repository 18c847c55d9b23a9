// Package streadway talks to RabbitMQ, and to other servers of AMQP 0-9-1, with
// github.com/streadway/amqp. The copy is yours to change.
//
// That library is unmaintained, and says so itself: for something new take
// amqp/rabbitmq, whose library continues it and whose API here is the same.
//
//	producer, err := NewProducer("localhost:5672", nil, nil)
//	publisher, err := producer.Publisher(ctx, "my-queue", nil)
//	envelope := NewEnvelopeOut()
//	envelope.Write([]byte("Hello, RabbitMQ!"))
//	err = publisher.Send(ctx, envelope)
//
//	consumer, err := NewConsumer("localhost:5672", nil, nil)
//	subscriber, err := consumer.Subscriber(ctx, "my-queue", nil)
//	err = subscriber.Receive(ctx, func(ctx context.Context, e *EnvelopeIn) error {
//		...
//		return nil // acknowledges the message
//	})
//
// # Words
//
// channel = queue, or exchange and routing key; envelope = message, payload =
// its body. Without bindings the address is a durable queue, which the Publisher
// and the Subscriber declare, whichever comes first. Subscribers of a queue share
// its messages. With an exchange in the bindings the address is the routing key,
// and each Subscriber gets all messages, by a queue of its own.
//
// # Delivery
//
// Send: publisher confirms, in order within a Publisher. Messages are persistent.
// In a queue channel they are mandatory too: one that no queue takes is
// ErrRefused; with an exchange it is dropped by the server, as there may be no
// Subscriber, unless the binding mandatory says otherwise. A message whose
// confirm is lost on the way is sent again, so it can arrive twice, with the
// same EnvelopeIn.MessageID; none is lost without an error.
//
// Receive: at least once. A message is acknowledged when its handler has returned
// nil, over the channel that it came by: after a reconnect a late
// acknowledgement is no other message's. A failed message goes back to its place
// in the queue after a back-off, during which it keeps its handler's place. With
// Concurrency and Prefetch at 1 nothing overtakes it.
//
// What may be lost: messages in the queue that the server names for a Subscriber
// of an exchange, when its connection is lost, and what is sent until it has
// another; messages of deliveryMode 1, or in a queue that is not durable, when
// the server restarts; with ack false, what is under way or not handled yet when
// the connection is lost or the Subscriber is closed.
//
// # Outages
//
// Send waits and tries again until its context or Options.Timeout ends, also
// while the server takes no messages for lack of memory or disk. Receive
// reconnects for ever. Each time there is a new connection with new channels,
// and queues, exchanges and bindings are declared again. Options.Logger hears of
// an outage when it begins and when it ends.
//
// # Bindings
//
//	server     (AsyncAPI has none)
//	channel    is                                        publish, subscribe: what the address names
//	           exchange.name, queue.name                 declare, publish, subscribe
//	           exchange.type, .durable, .autoDelete      declare; ErrRefused where the exchange differs
//	           queue.durable, .exclusive, .autoDelete    declare; ErrRefused where the queue differs
//	           exchange.vhost, queue.vhost               connect: on a connection of the vhost's own
//	operation  expiration (milliseconds), userId,
//	           priority, deliveryMode, mandatory,
//	           timestamp, replyTo                        publish
//	           cc, bcc                                   publish: the headers CC and BCC
//	           ack                                       subscribe
//	message    contentEncoding, messageType              publish: the properties content-encoding and type
//	all        bindingVersion                            descriptive
//
// A contradiction in them is an error. Of queue and exchange AsyncAPI has one or
// the other; with is: routingKey both may be there, and the queue is then the
// Subscriber's.
//
// # Headers
//
// Out: string, []byte, bool, numbers (integers with 64 bits), times in whole
// seconds, a slice as an array. In: as they are decoded. The content type is the
// property content-type.
//
// # Replies
//
// Request uses RabbitMQ's direct reply-to. Reply answers to any queue that a
// message names in reply-to.
//
// # Security
//
// userPassword, plain and apiKey (SASL PLAIN), oauth2 and openIdConnect (the token
// as PLAIN's password, for RabbitMQ's OAuth 2 plugin; a new one for each
// connection), X509 (a client certificate in Options.TLS, and SASL EXTERNAL). The
// others are ErrUnsupported. Without any it is guest, password guest.
//
// # Limits
//
// Names, routing keys, header keys and properties have at most 255 bytes:
// ErrUnsupported. All headers together fit into a frame, 128 KiB by default:
// ErrTooLarge, as for a payload above the server's max_message_size. A handler
// that takes longer than the server's consumer_timeout, 30 minutes, loses its
// message to another one. With ack false nothing holds the server back: what it
// sends faster than it is handled waits in memory. The library can't read
// headers of unsigned integers and single bytes: frames.go turns them into the
// next larger type before it does.
//
// # Not here
//
// Arguments of queues and exchanges (dead letters, lengths, quorum queues,
// streams): declare those elsewhere, by policy or definitions, and set
// Options.NoDeclare. Transactions. Producer.Native and Consumer.Native give the
// amqp.Connection for the rest, Options.Native the amqp.Config.
package streadway
