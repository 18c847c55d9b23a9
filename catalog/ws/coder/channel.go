package coder

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
)

// channel is the connections of one address: one where this side dials, any
// number where it listens.
type channel struct {
	options  *Options
	address  string
	bindings *ChannelBindings
	incoming chan *EnvelopeIn // nil where nobody receives
	stop     context.Context  // done when the connections are to be closed
	end      context.CancelFunc
	failing  chan struct{} // closed when failed is set
	serving  sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	code    int // for closing
	reason  string
	peers   map[*Peer]struct{}
	changed chan struct{} // closed when there is another peer
	failed  error         // why there will be no more
	last    error         // why the last one ended
	dropped int           // messages that came too late for a handler
}

func newChannel(o *Options, address string, bindings *ChannelBindings, receives bool) *channel {
	c := &channel{
		options: o, address: address, bindings: bindings,
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
			p.shut(1011, "")
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
// It goes on reading while the connection is closed: the peer's answer comes
// after all that it had sent.
func (c *channel) serve(p *Peer) (err error) {
	defer context.AfterFunc(c.stop, func() { p.shut(c.code, c.reason) })()
	watch, unwatch := context.WithCancel(context.Background())
	var watching sync.WaitGroup
	watching.Add(1)
	go func() {
		defer watching.Done()
		p.watch(watch)
	}()
	defer func() {
		c.remove(p, err)
		unwatch()
		p.finish()
		watching.Wait()
		if c.options.OnDisconnect != nil {
			c.options.OnDisconnect(p, err)
		}
	}()
	for {
		opCode, payload, err := p.wire.read()
		var fault *protocolError
		switch {
		case err == nil:
			c.deliver(&EnvelopeIn{peer: p, opCode: opCode, payload: payload, unread: payload})
		case errors.As(err, &fault):
			p.shut(fault.code, fault.Error())
			return err
		case errors.Is(err, ErrTooLarge):
			p.shut(1009, "message too big")
			return err
		case p.given.Load():
			return fmt.Errorf("no sign of life for %v: %w", c.options.PingInterval+c.options.Timeout, err)
		default:
			return err
		}
	}
}

// deliver puts a message where Receive finds it. While there is no room it
// waits, and so does the sender in the end.
func (c *channel) deliver(e *EnvelopeIn) {
	p := e.peer
	if c.incoming == nil {
		p.unread.Do(func() {
			c.log().Warn("ws: a message came and nobody receives here; a Subscriber's Publisher sends and receives on one connection")
		})
		return
	}
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
		peers := make([]*Peer, 0, len(c.peers))
		for p := range c.peers {
			peers = append(peers, p)
		}
		changed, failed, last := c.changed, c.failed, c.last
		c.mu.Unlock()
		switch {
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

// send writes a message to all peers, and waits for one where there is none,
// until closing. A peer whose connection breaks meanwhile is none any more.
func (c *channel) send(ctx, closing context.Context, e *EnvelopeOut) error {
	if err := e.check(c.options.MaxMessageBytes); err != nil {
		return err
	}
	for {
		peers, err := c.connected(ctx, closing)
		if err != nil {
			return err
		}
		written := false
		for i, err := range writeAll(ctx, peers, e) {
			switch {
			case err == nil:
				written = true
			case ctx.Err() != nil:
				return err
			default:
				c.remove(peers[i], err)
			}
		}
		if written {
			return nil
		}
	}
}

// writeAll writes side by side, so that a slow peer holds up no other.
func writeAll(ctx context.Context, peers []*Peer, e *EnvelopeOut) []error {
	errs := make([]error, len(peers))
	var writing sync.WaitGroup
	for i, p := range peers[1:] {
		writing.Add(1)
		go func() {
			defer writing.Done()
			errs[i+1] = p.write(ctx, e)
		}()
	}
	errs[0] = peers[0].write(ctx, e)
	writing.Wait()
	return errs
}

// refuse lets nobody in any more.
func (c *channel) refuse() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
}

// close says goodbye to the peers and waits until their connections have ended.
func (c *channel) close(code int, reason string) {
	c.mu.Lock()
	c.closed = true
	if c.stop.Err() == nil {
		c.code, c.reason = code, reason
		c.end()
	}
	c.mu.Unlock()
	c.serving.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := c.dropped + len(c.incoming); n > 0 {
		c.log().Warn("ws: closed with messages that were not handled", "messages", n)
		c.dropped = 0
		for range len(c.incoming) {
			<-c.incoming
		}
	}
}
