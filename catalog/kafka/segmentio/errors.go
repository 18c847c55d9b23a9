package segmentio

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
)

// kinds are the library's errors behind this package's own.
var kinds = []struct {
	kind   error
	causes []error
}{
	{ErrUnauthorized, []error{
		kafka.SASLAuthenticationFailed, kafka.UnsupportedSASLMechanism, kafka.IllegalSASLState,
		kafka.TopicAuthorizationFailed, kafka.GroupAuthorizationFailed, kafka.ClusterAuthorizationFailed,
	}},
	{ErrNotFound, []error{kafka.UnknownTopicOrPartition, protocol.ErrNoTopic, protocol.ErrNoPartition}},
	{ErrTooLarge, []error{kafka.MessageSizeTooLarge, kafka.RecordListTooLarge}},
}

// kind is this package's error for one of the library's, nil where the cause
// may pass by itself.
func kind(err error) error {
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
	// An alert ends the TLS handshake: the server does not accept the client's
	// certificate, or its lack. crypto/tls gives its alerts no type.
	var remote *net.OpError
	if errors.As(err, &remote) && remote.Op == "remote error" {
		return ErrUnauthorized
	}
	for _, passing := range []error{
		kafka.RebalanceInProgress, kafka.IllegalGeneration, kafka.UnknownMemberId, kafka.FencedInstanceID, kafka.OffsetOutOfRange,
	} {
		if errors.Is(err, passing) {
			return nil
		}
	}
	var code kafka.Error
	if errors.As(err, &code) && code > 0 && !code.Temporary() {
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

// final tells whether trying again can't help. That a topic is unknown can
// pass: a server that has just started does not know its topics yet.
func final(err error) bool {
	var certificate *tls.CertificateVerificationError
	if errors.As(err, &certificate) {
		return true
	}
	k := kind(err)
	return k != nil && k != ErrNotFound
}
