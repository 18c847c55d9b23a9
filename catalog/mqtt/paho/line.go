package paho

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/eclipse/paho.mqtt.golang/packets"
)

// line is one connection: the net.Conn that the library works on. It remembers
// why it ended.
type line struct {
	net.Conn
	keep    func() bool // keeps the end of ctx from closing it
	client  mqtt.Client
	resumed bool // the server still had the session
	timeout time.Duration
	ended   context.Context // done when the connection is; its cause tells why
	end     context.CancelCauseFunc
	lost    chan struct{} // closed when the library has stopped
	writing sync.Mutex
}

func newLine(timeout time.Duration) *line {
	l := &line{timeout: timeout, lost: make(chan struct{})}
	l.ended, l.end = context.WithCancelCause(context.Background())
	return l
}

// Write is called once for each packet. A server that does not read can't hold
// it for ever.
func (l *line) Write(p []byte) (int, error) {
	l.writing.Lock()
	defer l.writing.Unlock()
	for rest := p; len(rest) > 0; {
		piece := rest[:min(len(rest), 64<<10)]
		err := l.Conn.SetWriteDeadline(time.Now().Add(l.timeout))
		if err == nil {
			_, err = l.Conn.Write(piece)
		}
		if err != nil {
			l.end(err)
			l.Conn.Close()
			return 0, err
		}
		rest = rest[len(piece):]
	}
	return len(p), nil
}

// Read hides which error it was: the library takes that of a closed connection
// for its own doing, and would go on for ever.
func (l *line) Read(p []byte) (int, error) {
	n, err := l.Conn.Read(p)
	if err != nil {
		l.end(fmt.Errorf("connection lost: %w", err))
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

func (l *line) Close() error {
	l.end(net.ErrClosed)
	if l.Conn == nil {
		return nil
	}
	return l.Conn.Close()
}

// wait waits for a token, which the library may forget when the connection
// ends, or call a success.
func (l *line) wait(ctx context.Context, token mqtt.Token) error {
	select {
	case <-token.Done():
		if l.ended.Err() != nil {
			return context.Cause(l.ended)
		}
		return token.Error()
	case <-l.ended.Done():
		return context.Cause(l.ended)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// filter is a subscription.
type filter struct {
	topic string
	qos   byte
}

func (l *line) subscribe(ctx context.Context, f filter) error {
	token := l.client.Subscribe(f.topic, f.qos, nil)
	err := l.wait(ctx, token)
	var granted byte
	for _, granted = range token.(*mqtt.SubscribeToken).Result() {
	}
	switch {
	case l.ended.Err() != nil:
		return context.Cause(l.ended)
	case granted == 0x80:
		return fmt.Errorf("%w: the subscription failed", ErrRefused)
	case err != nil:
		return fmt.Errorf("subscribe: %w", err)
	case granted < f.qos:
		return fmt.Errorf("%w: the server grants QoS %d and not %d", ErrRefused, granted, f.qos)
	}
	return nil
}

// acknowledge tells the server that a message is settled. An error means that
// the connection has ended: the message comes again.
func (l *line) acknowledge(m mqtt.Message) {
	if m.Qos() == 2 {
		p := packets.NewControlPacket(packets.Pubrec).(*packets.PubrecPacket)
		p.MessageID = m.MessageID()
		_ = p.Write(l)
		return
	}
	p := packets.NewControlPacket(packets.Puback).(*packets.PubackPacket)
	p.MessageID = m.MessageID()
	_ = p.Write(l)
}

// goodbye ends the connection in good order. That the server ends it too shows
// that it has read all that was sent.
func (l *line) goodbye() {
	_ = packets.NewControlPacket(packets.Disconnect).Write(l)
	if w, ok := l.Conn.(webSocket); ok {
		const closeFrame, normalEnd = 8, "\x03\xe8"
		_ = w.WriteControl(closeFrame, []byte(normalEnd), time.Now().Add(l.timeout))
	}
	select {
	case <-l.ended.Done():
	case <-time.After(l.timeout):
	}
	l.hangUp()
}

// webSocket is what the library's WebSocket connection has besides.
type webSocket interface {
	WriteControl(kind int, data []byte, deadline time.Time) error
}

// hangUp returns when the library has stopped.
func (l *line) hangUp() {
	l.Close()
	<-l.lost
}
