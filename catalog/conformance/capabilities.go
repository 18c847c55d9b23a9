package conformance

// Capabilities say what a protocol or its driver cannot do. The zero value
// runs every check: forgetting a field runs more, not less.
type Capabilities struct {
	// NoHeaders: messages carry no headers. Then setting one must be refused.
	NoHeaders bool
	// NoContentType: messages carry no content type. Then setting one must be
	// refused.
	NoContentType bool
	// FoldedHeaderKeys: header names are not case sensitive (http).
	FoldedHeaderKeys bool
	// Lossy: messages can get lost without any fault (udp, ip).
	Lossy bool
	// AtMostOnce: messages in flight during a fault can get lost (core nats,
	// redis pub/sub, sockets).
	AtMostOnce bool
	// NoConfirm: Send returns when the message is written, not when the other
	// side has it (tcp, ws).
	NoConfirm bool
	// Unordered: no order is promised at all (http, udp).
	Unordered bool
	// NoRedelivery: a message whose handler failed does not come again.
	NoRedelivery bool
	// Requeues: a failed message comes again later, after others (amqp,
	// jetstream), where a log gives the same message again first.
	Requeues bool
	// Overtaken: what was under way on a broken connection comes again after
	// later messages, when the server has waited long enough (jetstream).
	Overtaken bool
	// Answered: Send waits for the handler and fails when it fails (http).
	Answered bool
	// Refuses: a message is refused, visibly for its sender, while no Receive
	// runs (http).
	Refuses bool
	// NoServer: there is no broker, the consumer listens and the producer
	// dials.
	NoServer bool
	// NoConnection: there is no TCP connection between the two (udp, ip), so
	// nothing that could be cut.
	NoConnection bool
	// NoSignOfLife: peers do not ask each other whether they are alive, only
	// their systems do (tcp).
	NoSignOfLife bool
	// NoPersistence: nothing is kept for a subscriber that is away.
	NoPersistence bool
	// NoGroups: subscribers cannot share an address's messages.
	NoGroups bool
	// NoHandover: what a member of a group was given and has not settled when it
	// leaves stays its own until it returns (mqtt).
	NoHandover bool
	// NoFanOut: two subscribers without a group share the address's messages
	// (amqp), where elsewhere each gets all.
	NoFanOut bool
	// OneSubscriber: an address takes one subscriber at a time.
	OneSubscriber bool
	// OneAddress: a consumer serves one address only (tcp, udp).
	OneAddress bool
	// NoMissing: every address exists (nats, mqtt, redis).
	NoMissing bool
	// NoCredentials: the protocol cannot carry a user and a password.
	NoCredentials bool
	// MaxPayload is the largest payload that the broker or the driver's
	// defaults allow; 0 means that there is no limit that a test could reach.
	MaxPayload int
}
