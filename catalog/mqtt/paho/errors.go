package paho

import (
	"crypto/tls"
	"errors"
	"fmt"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

// kinds are the library's errors behind this package's own. That the server is
// unavailable can pass.
var kinds = map[error]error{
	packets.ErrorRefusedBadUsernameOrPassword: ErrUnauthorized,
	packets.ErrorRefusedNotAuthorised:         ErrUnauthorized,
	packets.ErrorRefusedBadProtocolVersion:    ErrRefused,
	packets.ErrorRefusedIDRejected:            ErrRefused,
}

// kind is this package's error for one of the library's, nil where the cause
// may pass by itself.
func kind(err error) error {
	for _, own := range []error{ErrClosed, ErrUnsupported, ErrRefused, ErrNotFound, ErrUnauthorized, ErrTooLarge} {
		if errors.Is(err, own) {
			return own
		}
	}
	for native, own := range kinds {
		if errors.Is(err, native) {
			return own
		}
	}
	// An alert means that the server does not accept the client's certificate,
	// or that there is none.
	var alert tls.AlertError
	if errors.As(err, &alert) {
		return ErrUnauthorized
	}
	return nil
}

// classify adds this package's error to the library's.
func classify(err error) error {
	if k := kind(err); k != nil && !errors.Is(err, k) {
		return fmt.Errorf("%w: %w", k, err)
	}
	return err
}

// final tells whether connecting again can't help.
func final(err error) bool {
	var certificate *tls.CertificateVerificationError
	return errors.As(err, &certificate) || kind(err) != nil
}
