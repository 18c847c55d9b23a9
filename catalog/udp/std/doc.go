// Package std talks UDP with the standard library's net. The copy is yours to
// change.
//
//	consumer, err := NewConsumer("localhost:7000", nil, nil)
//	subscriber, err := consumer.Subscriber(ctx, "my-topic", nil)
//	err = subscriber.Receive(ctx, func(ctx context.Context, e *EnvelopeIn) error {
//		...
//		return e.Reply(ctx, answer) // or nil
//	})
//
//	producer, err := NewProducer("localhost:7000", nil, nil)
//	publisher, err := producer.Publisher(ctx, "my-topic", nil)
//	envelope := NewEnvelopeOut()
//	envelope.Write([]byte("Hello, UDP!"))
//	err = publisher.Send(ctx, envelope)
//
// # Words
//
// channel = socket, envelope = datagram, an empty one too. Peer = where a
// datagram came from. An address means nothing on the wire: it names the channel
// in errors and to the Logger.
//
// A Consumer holds one socket, for one Subscriber at a time; each Publisher has
// one of its own. The host may be a multicast group, which a Consumer joins and
// which several on one machine can share, or a broadcast address, for which a
// Consumer listens at that address or at 0.0.0.0.
//
// # Delivery
//
// Datagrams get lost, come twice and overtake each other, and nobody tells.
// Send returns nil when the system has taken them. When the host answers that
// nobody listens at the port, the next Send is ErrRefused; the Publisher works
// on.
//
// Receive has a datagram whole or not at all: one that is larger than
// Options.MaxMessageBytes is dropped. A handler's error and Reject are logged;
// the datagram does not come again. While no handler has time datagrams wait in
// the system's buffer, whose size Options.ReadBuffer asks for. What it has no
// room for is lost; Consumer.Dropped counts that, where the system tells
// (Linux), and Options.Logger hears of it once a second at most.
//
// # Bindings
//
//	server, channel, operation, message   AsyncAPI defines none for UDP
//	all   bindingVersion                  descriptive
//
// # Headers
//
// UDP has none, and no content type: setting one is ErrUnsupported from Send.
//
// # Security
//
// None: every scheme, credentials in the URL and Options.TLS are ErrUnsupported.
// Anybody can send, and say that it was somebody else.
//
// # Limits
//
// A datagram carries 65507 bytes over IPv4: ErrTooLarge. What is larger than the
// network's packets, often 1472 bytes, travels in pieces, and is lost when one
// of them is. A Publisher finds its host once, when it is opened.
//
// # Not here
//
// DTLS, source-specific multicast, Request. Producer.Native and Consumer.Native
// give the *net.UDPConn; Options.Native has each before it is used, to set what
// the system offers, such as the multicast TTL.
package std
