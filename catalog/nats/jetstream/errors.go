package jetstream

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// kinds are the library's errors behind this package's own.
var kinds = []struct {
	kind   error
	causes []error
}{
	{ErrUnauthorized, []error{
		nats.ErrAuthorization, nats.ErrAuthExpired, nats.ErrAuthRevoked, nats.ErrAccountAuthExpired, nats.ErrPermissionViolation,
	}},
	{ErrNotFound, []error{
		jetstream.ErrStreamNotFound, jetstream.ErrConsumerNotFound, jetstream.ErrConsumerDoesNotExist, jetstream.ErrConsumerDeleted,
		jetstream.ErrNoStreamResponse,
	}},
	{ErrTooLarge, []error{nats.ErrMaxPayload, jetstream.ErrStreamMessageExceedsMaximum}},
	{ErrRefused, []error{nats.ErrMaxSubscriptionsExceeded, jetstream.ErrJetStreamNotEnabled, jetstream.ErrJetStreamNotEnabledForAccount}},
	{ErrUnsupported, []error{nats.ErrHeadersNotSupported, nats.ErrBadSubject, jetstream.ErrInvalidSubject, jetstream.ErrInvalidConsumerName, jetstream.ErrInvalidStreamName}},
}

// kind is this package's error for one of the library's, nil where the cause
// may pass by itself.
func kind(err error) error {
	if err == nil {
		return nil
	}
	for _, own := range []error{ErrClosed, ErrUnsupported, ErrRefused, ErrNotFound, ErrUnauthorized, ErrTooLarge} {
		if errors.Is(err, own) {
			return own
		}
	}
	for _, k := range kinds {
		for _, cause := range k.causes {
			if errors.Is(err, cause) {
				return k.kind
			}
		}
	}
	// 503 is what passes, such as a cluster that elects a leader, but for a
	// stream that is full.
	const storeFailed = 10077
	var api *jetstream.APIError
	if errors.As(err, &api) && (api.Code != 503 || api.ErrorCode == storeFailed) {
		return ErrRefused
	}
	// The library knows these by other words than the server uses at login.
	text := strings.ToLower(err.Error())
	if strings.Contains(text, "authentication expired") || strings.Contains(text, "authentication revoked") {
		return ErrUnauthorized
	}
	// A TLS alert, or the end right after the handshake, means that the server
	// does not accept the client's certificate, or that there is none.
	var alert *net.OpError
	if errors.As(err, &alert) && alert.Op == "remote error" ||
		errors.Is(err, nats.ErrTLS) && strings.Contains(text, "closed by remote after tls handshake") {
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

// passing is an error of a kind that does not pass, but this one may.
type passing struct{ error }

func (p passing) Unwrap() error { return p.error }

// final tells whether trying again can't help.
func final(err error) bool {
	if errors.As(err, new(passing)) {
		return false
	}
	var certificate *tls.CertificateVerificationError
	return kind(err) != nil || errors.As(err, &certificate)
}
