package conformance

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"
)

var (
	errRefClosed       = errors.New("closed")
	errRefRefused      = errors.New("refused by the server")
	errRefNotFound     = errors.New("not found")
	errRefUnauthorized = errors.New("unauthorized")
	errRefTooLarge     = errors.New("message too large")
	errRefLost         = errors.New("the connection was lost")
	errRefTimeout      = errors.New("no answer in time")
)

func refError(code string) error {
	switch code {
	case "":
		return nil
	case "unauthorized":
		return errRefUnauthorized
	case "not found":
		return errRefNotFound
	case "too large":
		return errRefTooLarge
	}
	return errRefRefused
}

// refClient is the reference driver's connection, with one defect or none.
type refClient struct {
	s      Settings
	host   string
	secure bool
	bug    string
	ctx    context.Context
	cancel context.CancelFunc
	wait   sync.WaitGroup

	mu      sync.Mutex
	session *refSession // nil while there is no connection
	changed chan struct{}
	closed  bool
	fatal   error
	seq     int
	subs    map[int]*refSubscriber

	handling sync.Mutex    // held by a handler, with a defect
	shared   *refPublisher // given to all, with a defect
}

// refSession is one connection of a client.
type refSession struct {
	conn    net.Conn
	lines   *bufio.Reader
	out     chan []byte
	lost    chan struct{}
	once    sync.Once
	mu      sync.Mutex
	pending map[int]chan frame
}

func (s *refSession) end() {
	s.once.Do(func() {
		close(s.lost)
		s.conn.Close()
	})
}

// refChunks ends every read with a line end, as if it were a whole frame.
type refChunks struct{ net.Conn }

func (c refChunks) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p[:len(p)-1])
	if n > 0 && p[n-1] != '\n' {
		p[n] = '\n'
		n++
	}
	return n, err
}

func newRefClient(s Settings, bug string) (*refClient, error) {
	_, host, _, err := splitURL(s.URL)
	if err != nil {
		return nil, err
	}
	if s.KeepAlive == 0 {
		s.KeepAlive = 5 * time.Second
	}
	c := &refClient{s: s, host: host, secure: strings.HasPrefix(s.URL, "refs://"), bug: bug, changed: make(chan struct{}), subs: map[int]*refSubscriber{}}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	session, err := c.dial()
	if err != nil && bug == "retries for ever at the start" {
		for session, err = c.dial(); err != nil; session, err = c.dial() {
			time.Sleep(50 * time.Millisecond)
		}
	}
	if err != nil {
		if bug == "hides the cause" {
			err = errRefTimeout
		}
		if bug == "leaks a goroutine on failure" {
			go func() { select {} }()
		}
		return nil, fmt.Errorf("ref: connect: %w", err)
	}
	c.session = session
	c.wait.Add(1)
	go c.keep(session)
	return c, nil
}

func (c *refClient) dial() (*refSession, error) {
	s := c.s
	switch c.bug {
	case "waits for a silent server":
		s.Timeout = time.Hour
	case "ignores the password":
		s.Password = ""
	case "ignores the TLS configuration":
		s.TLS = nil
	case "drops the client certificate":
		if s.TLS != nil {
			s.TLS = s.TLS.Clone()
			s.TLS.Certificates = nil
		}
	case "ignores the certificate":
		if s.TLS != nil {
			s.TLS = s.TLS.Clone()
			s.TLS.InsecureSkipVerify = true
		}
	}
	conn, lines, code, err := refDial(s, c.host, c.secure, c.bug)
	if err != nil {
		return nil, err
	}
	if code != "" {
		if c.bug == "wrong error for a wrong password" {
			return nil, errors.New("connection closed")
		}
		return nil, refError(code)
	}
	if c.bug == "takes a read for a frame" {
		lines = bufio.NewReader(refChunks{conn})
	}
	return &refSession{conn: conn, lines: lines, out: make(chan []byte), lost: make(chan struct{}), pending: map[int]chan frame{}}, nil
}

// keep reads from the connection and replaces it when it is lost.
func (c *refClient) keep(session *refSession) {
	defer c.wait.Done()
	for {
		c.serve(session)
		c.mu.Lock()
		c.session = nil
		c.signal()
		c.mu.Unlock()
		c.log("the connection is lost")
		if c.bug == "does not reconnect" {
			<-c.ctx.Done()
			return
		}
		if session = c.reconnect(); session == nil {
			return
		}
	}
}

func (c *refClient) log(line string) {
	if c.s.Logger != nil && c.bug != "logs nothing" && c.ctx.Err() == nil {
		c.s.Logger.Warn("ref: " + line)
	}
}

func (c *refClient) signal() {
	close(c.changed)
	c.changed = make(chan struct{})
}

func (c *refClient) reconnect() *refSession {
	for attempt := 0; c.ctx.Err() == nil; attempt++ {
		if c.bug == "gives up after a few attempts" && attempt > 5 {
			<-c.ctx.Done()
			return nil
		}
		session, err := c.dial()
		if c.bug == "logs every attempt" && err != nil {
			c.log(err.Error())
		}
		if err == nil {
			c.log("the connection is back")
			c.mu.Lock()
			defer c.mu.Unlock()
			if c.closed {
				session.end()
				return nil
			}
			c.session = session
			c.signal()
			return session
		}
		if errors.Is(err, errRefUnauthorized) && c.bug != "retries refused credentials" {
			c.mu.Lock()
			c.fatal = err
			c.signal()
			c.mu.Unlock()
			return nil
		}
		select {
		case <-c.ctx.Done():
		case <-time.After(min(c.s.Backoff, 30*time.Millisecond)):
		}
	}
	return nil
}

// serve runs a session until it is lost.
func (c *refClient) serve(session *refSession) {
	var writers sync.WaitGroup
	writers.Add(1)
	stop := context.AfterFunc(c.ctx, session.end)
	defer stop()
	defer writers.Wait()
	defer session.end()
	go func() {
		defer writers.Done()
		defer session.end()
		ping := time.NewTicker(c.s.KeepAlive)
		defer ping.Stop()
		for {
			var data []byte
			select {
			case data = <-session.out:
			case <-ping.C:
				data = []byte(`{"Op":"ping"}` + "\n")
			case <-session.lost:
				return
			}
			if _, err := session.conn.Write(data); err != nil {
				return
			}
		}
	}()
	c.mu.Lock()
	for id, sub := range c.subs {
		if sub.session != session && (c.bug != "forgets its subscriptions" || sub.session == nil) {
			sub.session = session
			writers.Add(1)
			go func() { defer writers.Done(); c.resubscribe(session, id, sub) }()
		}
	}
	c.mu.Unlock()
	for {
		if c.bug != "does not notice a black hole" {
			session.conn.SetReadDeadline(time.Now().Add(3 * c.s.KeepAlive))
		}
		line, err := session.lines.ReadBytes('\n')
		var f frame
		if err != nil || json.Unmarshal(line, &f) != nil {
			return
		}
		switch f.Op {
		case "ok", "error":
			session.mu.Lock()
			answer := session.pending[f.Seq]
			delete(session.pending, f.Seq)
			session.mu.Unlock()
			if answer != nil {
				answer <- f
			}
		case "msg", "gone":
			c.mu.Lock()
			sub := c.subs[f.Sub]
			c.mu.Unlock()
			if sub != nil {
				sub.incoming(session, f)
			}
		}
	}
}

func (c *refClient) resubscribe(session *refSession, id int, sub *refSubscriber) {
	if _, err := c.exchange(c.ctx, session, sub.frame(id)); err != nil && !errors.Is(err, errRefLost) && c.ctx.Err() == nil {
		sub.end(err)
	}
}

// exchange sends a frame on one session and waits for the answer.
func (c *refClient) exchange(ctx context.Context, session *refSession, f frame) (frame, error) {
	c.mu.Lock()
	c.seq++
	f.Seq = c.seq
	c.mu.Unlock()
	answer := make(chan frame, 1)
	session.mu.Lock()
	session.pending[f.Seq] = answer
	session.mu.Unlock()
	data, err := json.Marshal(f)
	if err != nil {
		return frame{}, err
	}
	select {
	case session.out <- append(data, '\n'):
	case <-session.lost:
		return frame{}, errRefLost
	case <-ctx.Done():
		return frame{}, ctx.Err()
	}
	if f.Op == "pub" && c.bug == "does not wait for the confirmation" {
		return frame{}, nil
	}
	impatience := make(<-chan time.Time)
	if c.bug == "impatient" {
		impatience = time.After(c.s.Backoff)
	}
	select {
	case <-impatience:
		return frame{}, errRefTimeout
	case got := <-answer:
		return got, refError(got.Code)
	case <-session.lost:
		return frame{}, errRefLost
	case <-ctx.Done():
		return frame{}, ctx.Err()
	}
}

// request is exchange on whatever session there is, again until it works.
func (c *refClient) request(ctx context.Context, f frame) error {
	if c.bug == "ignores ctx in Send" && f.Op == "pub" {
		ctx = context.Background()
	} else if _, has := ctx.Deadline(); !has && c.bug != "Send ignores Timeout" {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, c.s.Timeout, errRefTimeout)
		defer cancel()
	}
	for {
		c.mu.Lock()
		session, changed, closed, fatal := c.session, c.changed, c.closed, c.fatal
		c.mu.Unlock()
		if closed && c.bug == "panics after Close" {
			panic("send on closed channel")
		}
		if closed {
			return errRefClosed
		}
		if fatal != nil {
			return fatal
		}
		if session == nil && c.bug == "Send fails during an outage" {
			return errRefLost
		}
		if session == nil {
			select {
			case <-changed:
				continue
			case <-ctx.Done():
				return refCause(ctx)
			}
		}
		_, err := c.exchange(ctx, session, f)
		switch {
		case err == errRefLost && c.bug == "loses what a cut interrupts":
			return nil
		case err == errRefLost && c.bug == "tells a lost connection when closed" && c.ctx.Err() != nil:
			return err
		case err == errRefLost:
			select {
			case <-ctx.Done():
				return refCause(ctx)
			case <-changed:
			case <-time.After(time.Millisecond):
			}
			continue
		case err != nil && ctx.Err() != nil:
			return refCause(ctx)
		}
		return err
	}
}

// refCause tells a deadline of the caller's from the client's own.
func refCause(ctx context.Context) error {
	if err := context.Cause(ctx); err == errRefTimeout {
		return err
	}
	return ctx.Err()
}

func (c *refClient) close() error {
	c.mu.Lock()
	again := c.closed
	c.closed = true
	c.signal()
	c.mu.Unlock()
	if again {
		if c.bug == "second Close is an error" {
			return errRefClosed
		}
		c.wait.Wait()
		return nil
	}
	if c.bug == "leaks a connection" {
		return nil
	}
	if c.bug == "leaks a goroutine" {
		go func() { select {} }()
	}
	c.cancel()
	c.wait.Wait()
	return nil
}
