// Package std talks plain TCP, and TLS, with the standard library's net. The
// copy is yours to change.
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
//	envelope.Write([]byte("Hello, TCP!"))
//	err = publisher.Send(ctx, envelope)
//
// # Words
//
// channel = connection, envelope = message: what Options.Framing cuts out of
// the stream, by default what follows a length of four bytes, big-endian. Peer =
// the other end of a connection. An address means nothing on the wire: it names
// the channel in errors and to the Logger.
//
// # Roles
//
// A Producer dials, each Publisher a connection of its own, and a Consumer
// listens for one Subscriber at a time. Options.Role swaps them: a Consumer that
// dials receives a server's feed, a Producer that listens sends to all who have
// dialled.
//
// Connections go both ways: Subscriber.Publisher sends on the connections that
// the Subscriber receives on, EnvelopeIn.Reply on the one that the message came
// by. A message that comes to a Publisher's own connection is dropped, which
// Options.Logger is told.
//
// # Delivery
//
// At most once, in order for each connection. Send returns nil when the message
// is written: nobody confirms it, so what is under way when a connection breaks,
// or waits for a handler when the receiving side closes, is lost. Nothing comes
// twice. Closing the sending side first loses nothing: Close waits until the
// peer's system has all, at most Options.Timeout.
//
// A handler's error and Reject are logged; the message does not come again.
// While no handler has time, Options.Queue messages wait, and then the senders.
// A Send that gives up waiting costs neither the connection nor the order, but
// its message may still arrive.
//
// # How a connection ends
//
// Options.OnDisconnect and the Logger tell the ends apart. io.EOF: the peer has
// ended its side between two messages; what it has sent is handled and can be
// replied to, then this side ends too, or goes on sending with
// Options.HalfClose. io.ErrUnexpectedEOF: within a message, which is dropped.
// syscall.ECONNRESET: the peer broke off. ErrTooLarge: it sent, or announced,
// more than Options.MaxMessageBytes. ErrClosed: this side has ended it.
//
// # Outages
//
// A side that dials does so again for ever, but for a certificate that either
// side does not accept. Send waits for the connection until its context or
// Options.Timeout ends. The system finds an idle peer that is dead within four
// times Options.KeepAlive; while something is on its way to it, the system may
// try for a quarter of an hour, and what Send has written meanwhile is lost.
//
// # Bindings
//
//	server, channel, operation, message   AsyncAPI defines none for TCP
//	all   bindingVersion                  descriptive
//
// # Headers
//
// TCP has none, and no content type: setting one is ErrUnsupported from Send.
//
// # Security
//
// TLS by the scheme tls or Options.TLS, and X509: the dialling side shows the
// certificate in Options.TLS, the listening side demands one. A certificate that
// is refused is ErrUnauthorized from Publisher. The other schemes, and
// credentials in the URL, are ErrUnsupported.
//
// # Limits
//
// Options.MaxMessageBytes bounds a message, 4 MiB by default: ErrTooLarge from
// Send; nobody tells a Send that was over the peer's limit. A listening side
// takes any number of connections, and each may hold a message that has not come
// whole, so do not leave one open to strangers.
//
// # Not here
//
// Request, since nothing pairs a reply with its request; Unix sockets. Native
// of Producer, Consumer and Peer gives the net.Conn, Options.Native the
// net.Dialer or net.ListenConfig.
package std
