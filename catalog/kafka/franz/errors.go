package franz

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"

	"github.com/twmb/franz-go/pkg/kerr"
)

// kinds are the library's errors behind this package's own.
var kinds = []struct {
	kind   error
	causes []error
}{
	{ErrUnauthorized, []error{
		kerr.SaslAuthenticationFailed, kerr.UnsupportedSaslMechanism, kerr.IllegalSaslState,
		kerr.TopicAuthorizationFailed, kerr.GroupAuthorizationFailed, kerr.ClusterAuthorizationFailed,
	}},
	{ErrNotFound, []error{kerr.UnknownTopicOrPartition, kerr.UnknownTopicID}},
	{ErrTooLarge, []error{kerr.MessageTooLarge, kerr.RecordListTooLarge}},
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
	// A TLS alert means that the server does not accept the client's
	// certificate, or that there is none. Its type is not exported.
	var alert *net.OpError
	if errors.As(err, &alert) && alert.Op == "remote error" {
		return ErrUnauthorized
	}
	for _, passing := range []error{
		kerr.RebalanceInProgress, kerr.IllegalGeneration, kerr.UnknownMemberID, kerr.FencedInstanceID, kerr.OffsetOutOfRange,
		kerr.StaleMemberEpoch, kerr.FencedMemberEpoch,
		kerr.OutOfOrderSequenceNumber, kerr.UnknownProducerID, kerr.InvalidProducerEpoch,
	} {
		if errors.Is(err, passing) {
			return nil
		}
	}
	var answer *kerr.Error
	if errors.As(err, &answer) && answer.Code > 0 && !answer.Retriable {
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
