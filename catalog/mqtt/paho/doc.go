// Package paho talks to MQTT 3.1.1 servers with
// github.com/eclipse/paho.mqtt.golang. The copy is yours to change.
//
//	producer, err := NewProducer("localhost:1883", nil, nil)
//	publisher, err := producer.Publisher(ctx, "my-topic", nil)
//	envelope := NewEnvelopeOut()
//	envelope.Write([]byte("Hello, MQTT!"))
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
// $share/group/filter is a shared subscription where the server has them.
// envelope = application message. The library's own reconnecting is not used: it
// says yes to messages whose acknowledgement was lost.
//
// # Delivery
//
// Send: QoS 1 unless the bindings say otherwise, acknowledged by the server.
// MQTT 3.1.1 has no other answer: a server says yes too where there is no
// subscriber, or where the client may not send, or else it hangs up. A message
// whose acknowledgement is lost on the way is sent again, and can arrive twice;
// with QoS 2 and cleanSession false it can't as long as the server keeps the
// session and this program runs.
//
// Receive: at least once, in order. A message is acknowledged when its handler
// has returned nil or Reject, and every message before it is settled too: MQTT
// demands that order and has no other answer. So a failed message is handed to
// the handler again, and holds back the acknowledgements behind it.
//
// What may be lost: with cleanSession true, which is the default, what is sent
// while a Subscriber has no connection; messages of QoS 0 in every outage, and
// beyond 10,000 that wait for a handler (the Logger is told); messages of a
// server that forgets the session or drops what it queues (Mosquitto:
// max_queued_messages, 1000 by default, and shared subscriptions when it is
// restarted).
//
// # Sessions
//
// With a clientId and cleanSession false the server keeps the session for that
// id, for ever, and a Subscriber gets what was sent while it was away or cut
// off, from whatever the session has ever subscribed to. Each Subscriber is a
// client of its own; see [Consumer].
//
// # Outages
//
// Send waits and tries again until its context or Options.Timeout ends. Receive
// reconnects for ever, unless the server refuses the client: then it ends with
// the reason, and so does Send; the next call tries again. Options.Logger hears
// of an outage when it begins and when it ends. Two clients with one id throw
// each other out again and again, and MQTT 3.1.1 does not tell them why.
//
// # Bindings
//
//	server     clientId, cleanSession, lastWill, keepAlive   connect
//	           sessionExpiryInterval, maximumPacketSize      ErrUnsupported: of MQTT 5
//	channel    -
//	operation  qos                                           publish, subscribe
//	           retain                                        publish; ErrUnsupported for a Subscriber
//	           x-group                                       subscribe; ErrUnsupported for a Publisher
//	           messageExpiryInterval                         ErrUnsupported: of MQTT 5
//	message    payloadFormatIndicator, correlationData,
//	           contentType, responseTopic                    ErrUnsupported: of MQTT 5
//	all        bindingVersion                                descriptive
//
// lastWill belongs to the Producer's connection and to the Consumer's first one.
//
// # Headers
//
// MQTT 3.1.1 has no place for headers nor for a content type: setting one is
// ErrUnsupported from Send.
//
// # Security
//
// userPassword and plain, apiKey (in the place of the user or of the password),
// oauth2 and openIdConnect (the token in the place of the password), X509 (a
// client certificate in Options.TLS); over WebSocket also http and httpApiKey. A
// password without a user goes with the client id as the user. The others are
// ErrUnsupported.
//
// # Limits
//
// What the server has given to a member of a shared subscription stays in that
// member's session: the others do not get it when the member leaves, and it is
// lost where the session ends.
//
// 256 MiB for a message: ErrTooLarge. A server that takes less hangs up, and Send
// tries again until its time is over. A topic has up to 65,535 bytes. How much
// the server sends ahead is its own setting.
//
// # Not here
//
// A session on disk, request and reply. Producer.Native, Consumer.Native and
// Subscriber.Native give the library's client, Options.Native its options.
package paho
