package coder

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
)

// Peer is the other end of one connection. It is safe for concurrent use.
type Peer struct {
	wire    *wire
	options *Options
	request *http.Request

	turn   chan struct{} // held while a message is written
	buffer []byte        // the message that is written, of whoever has the turn

	given  atomic.Bool   // given up, for it gave no sign of life
	unread sync.Once     // told that nobody reads
	over   sync.Once     // the connection is being closed
	ended  chan struct{} // closed when it has ended
}

func newPeer(w *wire, o *Options, r *http.Request) *Peer {
	return &Peer{
		wire: w, options: o, request: r,
		turn: make(chan struct{}, 1), ended: make(chan struct{}),
	}
}

// Request is the handshake that came from the peer, nil where this side has
// dialled. PathValue gives the parameters of the address. Its context has
// nothing to do with the connection.
func (p *Peer) Request() *http.Request { return p.request }

// Subprotocol is the one agreed upon, "" for none.
func (p *Peer) Subprotocol() string { return p.wire.subprotocol() }

// Native gives the library's connection. Reading from it is the driver's.
func (p *Peer) Native() *websocket.Conn { return p.wire.ws }

// Send sends on this connection, as Publisher's Send does, but does not wait
// for another connection when this one ends: ErrClosed.
func (p *Peer) Send(ctx context.Context, envelopes ...*EnvelopeOut) error {
	ctx, cancel := p.options.bounded(ctx)
	defer cancel()
	err := each(envelopes, func(e *EnvelopeOut) error {
		if err := e.check(p.options.MaxMessageBytes); err != nil {
			return err
		}
		err := p.write(ctx, e)
		if err != nil && ctx.Err() == nil && !errors.Is(err, ErrClosed) {
			err = fmt.Errorf("%w: %w", ErrClosed, err)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("ws: send to peer: %w", err)
	}
	return nil
}

// each sends one envelope after the other and gives what came of them.
func each(envelopes []*EnvelopeOut, send func(*EnvelopeOut) error) error {
	errs, failed := make(SendErrors, len(envelopes)), false
	for i, e := range envelopes {
		errs[i] = send(e)
		failed = failed || errs[i] != nil
	}
	switch {
	case !failed:
		return nil
	case len(errs) == 1:
		return errs[0]
	default:
		return errs
	}
}

// keptBuffer is the largest buffer that a connection keeps for the next message.
const keptBuffer = 64 << 10

// write returns when the message is written or ctx ends. A message that has
// begun is finished all the same, from a copy: half of one would be the end of
// the connection and of all that is on its way.
func (p *Peer) write(ctx context.Context, e *EnvelopeOut) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case p.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	case <-p.ended:
		return ErrClosed
	}
	p.buffer = append(p.buffer[:0], e.payload...)
	kind, wrote := e.kind(), make(chan error, 1)
	go func() {
		err := p.wire.write(kind, p.buffer)
		if cap(p.buffer) > keptBuffer {
			p.buffer = nil
		}
		<-p.turn
		wrote <- err
	}()
	select {
	case err := <-wrote:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close closes the connection with a code of RFC 6455, section 7.4, or of one's
// own from 3000 to 4999, and waits for the peer's answer, at most
// Options.Timeout. Messages that are on their way are sent before. A side that
// dialled dials again.
func (p *Peer) Close(code int, reason string) error {
	if err := checkClose(code, reason); err != nil {
		return fmt.Errorf("ws: close: %w", err)
	}
	p.shut(code, reason)
	return nil
}

func checkClose(code int, reason string) error {
	switch {
	case code < 1000 || code >= 1015 && code < 3000 || code > 4999 || code >= 1004 && code <= 1006:
		return fmt.Errorf("%w: %d is no close code that may be sent", ErrUnsupported, code)
	case len(reason) > 123:
		return errors.New("the reason is longer than 123 bytes")
	}
	return nil
}

// shut closes the connection once. It returns when that is done.
func (p *Peer) shut(code int, reason string) {
	p.over.Do(func() { p.wire.close(code, reason) })
}

// finish waits until nothing of the connection runs any more.
func (p *Peer) finish() {
	p.wire.release()
	close(p.ended)
	p.over.Do(func() {})
	p.turn <- struct{}{} // for good: the last message was the last
}

// watch asks for signs of life and gives up a peer that has none. It asks also
// while nothing is read here, so that the peer sees that this side lives.
func (p *Peer) watch(ctx context.Context) {
	var asking sync.WaitGroup
	defer asking.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	asked := time.Now()
	for sleep(ctx, min(p.options.PingInterval, p.options.Timeout)/4) {
		if p.silent() {
			p.given.Store(true)
			p.wire.kill()
			return
		}
		if time.Since(asked) < p.options.PingInterval {
			continue
		}
		asked = time.Now()
		asking.Add(1)
		go func() {
			defer asking.Done()
			p.wire.ping(ctx)
		}()
	}
}

// silent tells whether the peer has to be given up.
func (p *Peer) silent() bool {
	return p.wire.tap.silence() > p.options.PingInterval+p.options.Timeout
}
