package streadway

import (
	"crypto/tls"
	"errors"
	"fmt"
	"strings"

	amqp "github.com/streadway/amqp"
)

// kind is this package's error for one of the library's, nil where the cause
// may pass by itself.
func kind(err error) error {
	for _, own := range []error{ErrClosed, ErrUnsupported, ErrRefused, ErrNotFound, ErrUnauthorized, ErrTooLarge} {
		if errors.Is(err, own) {
			return own
		}
	}
	if errors.Is(err, amqp.ErrSASL) {
		return ErrUnauthorized // the server takes no login of this kind
	}
	// An alert means that the server does not accept the client's certificate,
	// or that there is none.
	var alert tls.AlertError
	if errors.As(err, &alert) {
		return ErrUnauthorized
	}
	var answer *amqp.Error
	if !errors.As(err, &answer) || !answer.Server {
		return nil
	}
	says := func(words string) bool { return strings.Contains(answer.Reason, words) }
	switch answer.Code {
	case amqp.AccessRefused:
		return ErrUnauthorized
	case amqp.NotFound:
		// Else the queue exists on a node that is away.
		if says("NOT_FOUND - no ") {
			return ErrNotFound
		}
	case amqp.NotAllowed:
		switch {
		case says("not found"):
			return ErrNotFound // the vhost
		case says("limit"):
			return nil // too many connections for now
		case says("refused for user"):
			return ErrUnauthorized
		}
		return ErrRefused
	case amqp.PreconditionFailed:
		switch {
		case says("larger than"):
			return ErrTooLarge
		case says("timed out"):
			return nil // a handler that took longer than the server waits
		}
		return ErrRefused
	case amqp.ContentTooLarge:
		return ErrTooLarge
	case amqp.ResourceLocked, amqp.NoRoute, amqp.NoConsumers, amqp.NotImplemented:
		return ErrRefused
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

// final tells whether trying again can't help.
func final(err error) bool {
	var certificate *tls.CertificateVerificationError
	return errors.As(err, &certificate) || kind(err) != nil
}

// locked tells whether a queue belongs to another connection: after an outage
// that may be the old one of this client, which the server still holds alive.
func locked(err error) bool {
	var answer *amqp.Error
	return errors.As(err, &answer) && answer.Server && answer.Code == amqp.ResourceLocked
}
