// Package std talks HTTP with net/http. The copy is yours to change.
//
//	producer, err := NewProducer("http://localhost:8080", nil, nil)
//	publisher, err := producer.Publisher(ctx, "my-topic", nil)
//	envelope := NewEnvelopeOut()
//	envelope.Write([]byte("Hello, HTTP!"))
//	err = publisher.Send(ctx, envelope) // POST /my-topic
//
//	consumer, err := NewConsumer("http://localhost:8080", nil, nil)
//	subscriber, err := consumer.Subscriber(ctx, "my-topic", nil)
//	err = subscriber.Receive(ctx, func(ctx context.Context, e *EnvelopeIn) error {
//		...
//		return nil // 204 to the sender
//	})
//
// # Words
//
// channel = path, envelope = request or response, payload = body. A Producer
// is a client, a Consumer a server: its own, or one of yours that mounts
// Consumer.Handler.
//
// # Delivery
//
// Send waits for the answer: nil means that the other side's handler returned
// nil (2xx). Nothing is kept in between, so what is not answered with 2xx is
// the sender's to send again: StatusError.Retryable says whether and when.
// Requests overtake each other; there is no order.
//
// A handler's error is 500, Reject 422, no Receive running 503 with
// Retry-After, a body over Options.MaxBody 413.
//
// # Outages
//
// Send makes the request again while the server can't be reached or the
// connection breaks before the answer, until its context or Options.Timeout
// ends. So a request can be handled twice, also one whose handler takes longer than
// Options.Timeout. Redirects are not followed: they are
// a StatusError.
//
// # Bindings
//
//	server     (none)
//	channel    (none)
//	operation  method       publish, subscribe: the route; CONNECT is ErrUnsupported. Default POST
//	           query        publish: values from const, the only enum or default; both sides refuse
//	                        a request that lacks a required parameter or has another value (400)
//	           type         "response" is ErrUnsupported, "request" descriptive
//	message    headers      publish and Reply: as query, merged with SetHeaders
//	           statusCode   Reply
//	all        bindingVersion   descriptive
//
// # Headers
//
// Out: text, numbers, booleans and times as text, a slice as repeated headers;
// what HTTP would change (control characters, spaces at the ends) or needs for
// itself is ErrUnsupported. In: string, []string where a header is repeated, by
// canonical name, those of HTTP itself among them.
//
// # Security
//
// userPassword, http basic and apiKey (as Basic), http bearer and other schemes,
// httpApiKey in header, query and cookie, X509: shown by a Producer and demanded
// by a Consumer. oauth2 and openIdConnect: a Producer only. The others are
// ErrUnsupported.
//
// # Not here
//
// Cookies, caching, streaming and server-sent events, proof of idempotency.
// Producer.Native gives the http.Client, Consumer.Native the http.Server,
// EnvelopeIn.Native the request.
package std
