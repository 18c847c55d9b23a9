package rabbitmq

import (
	"errors"
	"fmt"
)

// ServerBindings are AsyncAPI's amqp server bindings, which are empty.
type ServerBindings struct{}

// ChannelBindings are AsyncAPI's amqp channel bindings, with those of the
// operation. Without any the channel is a durable queue named by the address.
type ChannelBindings struct {
	// Is says what the address names: "queue" or "routingKey". The default
	// follows from which of Exchange and Queue is there.
	Is string `json:"is,omitempty"`
	// Exchange is where a routingKey channel publishes to, by the address as
	// routing key, and what its Subscribers bind their queues to.
	Exchange *Exchange `json:"exchange,omitempty"`
	// Queue is the queue of a queue channel. In a routingKey channel, which has
	// to say so in Is then, it is the Subscriber's, where others may share it and
	// it stays when the Subscriber goes; AsyncAPI has no place for that.
	Queue          *Queue `json:"queue,omitempty"`
	BindingVersion string `json:"bindingVersion,omitempty"`

	// Operation is not part of AsyncAPI's channel object.
	Operation *OperationBindings `json:"operation,omitempty"`
}

// Exchange is declared as it says, or must exist so: ErrRefused where it differs.
type Exchange struct {
	Name string `json:"name,omitempty"`
	// Type is topic, direct, fanout, headers, or default, which is the exchange
	// without a name that every queue is bound to. Without a type an exchange
	// that exists is taken as it is, and a missing one is declared as topic.
	Type string `json:"type,omitempty"`
	// Durable is true by default.
	Durable    *bool `json:"durable,omitempty"`
	AutoDelete bool  `json:"autoDelete,omitempty"`
	// VHost is the virtual host where it is not that of the server's URL. It
	// costs a connection of its own.
	VHost string `json:"vhost,omitempty"`
}

// Queue is declared as it says, or must exist so: ErrRefused where it differs.
type Queue struct {
	// Name is the address by default.
	Name string `json:"name,omitempty"`
	// Durable is true by default.
	Durable *bool `json:"durable,omitempty"`
	// Exclusive means one connection: only the Subscriber declares the queue.
	Exclusive  bool   `json:"exclusive,omitempty"`
	AutoDelete bool   `json:"autoDelete,omitempty"`
	VHost      string `json:"vhost,omitempty"`
}

// OperationBindings are AsyncAPI's amqp operation bindings. All but Ack are a
// Publisher's, whatever action the specification's table gives them to.
type OperationBindings struct {
	// Expiration is the time to live in milliseconds. 0 is gone at once unless
	// a consumer waits.
	Expiration *int64 `json:"expiration,omitempty"`
	// UserID is who sends. The server refuses any but the connection's user.
	UserID string `json:"userId,omitempty"`
	// CC and BCC are more routing keys; who receives does not see BCC.
	CC  []string `json:"cc,omitempty"`
	BCC []string `json:"bcc,omitempty"`
	// Priority is 0 to 255.
	Priority int `json:"priority,omitempty"`
	// DeliveryMode is 1 for messages that a server's restart may lose, 2, the
	// default, for persistent ones.
	DeliveryMode int `json:"deliveryMode,omitempty"`
	// Mandatory makes a message that no queue takes ErrRefused. The default is
	// true in queue channels and false in routingKey channels.
	Mandatory *bool `json:"mandatory,omitempty"`
	// Timestamp gives every message the time of its Send, in seconds.
	Timestamp bool `json:"timestamp,omitempty"`
	// Ack false takes messages without acknowledgement: the server forgets
	// them when they are on their way. The default is true.
	Ack *bool `json:"ack,omitempty"`
	// ReplyTo is where replies are to go, a field of bindings before 0.3.0.
	ReplyTo        string `json:"replyTo,omitempty"`
	BindingVersion string `json:"bindingVersion,omitempty"`
}

// MessageBindings are AsyncAPI's amqp message bindings.
type MessageBindings struct {
	// ContentEncoding says how the payload is encoded, such as gzip. Doing it
	// is up to whoever calls SetPayload.
	ContentEncoding string `json:"contentEncoding,omitempty"`
	MessageType     string `json:"messageType,omitempty"`
	BindingVersion  string `json:"bindingVersion,omitempty"`
}

// channel is what the bindings and the address make of a channel.
type channel struct {
	exchange  Exchange
	queue     Queue
	routed    bool   // by the exchange, else straight to the queue
	key       string // of messages
	vhost     string
	operation OperationBindings
}

// shortString bounds names, routing keys and properties in AMQP.
const shortString = 255

func (b *ChannelBindings) channel(address string) (channel, error) {
	c := channel{key: address}
	if b == nil {
		b = &ChannelBindings{}
	}
	switch {
	case b.Is != "" && b.Is != "queue" && b.Is != "routingKey":
		return c, fmt.Errorf("channel bindings: is must be queue or routingKey, not %q", b.Is)
	case b.Is == "queue" && b.Exchange != nil:
		return c, errors.New("channel bindings: is queue, so there must be no exchange")
	case b.Is == "routingKey" && b.Exchange == nil:
		return c, errors.New("channel bindings: is routingKey, so there must be an exchange")
	case b.Is == "" && b.Exchange != nil && b.Queue != nil:
		return c, errors.New("channel bindings: there are both an exchange and a queue, so is must say what the address names")
	}
	if b.Operation != nil {
		c.operation = *b.Operation
	}
	if err := c.operation.check(); err != nil {
		return c, err
	}
	if b.Queue != nil {
		c.queue = *b.Queue
		c.vhost = b.Queue.VHost
	}
	if b.Exchange == nil {
		if c.queue.Name == "" {
			c.queue.Name = address
		}
		c.key = c.queue.Name
		if c.key == "" {
			return c, errors.New("the address is empty, and no binding names a queue")
		}
	} else if err := c.route(*b.Exchange, address); err != nil {
		return c, err
	}
	for _, name := range []string{c.exchange.Name, c.queue.Name, c.key} {
		if len(name) > shortString {
			return c, fmt.Errorf("%w: %.20q... is longer than AMQP's %d bytes", ErrUnsupported, name, shortString)
		}
	}
	return c, nil
}

func (c *channel) route(e Exchange, address string) error {
	c.exchange = e
	if c.vhost != "" && e.VHost != "" && c.vhost != e.VHost {
		return fmt.Errorf("channel bindings: the exchange is in vhost %q and the queue in %q", e.VHost, c.vhost)
	}
	if e.VHost != "" {
		c.vhost = e.VHost
	}
	switch e.Type {
	case "default", "":
		if e.Type == "default" && e.Name != "" {
			return fmt.Errorf("channel bindings: the default exchange has no name, so it can't be %q", e.Name)
		}
		if e.Name == "" && c.queue.Name == "" {
			c.queue.Name = address // which the default exchange routes to
		}
	case "topic", "direct", "fanout", "headers":
		if e.Name == "" {
			return fmt.Errorf("channel bindings: the %s exchange needs a name", e.Type)
		}
	default:
		return fmt.Errorf("channel bindings: exchange.type must be topic, direct, fanout, default or headers, not %q", e.Type)
	}
	c.routed = e.Name != ""
	if c.operation.Mandatory == nil {
		off := false
		c.operation.Mandatory = &off
	}
	return nil
}

func (o *OperationBindings) check() error {
	switch {
	case o.Expiration != nil && *o.Expiration < 0:
		return fmt.Errorf("operation bindings: expiration must be 0 or more, not %d", *o.Expiration)
	case o.Priority < 0 || o.Priority > 255:
		return fmt.Errorf("operation bindings: priority must be 0 to 255, not %d", o.Priority)
	case o.DeliveryMode < 0 || o.DeliveryMode > 2:
		return fmt.Errorf("operation bindings: deliveryMode must be 1 or 2, not %d", o.DeliveryMode)
	case len(o.UserID) > shortString || len(o.ReplyTo) > shortString:
		return fmt.Errorf("%w: operation bindings: userId and replyTo have at most %d bytes", ErrUnsupported, shortString)
	}
	return nil
}

// yes is a flag that is on unless it is turned off.
func yes(flag *bool) bool { return flag == nil || *flag }
