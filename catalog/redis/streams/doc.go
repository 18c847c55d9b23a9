// Package streams talks to Redis streams with github.com/redis/go-redis/v9. The
// copy is yours to change.
//
//	producer, err := NewProducer("localhost:6379", nil, nil)
//	publisher, err := producer.Publisher(ctx, "my-stream", nil)
//	envelope := NewEnvelopeOut()
//	envelope.Write([]byte("Hello, Redis!"))
//	err = publisher.Send(ctx, envelope)
//
//	consumer, err := NewConsumer("localhost:6379", nil, nil)
//	subscriber, err := consumer.Subscriber(ctx, "my-stream", nil)
//	err = subscriber.Receive(ctx, func(ctx context.Context, e *EnvelopeIn) error {
//		...
//		return nil // settles the entry
//	})
//
// # Words
//
// channel = stream, envelope = entry, payload = the field "payload", headers =
// the other fields. A Subscriber in a group is one of its consumers.
//
// # Delivery
//
// Send: returns nil when the server has added the entry, in order. One whose
// confirmation is lost on the way is added again, so it can arrive twice.
//
// Receive: at least once. In a group an entry is acknowledged (XACK) when its
// handler has returned nil or Reject. A failed one comes again, here and before
// any other, with one handler at a time. What a member had that is not heard of
// any more, the others take over after Options.ClaimAfter, out of order; what it
// had when it was closed, soon. Entries handled just before a crash come again.
// Without a group each Subscriber gets what is added after it was opened, and
// forgets where it was when it is closed.
//
// Lost is what the server loses: by its default settings all that was added since
// it last saved, when it crashes; with appendonly a second at most, when the
// machine does; and with a replica that takes over, what had not reached it.
// Trimming (x-maxLen, XTRIM) takes entries whether they were read or not: those
// of a group that were given to a member already are acknowledged and logged.
//
// # Outages
//
// Send waits and tries again until its context or Options.Timeout ends. Receive
// reconnects for ever. A group that is gone is created again and begins at the
// first entry. Options.Logger hears of an outage when it begins and when it ends.
//
// # Bindings
//
// AsyncAPI's redis bindings have no fields; any in JSON is an error. These are
// extensions:
//
//	channel    x-maxLen       publish: XADD MAXLEN ~
//	           x-pattern      ErrUnsupported: for Pub/Sub
//	operation  x-group        subscribe: the consumer group
//	           x-consumer     subscribe: the name in the group, kept over a restart
//	all        bindingVersion descriptive
//
// # Headers
//
// Out: text, numbers, booleans and times as text, []byte as it is, a slice as
// repeated fields; "payload" is ErrUnsupported. In: string, []string where a
// field is repeated. The content type is the field "content-type".
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
// Redis 6.2 or later. Options.MaxPayload bounds a payload: ErrTooLarge. A
// Producer has one connection for all its Publishers, a Receive one, and in a
// group two. A group's member reads Options.Prefetch entries ahead, which no
// other member gets meanwhile.
//
// # Not here
//
// Redis Cluster, lists of hosts, Sentinel, unix sockets, waiting for replicas
// (WAIT), choosing ids. Producer.Native and Consumer.Native give a redis.Client
// for the rest, Options.Native the redis.Options.
package streams
