// Package paho talks to MQTT 5 servers with github.com/eclipse/paho.golang. The
// copy is yours to change.
//
//	producer, err := NewProducer("localhost:1883", nil, nil)
//	publisher, err := producer.Publisher(ctx, "my-topic", nil)
//	envelope := NewEnvelopeOut()
//	envelope.Write([]byte("Hello, MQTT 5!"))
//	err = publisher.Send(ctx, envelope)
//
//	consumer, err := NewConsumer("localhost:1883", nil, nil)
//	subscriber, err := consumer.Subscriber(ctx, "my-topic", nil)
//	err = subscriber.Receive(ctx, func(ctx context.Context, e *EnvelopeIn) error {
//		...
//		return nil // settles the message
//	})
//
// # Words
//
// channel = topic, for a Subscriber a topic filter: + and # are wildcards, and
// $share/group/filter is a shared subscription. envelope = application message,
// header = user property. The library's own reconnecting (autopaho) is not
// used: it can't bring an acknowledgement to the connection it belongs to.
//
// # Delivery
//
// Send: QoS 1 unless the bindings say otherwise, acknowledged by the server. It
// says yes too where there is no subscriber. A message whose acknowledgement is
// lost on the way is sent again: with QoS 1 it can arrive twice, with QoS 2 it
// can't as long as the server keeps the session and this program runs.
//
// Receive: at least once, in order. A message is acknowledged when its handler
// has returned nil or Reject, and every message before it is settled too: MQTT
// demands that order and has no other answer. So a failed message is handed to
// the handler again, and holds back the acknowledgements behind it. After a
// crash, or when the server has lost its memory, what was not acknowledged
// comes again.
//
// What may be lost: messages of QoS 0 in every outage, and beyond 10,000 that
// wait for a handler (the Logger is told); messages of a server that forgets
// the session or drops what it queues (Mosquitto: max_queued_messages, 1000 by
// default, and shared subscriptions when it is restarted).
//
// # Sessions
//
// Without bindings a Subscriber gets what is sent while it is open, also during
// outages of up to 5 minutes. With a clientId and cleanSession false the server
// keeps the session for it, and it gets what was sent while it was away, from
// whatever the session has ever subscribed to. Each Subscriber is a client of
// its own; see [Consumer].
//
// # Outages
//
// Send waits and tries again until its context or Options.Timeout ends. Receive
// reconnects for ever, unless the server refuses the client: then it ends with
// the reason, and so does Send; the next call tries again. Options.Logger hears
// of an outage when it begins and when it ends.
//
// # Bindings
//
//	server     clientId, cleanSession, lastWill, keepAlive,
//	           sessionExpiryInterval, maximumPacketSize         connect
//	channel    -
//	operation  qos                                              publish, subscribe
//	           retain, messageExpiryInterval                    publish; ErrUnsupported for a Subscriber
//	           x-group                                          subscribe; ErrUnsupported for a Publisher
//	message    payloadFormatIndicator, correlationData,
//	           contentType, responseTopic                       publish
//	all        bindingVersion                                   descriptive
//
// The keys mqtt and mqtt5 of AsyncAPI are taken alike. lastWill belongs to the
// Producer's connection and to the Consumer's first one.
//
// # Headers
//
// Out: text, numbers, booleans and times as text, []byte where it is text, a
// slice as repeated properties. In: string, []string where a key is repeated.
// What is not UTF-8 and control characters are ErrUnsupported: servers hang up
// on them.
//
// # Security
//
// userPassword and plain, apiKey (in the place of the user or of the password),
// oauth2 and openIdConnect (the token in the place of the password), X509 (a
// client certificate in Options.TLS); over WebSocket also http and httpApiKey.
// The others are ErrUnsupported; an enhanced authentication of your own goes
// into Options.Native.
//
// # Limits
//
// What the server has given to a member of a shared subscription stays in that
// member's session: the others do not get it when the member leaves, and it is
// lost where the session ends.
//
// The server's maximum packet size: ErrTooLarge. A header's key or value,
// and a topic, 65,535 bytes each.
//
// # Not here
//
// Topic aliases, subscription identifiers, will properties, a session on disk.
// Producer.Native, Consumer.Native and Subscriber.Native give the library's
// client, Options.Native its configuration and the CONNECT packet.
package paho
