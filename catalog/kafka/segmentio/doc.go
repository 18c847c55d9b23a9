// Package segmentio talks to Kafka with github.com/segmentio/kafka-go. The
// copy is yours to change.
//
//	producer, err := NewProducer("localhost:9092", nil, nil)
//	publisher, err := producer.Publisher(ctx, "my-topic", nil)
//	envelope := NewEnvelopeOut()
//	envelope.Write([]byte("Hello, Kafka!"))
//	err = publisher.Send(ctx, envelope)
//
//	consumer, err := NewConsumer("localhost:9092", nil, nil)
//	subscriber, err := consumer.Subscriber(ctx, "my-topic", nil)
//	err = subscriber.Receive(ctx, func(ctx context.Context, e *EnvelopeIn) error {
//		...
//		return nil // settles the record
//	})
//
// # Words
//
// channel = topic, envelope = record, payload = the record's value. A nil
// payload is a tombstone.
//
// # Delivery
//
// Send: acks=all, in order within a partition. A record whose confirmation is
// lost on the way is sent again, so it can arrive twice; none is lost without
// an error. Records with a key go where the Java client would send them.
//
// Receive: at least once. The group's offset passes a record when its handler
// has returned nil or Reject, and never one that is not settled; commits carry
// the group's generation, so the server refuses those of a member that lost
// its partitions. A failed record holds back its partition, no other. Records
// handled in the last 100 ms before a crash come again.
//
// A group uses the assignors range and roundrobin, which work with members that
// are other clients; not with cooperative-sticky.
//
// # Outages
//
// Send waits and tries again until its context or Options.Timeout ends. Receive
// reconnects for ever. Options.Logger hears of an outage when it begins and
// when it ends.
//
// # Bindings
//
//	server     schemaRegistryUrl, schemaRegistryVendor         descriptive
//	channel    topic                                           publish, subscribe: instead of the address
//	           partitions, replicas, topicConfiguration        declare; ErrRefused where the topic differs
//	operation  groupId                                         subscribe
//	           clientId                                        connect: on connections of the channel's own
//	message    key                                             publish, where the schema gives a value
//	           schemaIdLocation, schemaIdPayloadEncoding,
//	           schemaLookupStrategy                            descriptive
//	all        bindingVersion                                  descriptive
//
// Descriptive fields say how the payload is encoded, which is up to whoever
// calls SetPayload: the driver carries bytes. A contradiction in them is an
// error.
//
// # Headers
//
// Out: text, numbers, booleans and times as text, []byte as it is, a slice as
// repeated headers. In: []byte, [][]byte where a key is repeated. The content
// type is the header "content-type".
//
// # Security
//
// userPassword and plain (SASL PLAIN), scramSha256, scramSha512, oauth2 and
// openIdConnect (OAUTHBEARER), X509 (a client certificate in Options.TLS). The
// others are ErrUnsupported: Kafka refuses an empty user or password, so there
// is no place for apiKey either.
//
// # Limits
//
// The server's message.max.bytes, 1 MiB by default, bounds a record with its
// headers: ErrTooLarge. Each partition that a Subscriber reads costs one
// connection and reads ahead Options.MaxFetchBytes. The library can't tell a
// topic that was deleted and created again under a running Receive from the old
// one: its first records are skipped where it has grown past the old offset.
//
// # Not here
//
// Transactions (records of aborted ones are delivered), idempotent production,
// static membership, schema registries. Producer.Native and Consumer.Native give
// the kafka.Client for the rest, Options.Native the kafka.Transport.
package segmentio
