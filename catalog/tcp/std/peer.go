package std

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// goodbye is how long a side that closes waits for the peer to end its side
// too: what comes later to a closed connection destroys what is on its way.
const goodbye = time.Second

// Peer is the other end of one connection. It is safe for concurrent use.
type Peer struct {
	raw     net.Conn // below TLS
	conn    net.Conn
	options *Options
	early   []byte // what the handshake has read of the stream

	turn    chan struct{} // held while something is written
	shut    bool          // nothing is written any more; belongs to who has the turn
	closing sync.Once
	linger  atomic.Int64  // until when, in Unix nanoseconds, this side waits that has ended it
	ended   chan struct{} // closed when the connection has ended
	broken  chan struct{} // closed when writing has failed
	unread  sync.Once     // told that nobody reads

	unhandled atomic.Int64 // messages that no handler is done with, and one while more can come
	handled   chan struct{}
}

func newPeer(raw, conn net.Conn, o *Options) *Peer {
	p := &Peer{
		raw: raw, conn: conn, options: o, turn: make(chan struct{}, 1),
		ended: make(chan struct{}), broken: make(chan struct{}), handled: make(chan struct{}),
	}
	p.unhandled.Store(1)
	return p
}

// Native gives the connection, a *net.TCPConn or *tls.Conn. Reading from it is
// the driver's.
func (p *Peer) Native() net.Conn { return p.conn }

// Send sends on this connection, as Publisher's Send does, but does not wait
// for another connection when this one ends: ErrClosed.
func (p *Peer) Send(ctx context.Context, envelopes ...*EnvelopeOut) error {
	err := ctx.Err()
	if err == nil {
		ctx, cancel := p.options.bounded(ctx)
		defer cancel()
		err = send(envelopes, p.options, func(b *batch) error {
			n, err := p.write(ctx, b)
			b.written(n)
			if err != nil && ctx.Err() == nil && !errors.Is(err, ErrClosed) {
				err = fmt.Errorf("%w: %w", ErrClosed, err)
			}
			return err
		})
	}
	if err != nil {
		return fmt.Errorf("tcp: send to peer: %w", err)
	}
	return nil
}

// Close ends the connection in an orderly way: what is being written is
// finished first. A side that dialled dials again.
func (p *Peer) Close() error {
	p.end(time.Now().Add(p.options.Timeout))
	return nil
}

// write returns when the batch is written or ctx ends, and how much of it was.
// What has begun is finished all the same: half a message would be the end of
// the connection and of all that is on its way.
func (p *Peer) write(ctx context.Context, b *batch) (int, error) {
	select {
	case p.turn <- struct{}{}:
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-p.ended:
		return 0, ErrClosed
	}
	if p.shut {
		<-p.turn
		return 0, ErrClosed
	}
	type result struct {
		n   int
		err error
	}
	wire, wrote := b.wire, make(chan result, 1)
	go func() {
		n, err := p.conn.Write(wire)
		if err != nil {
			p.shut = true
			close(p.broken)
			// What the peer had sent before is still to be read.
			_ = p.raw.SetReadDeadline(time.Now().Add(goodbye))
		}
		<-p.turn
		wrote <- result{n, err}
	}()
	select {
	case r := <-wrote:
		return r.n, r.err
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// read gives what the peer sends.
func (p *Peer) read() io.Reader { return io.MultiReader(bytes.NewReader(p.early), p.conn) }

// done says that a message is handled, or that no more can come.
func (p *Peer) done() {
	if p.unhandled.Add(-1) == 0 {
		close(p.handled)
	}
}

// end ends this side, once, after what is being written. Until the deadline it
// leaves the peer the time to end its own.
func (p *Peer) end(deadline time.Time) {
	p.closing.Do(func() {
		p.linger.Store(deadline.UnixNano())
		stuck := time.AfterFunc(time.Until(deadline), func() { _ = p.raw.Close() })
		defer stuck.Stop()
		select {
		case p.turn <- struct{}{}:
		case <-p.ended:
			return
		}
		p.shut = true
		closeWrite(p.conn)
		if p.raw != p.conn { // TLS's goodbye leaves the connection open
			closeWrite(p.raw)
		}
		if until := time.Now().Add(goodbye); until.Before(deadline) {
			deadline = until
		}
		_ = p.raw.SetReadDeadline(deadline)
		<-p.turn
	})
}

func closeWrite(conn net.Conn) {
	if c, ok := conn.(interface{ CloseWrite() error }); ok {
		_ = c.CloseWrite()
	}
}

// finish closes the connection and waits until nothing of it runs any more.
func (p *Peer) finish() {
	if conn, ok := p.raw.(*net.TCPConn); ok && p.linger.Load() != 0 {
		// Close waits until the peer's system has all that was sent.
		left := time.Until(time.Unix(0, p.linger.Load()))
		_ = conn.SetLinger(int(max(left/time.Second, 1)))
	}
	_ = p.raw.Close()
	close(p.ended)
	p.closing.Do(func() {})
	p.turn <- struct{}{} // for good: the last message was the last
}
