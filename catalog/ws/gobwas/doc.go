// Package gobwas talks WebSocket (RFC 6455) with github.com/gobwas/ws. The copy
// is yours to change.
//
//	consumer, err := NewConsumer("localhost:8080", nil, nil)
//	subscriber, err := consumer.Subscriber(ctx, "my-topic", nil)
//	err = subscriber.Receive(ctx, func(ctx context.Context, e *EnvelopeIn) error {
//		...
//		return e.Reply(ctx, answer) // or nil
//	})
//
//	producer, err := NewProducer("ws://localhost:8080", nil, nil)
//	publisher, err := producer.Publisher(ctx, "my-topic", nil)
//	envelope := NewEnvelopeOut()
//	envelope.Write([]byte("Hello, WebSocket!"))
//	err = publisher.Send(ctx, envelope)
//
// # Words
//
// channel = connection, address = the path of its handshake, envelope =
// message, payload = its text or bytes, peer = the other end of a connection.
//
// # Roles
//
// A Producer dials and a Consumer listens. Options.Role swaps them: a Consumer
// that dials receives a server's feed, a Producer that listens sends to all who
// have dialled. A listening side has a port of its own or, given no server URL,
// is mounted on your server as Handler; where it listens, {name} in an address
// stands for one segment of any name, which Peer.Request().PathValue gives.
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
// peer has read all, at most Options.Timeout.
//
// A handler's error and Reject are logged; the message does not come again.
// While no handler has time, Options.Queue messages wait, and then the senders.
// A Send that gives up waiting costs neither the connection nor the order, but
// its message may still arrive.
//
// # Outages
//
// A side that dials does so again for ever, but for what can't heal: refused
// credentials and other answers with a status of 4xx, an address unknown for
// longer than Options.Timeout, a certificate that is not trusted, close codes in
// Options.FinalCodes. Send waits for the connection until its context or
// Options.Timeout ends. Pings find a dead peer within Options.PingInterval and
// Options.Timeout. Options.OnConnect has every new connection first, to
// subscribe again to a feed.
//
// # Bindings
//
//	server     bindingVersion    descriptive
//	channel    method            connect: GET; POST is ErrUnsupported, RFC 6455 has GET alone
//	           query, headers    connect: a side that dials sends the values that the schema
//	                             gives (const, an only enum, default) beside Options.Query and
//	                             Header, a side that listens answers 400 to what does not fit
//	           bindingVersion    descriptive
//	operation  bindingVersion    descriptive
//	message    bindingVersion    descriptive
//
// Of the schemas type, properties, required, enum, const, default and pattern
// are applied, titles and the like are descriptive, other keywords are
// ErrUnsupported. The header Sec-WebSocket-Protocol names subprotocols; other
// headers of the handshake itself are ErrUnsupported.
//
// # Headers
//
// A message has none, and no content type: setting one is ErrUnsupported from
// Send. Those of the handshake are in Peer.Request.
//
// # Security
//
// httpApiKey (query, header, cookie), http (basic, bearer, any other), apiKey
// and userPassword as basic, X509 (a client certificate in Options.TLS), oauth2
// and openIdConnect as bearer. The side that listens demands what the side that
// dials shows, but for oauth2 and openIdConnect, which Options.Authorize has to
// check. The others are ErrUnsupported. Pages in a browser can give a query or a
// cookie alone, and get in from the listening host only, unless Options.Origins
// says otherwise.
//
// # Limits
//
// Options.MaxMessageBytes bounds a message, 4 MiB by default: ErrTooLarge from
// Send, and the close code 1009 to a peer that sends more; nobody tells a Send
// that was over the peer's limit. A connection may hold Options.Queue messages
// for its Subscriber and one more of its own.
//
// # Not here
//
// Request, since nothing pairs a reply with its request; redirections, which
// are ErrRefused; HTTP/2; compression with context takeover; the proxies that
// the environment names (Options.Native takes a NetDial). Producer.Native,
// Consumer.Native and Peer.Native give the net.Conn, Options.Native the
// ws.Dialer and ws.HTTPUpgrader.
package gobwas
