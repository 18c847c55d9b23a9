// Package std talks raw IPv4 and IPv6 with the standard library's net. The copy
// is yours to change.
//
//	consumer, err := NewConsumer("127.0.0.1", nil, nil)
//	subscriber, err := consumer.Subscriber(ctx, "my-topic", nil)
//	err = subscriber.Receive(ctx, func(ctx context.Context, e *EnvelopeIn) error {
//		...
//		return e.Reply(ctx, answer) // or nil
//	})
//
//	producer, err := NewProducer("127.0.0.1", nil, nil)
//	publisher, err := producer.Publisher(ctx, "my-topic", nil)
//	envelope := NewEnvelopeOut()
//	envelope.Write([]byte("Hello, IP!"))
//	err = publisher.Send(ctx, envelope)
//
// Raw sockets need root or, on Linux, the capability CAP_NET_RAW. Without it
// NewConsumer and Publisher are ErrUnauthorized, and say how to get it.
//
// # Words
//
// channel = socket, envelope = datagram, payload = what follows its IP header,
// which EnvelopeIn.IP gives. Peer = the host that a datagram came from. An
// address means nothing on the wire: it names the channel in errors and to the
// Logger. IP has no ports.
//
// A Consumer holds one socket, for one Subscriber at a time; each Publisher has
// one of its own. A Consumer gets all that comes to its host with
// Options.Protocol in the header, from anybody and beside others who listen: see
// Options.Peers.
//
// # Delivery
//
// Datagrams get lost, come twice and overtake each other, and nobody tells.
// Send returns nil when the system has taken them. When the host answers that it
// does not take the protocol, the next Send is ErrRefused; the Publisher works
// on. Linux gives that answer also where the receiver's buffer is full.
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
//	server, channel, operation, message   AsyncAPI defines none for IP
//	all   bindingVersion                  descriptive
//
// # Headers
//
// An application has none, and no content type: setting one is ErrUnsupported
// from Send. The system writes the IP header; with IP_HDRINCL, set by
// Options.Native, an IPv4 payload begins with one of its own.
//
// # Security
//
// None: every scheme, credentials in the URL and Options.TLS are ErrUnsupported.
// Anybody can send, and say that it was somebody else.
//
// # Limits
//
// A datagram carries 65515 bytes over IPv4: ErrTooLarge. What is larger than the
// network's packets, often 1480 bytes, travels in pieces, and is lost when one
// of them is. A Publisher finds its host once, when it is opened. Systems keep
// some protocols to themselves: Linux gives raw sockets a copy of TCP, UDP and
// ICMP, others do not. The checksum of a protocol such as ICMP is yours to make.
//
// # Not here
//
// IPv6 extension headers, Request. Producer.Native and Consumer.Native give the
// *net.IPConn; Options.Native has each before it is used, to set what the system
// offers, such as the TTL.
package std
