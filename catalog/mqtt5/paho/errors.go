package paho

import (
	"crypto/tls"
	"errors"
	"fmt"

	"github.com/eclipse/paho.golang/packets"
	"github.com/eclipse/paho.golang/paho"
)

// ReasonError is a server's no: the reason code of a packet that it answered
// or ended the connection with. For errors.As.
type ReasonError struct {
	Packet string // as in PUBACK
	Code   byte   // MQTT 5.0, section 2.4
	Reason string // the server's own words, or the standard's
}

func (e *ReasonError) Error() string {
	return fmt.Sprintf("%s: reason 0x%02X: %s", e.Packet, e.Code, e.Reason)
}

func reason(packet string, code byte, properties *packets.Properties, standard string) error {
	if properties != nil && properties.ReasonString != "" {
		standard = properties.ReasonString
	}
	return &ReasonError{packet, code, standard}
}

// kind is this package's error for one of the server's or the library's, nil
// where the cause may pass by itself.
func kind(err error) error {
	for _, own := range []error{ErrClosed, ErrUnsupported, ErrRefused, ErrNotFound, ErrUnauthorized, ErrTooLarge} {
		if errors.Is(err, own) {
			return own
		}
	}
	// An alert means that the server does not accept the client's certificate,
	// or that there is none.
	var alert tls.AlertError
	if errors.As(err, &alert) {
		return ErrUnauthorized
	}
	if errors.Is(err, paho.ErrInvalidArguments) {
		return ErrRefused // the library knows what this server does not do
	}
	var r *ReasonError
	if !errors.As(err, &r) {
		return nil
	}
	switch r.Code {
	case 0x86, 0x87, 0x8A, 0x8C: // user name or password, not authorized, banned, authentication method
		return ErrUnauthorized
	case 0x95:
		return ErrTooLarge
	}
	if r.Packet != "DISCONNECT" && r.Packet != "CONNACK" {
		return ErrRefused
	}
	switch r.Code {
	case 0x84, 0x85, 0x8E, 0x9C, 0x9D:
		// The version, the client id, another client that has it, and servers
		// that send this client elsewhere stay as they are.
		return ErrRefused
	}
	return nil
}

// classify adds this package's error to the other's.
func classify(err error) error {
	if k := kind(err); k != nil && !errors.Is(err, k) {
		return fmt.Errorf("%w: %w", k, err)
	}
	return err
}

// final tells whether connecting again can't help.
func final(err error) bool {
	var certificate *tls.CertificateVerificationError
	k := kind(err)
	return errors.As(err, &certificate) || k != nil && k != ErrTooLarge
}
