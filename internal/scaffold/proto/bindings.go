package proto

// ServerBindings are the protocol's settings of a server. Give the fields the
// names that AsyncAPI's bindings have, with json tags, and make those pointers
// whose absence differs from zero. A field that cannot be honoured is
// ErrUnsupported, never ignored.
type ServerBindings struct{}

// ChannelBindings are the protocol's settings of a channel.
type ChannelBindings struct {
	// Operation has the settings of the operation on the channel.
	Operation *OperationBindings `json:"-"`
}

// OperationBindings are the protocol's settings of sending to a channel or
// receiving from it.
type OperationBindings struct{}

// MessageBindings are the protocol's settings of a message.
type MessageBindings struct{}
