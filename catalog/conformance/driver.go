package conformance

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"time"
)

// EnvelopeOut is what the suite uses of a driver's outgoing envelope.
type EnvelopeOut interface {
	Write([]byte) (int, error)
	ResetPayload()
	SetPayload([]byte)
	SetHeaders(map[string]any)
	SetContentType(string)
}

// EnvelopeIn is what the suite uses of a driver's incoming envelope. Header
// gives a header's first value as text, "" where there is none; Headers gives
// them in the protocol's natural types, slices where a key is repeated.
type EnvelopeIn interface {
	Read([]byte) (int, error)
	Payload() []byte
	Headers() map[string]any
	Header(key string) string
	ContentType() string
}

// Publisher is implemented by every driver's *Publisher.
type Publisher[O EnvelopeOut] interface {
	Send(ctx context.Context, envelopes ...O) error
	Close() error
}

// Subscriber is implemented by every driver's *Subscriber.
type Subscriber[I EnvelopeIn] interface {
	Receive(ctx context.Context, handle func(context.Context, I) error) error
	Close() error
}

// Producer is a driver's *Producer: its methods as values, because Publisher
// gives another type in every driver.
type Producer[O EnvelopeOut] struct {
	Publisher func(ctx context.Context, address string, channel Channel) (Publisher[O], error)
	Close     func() error
}

// Consumer is a driver's *Consumer.
type Consumer[I EnvelopeIn] struct {
	Subscriber func(ctx context.Context, address string, channel Channel) (Subscriber[I], error)
	Close      func() error
	// URL, needed with Capabilities.NoServer, tells where the consumer
	// listens: what a producer must be given to reach it. It is called after
	// the first Subscriber was opened.
	URL func() string
}

// Settings are what a check wants of NewProducer or NewConsumer. The wiring
// turns them into the driver's URL, bindings and options. A zero field means
// the driver's default.
type Settings struct {
	// URL is the server's. With Capabilities.NoServer it is empty for a
	// consumer, which then listens on any free port of 127.0.0.1, or the URL
	// of an earlier consumer, where it has to listen again.
	URL            string
	User, Password string
	TLS            *tls.Config
	// Timeout is Options.Timeout.
	Timeout time.Duration
	// Backoff is the longest pause between two attempts to reconnect or to
	// deliver a failed message again.
	Backoff time.Duration
	// KeepAlive is how often the peer has to be heard of: heartbeat, keep
	// alive or ping interval, whichever the driver has, at least its minimum.
	KeepAlive   time.Duration
	Concurrency int
	Logger      *slog.Logger
	// Session names a consumer whose messages are kept while it is away, where
	// that belongs to the connection (mqtt: the client id, without clean
	// start).
	Session string
	// NoDeclare: what is missing on the server must not be created.
	NoDeclare bool
}

// Channel is what a check wants of the channel's bindings.
type Channel struct {
	// Group names the subscribers that share the address's messages, which
	// are kept while none of them is there: consumer group, queue group,
	// durable consumer. Ignored where the address itself is the group (amqp).
	Group string
	// Shared: the group gets more than one member. Mqtt shares only what was
	// subscribed to for that, and Mosquitto forgets such subscriptions when it
	// is restarted.
	Shared bool
	// Partitions is how many the address has, where it has partitions. Zero
	// and one: everything is in order.
	Partitions int
	// NoDeclare is Settings.NoDeclare again, for drivers where it belongs to
	// the channel.
	NoDeclare bool
}

// Errors are the driver's sentinel errors.
type Errors struct {
	Closed, Unsupported, Refused, NotFound, Unauthorized, TooLarge error
}

// Driver is a driver's wiring. Fields that are not marked optional are needed.
type Driver[O EnvelopeOut, I EnvelopeIn] struct {
	// Name is the catalog's, as in kafka/segmentio.
	Name string
	// Broker is the server to use; nil with Capabilities.NoServer.
	Broker       *Broker
	Capabilities Capabilities
	NewEnvelope  func() O
	NewProducer  func(Settings) (Producer[O], error)
	NewConsumer  func(Settings) (Consumer[I], error)
	Errors       Errors
	Reject       func(error) error
	// SendErrors gives the entries of the driver's SendErrors, nil for any
	// other error.
	SendErrors func(error) []error

	// SecureScheme is the URL scheme that turns TLS on. Optional.
	SecureScheme string
	// Greet passes on what a connection begins with in the clear, where TLS
	// starts after that (nats), and tells the client that it will. Optional.
	Greet func(client, server net.Conn) error
	// Address makes an address that the protocol takes from a unique word of
	// letters, digits and dashes. Optional.
	Address func(word string) string
	// SetKey sets the key that keeps messages in order where a subscriber
	// handles several at once. Optional.
	SetKey func(envelope O, key string)
	// Request and Reply, where the protocol has replies. Optional.
	Request func(ctx context.Context, publisher Publisher[O], envelope O) (I, error)
	Reply   func(ctx context.Context, request I, envelope O) error
	// Delete removes the address from the server (queue, topic, stream).
	// Optional.
	Delete func(ctx context.Context, address string) error
	// Foreign is another client of the same protocol. Optional.
	Foreign *Foreign
	// Background lists functions whose goroutines the client library starts
	// once and never ends; they are no leak. Optional.
	Background []string
}

// Foreign is a client that shares no code with the driver: a command, another
// library, another driver of the protocol.
type Foreign struct {
	// Send sends one message; headers are nil where the protocol has none.
	Send func(ctx context.Context, url, address string, payload []byte, headers map[string]string) error
	// Receive tells ready when it is subscribed, and gives the first message
	// that comes then. A nil headers map means that it cannot tell them.
	Receive func(ctx context.Context, url, address string, ready func()) (payload []byte, headers map[string]string, err error)
}
