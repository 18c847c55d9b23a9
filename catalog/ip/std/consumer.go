package std

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"time"
)

// Consumer holds the socket that a Subscriber reads from. It is safe for
// concurrent use.
type Consumer struct {
	options Options
	local   netip.Addr // not valid for all of this machine's
	writer  *writer

	mu         sync.Mutex
	closed     bool
	subscriber *Subscriber
	drops      uint64
	lastDrops  uint32 // what the system said last
	told       time.Time
}

// NewConsumer opens a socket for what comes to ip://host or host, an address of
// this machine, or 0.0.0.0 or :: for all of them. What comes from now on waits
// in the system's buffer. Errors: ErrUnauthorized where the process may not open
// raw sockets, ErrUnsupported for credentials and TLS.
func NewConsumer(serverURL string, bindings *ServerBindings, options *Options) (*Consumer, error) {
	o := options.withDefaults()
	server, err := parseServer(serverURL, &o)
	if err != nil {
		return nil, err
	}
	addr, err := server.resolve(context.Background(), &o)
	if err != nil {
		return nil, fmt.Errorf("ip: listen: %w", err)
	}
	conn, err := listen(addr, &o)
	if err != nil {
		return nil, fmt.Errorf("ip: %w", classify(err))
	}
	if err := ask(conn, addr.Is6()); err != nil {
		o.Logger.Info("ip: the system does not tell all about datagrams", "error", err)
	}
	c := &Consumer{options: o, writer: newWriter(conn, o.MaxMessageBytes)}
	if !addr.IsUnspecified() {
		c.local = addr.WithZone("")
	}
	return c, nil
}

// URL is where it listens: what a Producer needs to reach it.
func (c *Consumer) URL() string { return "ip://" + c.writer.conn.LocalAddr().String() }

// Native gives the socket. Reading from it is the driver's.
func (c *Consumer) Native() *net.IPConn { return c.writer.conn }

// Dropped is how many datagrams did not come to a handler: the system had no
// room for them, which Linux tells with the next one, or they were larger than
// Options.MaxMessageBytes.
func (c *Consumer) Dropped() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.drops
}

// passesOver tells whether a datagram is not for Receive. One to another address
// can only have come before the socket had its own.
func (c *Consumer) passesOver(h IPHeader) bool {
	if c.local.IsValid() && h.Dst.IsValid() && h.Dst != c.local {
		return true
	}
	return len(c.options.Peers) > 0 && !slices.Contains(c.options.Peers, h.Src) && !slices.Contains(c.options.Peers, h.Src.WithZone(""))
}

// drop counts, and tells the Logger, at most once a second.
func (c *Consumer) drop(why string, n uint64) {
	c.mu.Lock()
	c.drops += n
	tell := time.Since(c.told) > time.Second
	if tell {
		c.told = time.Now()
	}
	total := c.drops
	c.mu.Unlock()
	if tell {
		c.options.Logger.Warn("ip: datagrams were dropped", "why", why, "total", total)
	}
}

// overflow reads from a datagram's control data what the system has dropped.
func (c *Consumer) overflow(control []byte) {
	now, ok := dropped(control)
	if !ok {
		return
	}
	c.mu.Lock()
	n := now - c.lastDrops
	if int32(n) > 0 { // with several handlers the numbers may overtake each other
		c.lastDrops = now
	}
	c.mu.Unlock()
	if int32(n) > 0 {
		c.drop("the system's buffer was full", uint64(n))
	}
}

// Subscriber reads from the socket. There is one at a time: ErrRefused for a
// second. The address means nothing on the wire: it names the channel in errors
// and to the Logger.
func (c *Consumer) Subscriber(ctx context.Context, address string, bindings *ChannelBindings) (*Subscriber, error) {
	fail := func(err error) (*Subscriber, error) {
		return nil, fmt.Errorf("ip: open %q for receiving: %w", address, err)
	}
	if err := ctx.Err(); err != nil {
		return fail(err)
	}
	s := &Subscriber{consumer: c, address: address}
	s.closing, s.beginClose = context.WithCancel(context.Background())
	s.abandoned, s.abandon = context.WithCancel(context.Background())
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
		return fail(ErrClosed)
	case c.subscriber != nil:
		return fail(fmt.Errorf("%w: the Consumer has a Subscriber already, %q", ErrRefused, c.subscriber.address))
	}
	c.subscriber = s
	return s, nil
}

// Close closes the Subscriber and the socket. It waits for the handlers that
// run, at most Options.Timeout.
func (c *Consumer) Close() error {
	c.mu.Lock()
	c.closed = true
	s := c.subscriber
	c.mu.Unlock()
	var err error
	if s != nil {
		err = s.Close()
	}
	_ = c.writer.conn.Close()
	return err
}

// Subscriber receives datagrams.
type Subscriber struct {
	consumer   *Consumer
	address    string
	closing    context.Context // done when Close begins
	beginClose context.CancelFunc
	abandoned  context.Context // done when Close has waited long enough
	abandon    context.CancelFunc

	mu        sync.Mutex
	receiving chan struct{} // closed when the Receive that runs returns
}

// SendTo sends from the socket that the Subscriber receives on, as Publisher's
// Send does, to any peer. That nobody listens there is not told.
func (s *Subscriber) SendTo(ctx context.Context, peer netip.Addr, envelopes ...*EnvelopeOut) error {
	err := ctx.Err()
	switch {
	case err != nil:
	case s.abandoned.Err() != nil:
		err = ErrClosed
	case !peer.IsValid():
		err = errors.New("the peer's address is not valid")
	default:
		ctx, cancel := s.consumer.options.bounded(ctx)
		defer cancel()
		err = s.consumer.writer.send(ctx, peer, envelopes)
	}
	if err != nil {
		return fmt.Errorf("ip: send to %s: %w", peer, err)
	}
	return nil
}

// Receive calls handle for each datagram, an empty one too, at most
// Options.Concurrency at once. Nothing can come again: an error of handle, and
// what Reject made of it, is logged. While no Receive runs, or no handler has
// time, datagrams wait in the system's buffer; what it has no room for is lost:
// see Consumer.Dropped.
//
// handle's context ends with ctx. Its panic is Receive's.
//
// Receive returns ctx's error when ctx ends and ErrClosed after Close, both as
// soon as the handlers that run have returned. One Receive runs at a time.
func (s *Subscriber) Receive(ctx context.Context, handle func(context.Context, *EnvelopeIn) error) error {
	err := s.receive(ctx, handle)
	return fmt.Errorf("ip: receive from %q: %w", s.address, err)
}

func (s *Subscriber) receive(ctx context.Context, handle func(context.Context, *EnvelopeIn) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	if s.closing.Err() != nil {
		s.mu.Unlock()
		return ErrClosed
	}
	if s.receiving != nil {
		s.mu.Unlock()
		return errors.New("another Receive runs on this Subscriber")
	}
	done := make(chan struct{})
	s.receiving = done
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.receiving = nil
		s.mu.Unlock()
		close(done)
	}()
	handlers, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.abandoned, cancel)()
	active, stop := context.WithCancel(ctx)
	defer stop()
	defer context.AfterFunc(s.closing, stop)()
	defer interrupt(active, s.consumer.writer.conn.SetReadDeadline)()
	err := s.run(active, stop, func(e *EnvelopeIn) { s.settle(handle(handlers, e)) })
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case s.closing.Err() != nil:
		return ErrClosed
	}
	return err
}

// run has the datagrams taken by Options.Concurrency workers; one alone is this
// goroutine. A panic is the caller's.
func (s *Subscriber) run(active context.Context, stop func(), take func(*EnvelopeIn)) error {
	if s.consumer.options.Concurrency == 1 {
		return s.work(active, take)
	}
	var workers sync.WaitGroup
	var panicked any
	var failed error
	var once sync.Once
	for range s.consumer.options.Concurrency {
		workers.Add(1)
		go func() {
			defer workers.Done()
			returned := false
			defer func() {
				if returned {
					return
				}
				v := recover()
				if v == nil {
					v = "ip: the handler called runtime.Goexit"
				}
				once.Do(func() { panicked = v })
				stop()
			}()
			err := s.work(active, take)
			returned = true
			once.Do(func() { failed = err })
			stop()
		}()
	}
	workers.Wait()
	if panicked != nil {
		panic(panicked)
	}
	return failed
}

// work takes datagrams until active ends.
func (s *Subscriber) work(active context.Context, take func(*EnvelopeIn)) error {
	c := s.consumer
	// One byte more than is allowed shows what is too large; the system cuts
	// datagrams without a word.
	buffer, control := make([]byte, maxHeader+c.options.MaxMessageBytes+1), make([]byte, 256)
	for active.Err() == nil {
		n, nc, _, from, err := c.writer.conn.ReadMsgIP(buffer, control)
		switch {
		case active.Err() != nil && err != nil:
			return active.Err()
		case errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ENOPROTOOPT):
			continue // an answer to what SendTo has sent
		case err != nil:
			return err
		}
		c.overflow(control[:nc])
		header, payload, err := parse(buffer[:n], from, control[:nc], c.options.Protocol)
		switch {
		case err != nil:
			c.drop(err.Error(), 1)
		case c.passesOver(header):
		case len(payload) > c.options.MaxMessageBytes:
			c.drop("larger than Options.MaxMessageBytes", 1)
		default:
			payload = bytes.Clone(payload)
			take(&EnvelopeIn{subscriber: s, header: header, payload: payload, unread: payload})
		}
	}
	return active.Err()
}

func (s *Subscriber) settle(err error) {
	log := s.consumer.options.Logger.With("address", s.address)
	switch {
	case err == nil:
	case rejected(err):
		log.Warn("ip: datagram rejected", "error", err)
	default:
		log.Warn("ip: handler failed, the datagram does not come again", "error", err)
	}
}

// Close ends Receive and waits until the handlers that run have returned, at
// most Options.Timeout; then their contexts end and the error says so. What
// waits in the system's buffer is for the Consumer's next Subscriber.
func (s *Subscriber) Close() error {
	s.mu.Lock()
	s.beginClose()
	running := s.receiving
	s.mu.Unlock()
	var err error
	if running != nil {
		select {
		case <-running:
		case <-time.After(s.consumer.options.Timeout):
			err = fmt.Errorf("ip: close %q: a handler still runs after %v", s.address, s.consumer.options.Timeout)
		}
	}
	s.abandon()
	s.consumer.mu.Lock()
	if s.consumer.subscriber == s {
		s.consumer.subscriber = nil
	}
	s.consumer.mu.Unlock()
	return err
}
