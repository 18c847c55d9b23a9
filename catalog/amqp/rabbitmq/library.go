package rabbitmq

import (
	"errors"

	amqp "github.com/rabbitmq/amqp091-go"
)

// This file holds what differs between the AMQP 0-9-1 libraries.

// loginError is why a login failed. The library takes every end of the
// connection for wrong credentials, also that of a server which was stopped;
// only the server's own word counts.
func loginError(err error, s *socket) error {
	var answer *amqp.Error
	if errors.As(err, &answer) && answer.Server || errors.Is(err, amqp.ErrSASL) {
		return err
	}
	if cause := s.cause(); cause != nil && !errors.Is(cause, errLogin) {
		return cause
	}
	return err
}
