package goredis

import (
	"crypto/tls"
	"errors"
	"fmt"
	"slices"

	"github.com/redis/go-redis/v9"
)

// unauthorized are the beginnings of the server's answers to credentials that
// it does not accept, or that do not allow a command.
var unauthorized = []string{
	"NOAUTH", "WRONGPASS", "NOPERM", "DENIED",
	"AUTH ", "invalid password", "Client sent AUTH", // before Redis 6
}

// passing are the beginnings of answers that a server gives while it starts,
// fails over or has too much to do.
var passing = []string{
	"LOADING", "MASTERDOWN", "READONLY", "CLUSTERDOWN", "TRYAGAIN", "NOREPLICAS", "BUSY ", "UNBLOCKED", "max number of clients",
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
	begins := func(prefix string) bool { return redis.HasErrorPrefix(err, prefix) }
	// An alert means that the server does not accept the client's certificate,
	// or that there is none.
	var alert tls.AlertError
	var answer redis.Error
	switch {
	case slices.ContainsFunc(unauthorized, begins), errors.As(err, &alert):
		return ErrUnauthorized
	case errors.As(err, &answer) && !errors.Is(err, redis.Nil) && !slices.ContainsFunc(passing, begins):
		return ErrRefused
	}
	return nil
}

// answered tells whether an error is the server's, so that the connection is
// good.
func answered(err error) bool {
	var answer redis.Error
	return errors.As(err, &answer)
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
