package coder

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
)

// CloseError says that the peer closed the connection, with which code (RFC
// 6455, section 7.4) and reason. 1005 is a close without a code.
type CloseError struct {
	Code   int
	Reason string
	err    error
}

func (e *CloseError) Error() string {
	return fmt.Sprintf("closed by the peer with code %d and reason %q", e.Code, e.Reason)
}

// Unwrap gives the library's error.
func (e *CloseError) Unwrap() error { return e.err }

// statusError is an answer to the handshake that is not the one hoped for.
type statusError struct {
	status int
	text   string
}

func (e *statusError) Error() string {
	return fmt.Sprintf("the handshake was answered with status %d %s%s", e.status, http.StatusText(e.status), e.text)
}

func (e *statusError) Is(target error) bool {
	switch e.status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusProxyAuthRequired:
		return target == ErrUnauthorized
	case http.StatusNotFound, http.StatusGone:
		return target == ErrNotFound
	}
	return target == ErrRefused
}

// passing are the answers that another attempt may change.
func (e *statusError) passing() bool {
	return e.status >= 500 || e.status == http.StatusRequestTimeout || e.status == http.StatusTooManyRequests
}

// final tells whether dialling again can't help.
func (o *Options) final(err error) bool {
	err = classify(err)
	var closed *CloseError
	if errors.As(err, &closed) {
		return slices.Contains(o.FinalCodes, closed.Code)
	}
	var status *statusError
	if errors.As(err, &status) {
		return !status.passing() && status.status != http.StatusNotFound
	}
	var certificate *tls.CertificateVerificationError
	return errors.As(err, &certificate) || errors.Is(err, ErrUnauthorized) || errors.Is(err, ErrUnsupported) || errors.Is(err, errBindings)
}

// errBindings: the handshake's parameters do not fit the bindings.
var errBindings = errors.New("the handshake does not fit the bindings")

// classify adds this package's error to the library's.
func classify(err error) error {
	// An alert of the server's means that it does not accept the client's
	// certificate, or that there is none.
	var alert *net.OpError
	if errors.As(err, &alert) && alert.Op == "remote error" {
		return fmt.Errorf("%w: %w", ErrUnauthorized, err)
	}
	return err
}

// protocolError is a fault of the peer's that closes its connection.
type protocolError struct {
	code int
	err  error
}

func (e *protocolError) Error() string { return e.err.Error() }
func (e *protocolError) Unwrap() error { return e.err }
