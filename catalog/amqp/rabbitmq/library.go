package rabbitmq

import (
	"errors"
	"net"

	amqp "github.com/rabbitmq/amqp091-go"
)

// This file holds what is peculiar to the client library.

// adapt gives the connection that the library is to use, and what explains
// the error of a login over it. The library takes every end of the connection
// for wrong credentials, also that of a server which was just stopped: only the
// server's own word counts.
func adapt(s *socket) (net.Conn, func(error) error) {
	return s, func(err error) error {
		var answer *amqp.Error
		if errors.As(err, &answer) && answer.Server || errors.Is(err, amqp.ErrSASL) {
			return err
		}
		if cause := s.cause(); !errors.Is(cause, errLogin) {
			return cause
		}
		return err
	}
}

// channels opens and closes a session's channels.
type channels struct{}

func (*channels) open(conn *amqp.Connection) (*amqp.Channel, error) { return conn.Channel() }

func (*channels) close(channel *amqp.Channel) { channel.Close() }
