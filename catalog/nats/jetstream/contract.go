package jetstream

import (
	"errors"
	"fmt"
)

// Headers are a message's application headers. It is an alias, so that one
// interface of your own fits the envelopes of every driver.
//
// Out: string, []byte, bool, integers, floats, time.Time and, where the
// protocol can repeat a key, slices of those. Anything else is ErrUnsupported
// from Send. In: the protocol's natural type, a slice where a key is repeated.
type Headers = map[string]any

// Every error of this package can be tested with errors.Is against one of
// these, where one applies; errors.As reaches the client library's own error.
var (
	// ErrClosed: the object, or the one it came from, was closed.
	ErrClosed = errors.New("closed")
	// ErrUnsupported: a binding, header, option or security scheme that this
	// driver cannot honour. Nothing was sent or opened. It is the standard
	// library's, so the test is the same for all drivers.
	ErrUnsupported = errors.ErrUnsupported
	// ErrRefused: the server answered, and the answer was no.
	ErrRefused = errors.New("refused by the server")
	// ErrNotFound: the address (topic, queue, ...) does not exist on the server
	// and was not to be created.
	ErrNotFound = errors.New("not found")
	// ErrUnauthorized: the server does not accept the credentials, or they do
	// not allow the operation. Trying again will not help.
	ErrUnauthorized = errors.New("unauthorized")
	// ErrTooLarge: the message is larger than the server or the options allow.
	ErrTooLarge = errors.New("message too large")
)

// SendErrors is what Send returns when some of several envelopes failed: one
// entry for each envelope, in order, nil for those that were accepted.
type SendErrors []error

func (e SendErrors) Error() string {
	failed, first := 0, -1
	for i, err := range e {
		if err != nil {
			failed++
			if first < 0 {
				first = i
			}
		}
	}
	if failed == 0 {
		return "no envelope failed"
	}
	return fmt.Sprintf("%d of %d envelopes failed, the first at index %d: %v", failed, len(e), first, e[first])
}

// Unwrap gives the errors that are not nil, for errors.Is and errors.As.
func (e SendErrors) Unwrap() []error {
	var failed []error
	for _, err := range e {
		if err != nil {
			failed = append(failed, err)
		}
	}
	return failed
}

// Reject makes a handler's error say that the message must not be delivered
// again: it is dead-lettered where the server is set up so, else dropped and
// logged.
func Reject(err error) error {
	return &rejection{err}
}

type rejection struct{ err error }

func (r *rejection) Error() string { return fmt.Sprintf("rejected: %v", r.err) }
func (r *rejection) Unwrap() error { return r.err }

// rejected tells whether a handler's error came from Reject.
func rejected(err error) bool {
	var r *rejection
	return errors.As(err, &r)
}
