package std

// AsyncAPI defines no bindings for IP. The types are there for the sake
// of the other drivers' callers.

// ServerBindings are empty.
type ServerBindings struct {
	BindingVersion string `json:"bindingVersion,omitempty"`
}

// ChannelBindings are empty, with those of the operation.
type ChannelBindings struct {
	BindingVersion string `json:"bindingVersion,omitempty"`

	// Operation is not part of AsyncAPI's channel object.
	Operation *OperationBindings `json:"operation,omitempty"`
}

// OperationBindings are empty.
type OperationBindings struct {
	BindingVersion string `json:"bindingVersion,omitempty"`
}

// MessageBindings are empty.
type MessageBindings struct {
	BindingVersion string `json:"bindingVersion,omitempty"`
}
