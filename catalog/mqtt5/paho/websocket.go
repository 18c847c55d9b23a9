package paho

import (
	"context"
	"errors"
	"net"
)

func (s server) upgrade(ctx context.Context, conn net.Conn, o *Options) (net.Conn, error) {
	return nil, errors.New("websocket")
}
