package std

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"
)

// channel is the connections of a Publisher or Subscriber: one where this side
// dials, any number where it listens.
type channel struct {
	options  *Options
	address  string
	incoming chan *EnvelopeIn // nil where nobody receives
	stop     context.Context  // done when the connections are to be ended
	end      context.CancelFunc
	failing  chan struct{} // closed when failed is set
	serving  sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	until   time.Time // how long ending may take
	peers   map[*Peer]struct{}
	changed chan struct{} // closed when there is another peer
	failed  error         // why there will be no more
	last    error         // why the last one ended
	dropped int           // messages that came too late for a handler
}

func newChannel(o *Options, address string, receives bool) *channel {
	c := &channel{
		options: o, address: address,
		failing: make(chan struct{}), peers: map[*Peer]struct{}{}, changed: make(chan struct{}),
	}
	if receives {
		c.incoming = make(chan *EnvelopeIn, o.Queue)
	}
	c.stop, c.end = context.WithCancel(context.Background())
	return c
}

func (c *channel) log() *slog.Logger { return c.options.Logger.With("address", c.address) }

// enter counts somebody who works for the channel, unless it is closed.
func (c *channel) enter() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.serving.Add(1)
	}
	return !c.closed
}

// welcome lets OnConnect have the connection first, then everybody.
func (c *channel) welcome(p *Peer) error {
	if c.options.OnConnect != nil {
		ctx, cancel := context.WithTimeout(c.stop, c.options.Timeout)
		err := c.options.OnConnect(ctx, p)
		cancel()
		if err != nil {
			p.finish()
			return fmt.Errorf("OnConnect: %w", err)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.peers[p] = struct{}{}
	close(c.changed)
	c.changed = make(chan struct{})
	return nil
}

func (c *channel) remove(p *Peer, cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.peers, p)
	c.last = cause
}

// serve reads what a peer sends until its connection ends, and gives the cause.
// It goes on reading while this side ends the connection: with something
// unread, closing would destroy what is on its way to the peer.
func (c *channel) serve(p *Peer) error {
	defer context.AfterFunc(c.stop, func() {
		c.mu.Lock()
		until := c.until
		c.mu.Unlock()
		p.end(until)
	})()
	messages := newFrames(p.read(), c.options)
	payload, err := messages.next()
	for ; err == nil; payload, err = messages.next() {
		c.deliver(&EnvelopeIn{peer: p, payload: payload, unread: payload})
	}
	p.done()
	if err == io.EOF {
		if !c.options.HalfClose {
			c.remove(p, err)
		}
		c.linger(p)
	}
	if p.linger.Load() != 0 {
		err = fmt.Errorf("%w: this side has ended the connection", ErrClosed)
	}
	c.remove(p, err)
	p.finish()
	if c.options.OnDisconnect != nil {
		c.options.OnDisconnect(p, err)
	}
	return err
}

// linger keeps a connection whose peer has ended its own side, for the replies.
func (c *channel) linger(p *Peer) {
	select {
	case <-p.handled:
	case <-c.stop.Done():
		return
	case <-p.broken:
		return
	}
	if c.options.HalfClose {
		select {
		case <-c.stop.Done():
		case <-p.broken:
		}
	}
}

// deliver puts a message where Receive finds it. While there is no room it
// waits, and so does the sender in the end.
func (c *channel) deliver(e *EnvelopeIn) {
	if c.incoming == nil {
		e.peer.unread.Do(func() {
			c.log().Warn("tcp: a message came and nobody receives here; a Subscriber's Publisher sends and receives on one connection")
		})
		return
	}
	e.peer.unhandled.Add(1)
	if c.stop.Err() == nil {
		select {
		case c.incoming <- e:
			return
		case <-c.stop.Done():
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dropped++
}

// fail says that there will be no more connections.
func (c *channel) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failed = classify(err)
	close(c.failing)
	close(c.changed)
	c.changed = make(chan struct{})
}

// connected waits for a connection and gives all that there are.
func (c *channel) connected(ctx, closing context.Context) ([]*Peer, error) {
	for {
		c.mu.Lock()
		changed, failed, last := c.changed, c.failed, c.last
		c.mu.Unlock()
		peers := c.list()
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case c.stop.Err() != nil || closing.Err() != nil && len(peers) == 0:
			return nil, ErrClosed
		case failed != nil:
			return nil, failed
		case len(peers) > 0:
			return peers, nil
		}
		select {
		case <-changed:
		case <-c.stop.Done():
		case <-closing.Done():
		case <-ctx.Done():
			if last != nil {
				return nil, fmt.Errorf("no connection: %w; the last one: %w", ctx.Err(), last)
			}
			return nil, fmt.Errorf("no connection: %w", ctx.Err())
		}
	}
}

// send writes a batch to all peers, and waits for one where there is none,
// until closing. A peer whose connection breaks meanwhile is none any more.
func (c *channel) send(ctx, closing context.Context, b *batch) error {
	for {
		peers, err := c.connected(ctx, closing)
		if err != nil {
			return err
		}
		counts, errs := writeAll(ctx, peers, b)
		most := 0
		for i, err := range errs {
			if err != nil && ctx.Err() == nil {
				c.remove(peers[i], err)
			}
			most = max(most, counts[i])
		}
		b.written(most)
		switch {
		case len(b.ends) == 0:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		}
	}
}

// writeAll writes side by side, so that a slow peer holds up no other.
func writeAll(ctx context.Context, peers []*Peer, b *batch) ([]int, []error) {
	counts, errs := make([]int, len(peers)), make([]error, len(peers))
	var writing sync.WaitGroup
	for i, p := range peers[1:] {
		writing.Add(1)
		go func() {
			defer writing.Done()
			counts[i+1], errs[i+1] = p.write(ctx, b)
		}()
	}
	counts[0], errs[0] = peers[0].write(ctx, b)
	writing.Wait()
	return counts, errs
}

// refuse lets nobody in any more.
func (c *channel) refuse() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
}

// close ends the connections and waits until they have ended, which is soon
// after the deadline at the latest.
func (c *channel) close(until time.Time) {
	c.mu.Lock()
	c.closed = true
	if c.stop.Err() == nil {
		c.until = until
		c.end()
	}
	c.mu.Unlock()
	c.serving.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := c.dropped + len(c.incoming); n > 0 {
		c.log().Warn("tcp: closed with messages that were not handled", "messages", n)
		c.dropped = 0
		for range len(c.incoming) {
			<-c.incoming
		}
	}
}

// tell says why a connection has ended.
func (c *channel) tell(p *Peer, cause error) {
	log := c.log().With("peer", p.raw.RemoteAddr().String(), "cause", cause)
	if errors.Is(cause, io.EOF) || errors.Is(cause, ErrClosed) {
		log.Debug("tcp: connection ended")
		return
	}
	log.Warn("tcp: connection broke off")
}

// list gives the connections that there are.
func (c *channel) list() []*Peer {
	c.mu.Lock()
	defer c.mu.Unlock()
	peers := make([]*Peer, 0, len(c.peers))
	for p := range c.peers {
		peers = append(peers, p)
	}
	return peers
}
