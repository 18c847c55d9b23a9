package conformance

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"net"
	"slices"
	"strings"
	"sync"
	"time"
)

// frame is the reference protocol's only form of message: a line of JSON.
type frame struct {
	Op       string `json:",omitempty"` // hello, pub, sub, unsub, ack, nack, reject, ping; ok, error, msg, gone, pong
	Seq      int    `json:",omitempty"`
	Sub      int    `json:",omitempty"`
	Tag      int    `json:",omitempty"`
	Address  string `json:",omitempty"`
	Group    string `json:",omitempty"`
	Credit   int    `json:",omitempty"`
	Strict   bool   `json:",omitempty"` // do not create the address
	User     string `json:",omitempty"`
	Password string `json:",omitempty"`
	Code     string `json:",omitempty"` // of an error
	Message  *refMessage
}

type refMessage struct {
	Key         string      `json:",omitempty"`
	Payload     []byte      `json:",omitempty"`
	Headers     []refHeader `json:",omitempty"`
	ContentType string      `json:",omitempty"`
	ReplyTo     string      `json:",omitempty"`

	answer func(verdict string) // with answered
}

type refHeader struct {
	Key   string
	Value []byte
}

const refMaxPayload = 1 << 20

// refBroker keeps messages for each group of an address until they are
// settled. A group without members keeps them too.
type refBroker struct {
	addr string

	mu        sync.Mutex
	listener  net.Listener
	conns     map[*refConn]bool
	addresses map[string]map[string]*refQueue
	password  string // demanded of user "ref"; "" demands none
	answered  bool   // a publisher waits for the verdict on its message
	wait      sync.WaitGroup
}

type refQueue struct {
	pending []*refMessage
	members []*refMember
	next    int
}

type refMember struct {
	conn   *refConn
	sub    int
	credit int
	queue  *refQueue
	taken  []refTaken // in the order of delivery
}

type refTaken struct {
	tag     int
	message *refMessage
}

type refConn struct {
	broker *refBroker
	net    net.Conn
	out    chan frame
	subs   map[int]*refMember
	tag    int
	greet  bool
}

func newRefBroker(password string) *refBroker {
	b := &refBroker{addr: "127.0.0.1:0", password: password, addresses: map[string]map[string]*refQueue{}}
	if err := b.start(); err != nil {
		panic(err)
	}
	return b
}

func (b *refBroker) start() error {
	listener, err := net.Listen("tcp", b.addr)
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.addr, b.listener, b.conns = listener.Addr().String(), listener, map[*refConn]bool{}
	b.wait.Add(1)
	go func() {
		defer b.wait.Done()
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			conn := &refConn{broker: b, net: c, out: make(chan frame, 100000), subs: map[int]*refMember{}}
			b.mu.Lock()
			b.conns[conn] = true
			b.mu.Unlock()
			b.wait.Add(1)
			go func() { defer b.wait.Done(); conn.serve() }()
		}
	}()
	return nil
}

// kill breaks everything off; what was stored stays.
func (b *refBroker) kill() error {
	b.mu.Lock()
	b.listener.Close()
	for conn := range b.conns {
		linger(conn.net)
		conn.net.Close()
	}
	b.mu.Unlock()
	b.wait.Wait()
	return nil
}

func (c *refConn) serve() {
	b := c.broker
	done := make(chan struct{})
	go func() {
		defer close(done)
		encoder := json.NewEncoder(c.net)
		for f := range c.out {
			if encoder.Encode(f) != nil {
				c.net.Close()
				for range c.out {
				}
				return
			}
		}
		c.net.Close()
	}()
	lines := bufio.NewReader(c.net)
	for {
		line, err := lines.ReadBytes('\n')
		var f frame
		if err != nil || json.Unmarshal(line, &f) != nil {
			break
		}
		b.mu.Lock()
		alive := b.handle(c, f)
		b.mu.Unlock()
		if !alive {
			break
		}
	}
	b.mu.Lock()
	delete(b.conns, c)
	for sub := range c.subs {
		b.leave(c, sub)
	}
	close(c.out)
	b.mu.Unlock()
	<-done
}

// handle is called with the lock held.
func (b *refBroker) handle(c *refConn, f frame) bool {
	if !c.greet && f.Op != "hello" {
		return false
	}
	refuse := func(code string) { c.out <- frame{Op: "error", Seq: f.Seq, Code: code} }
	switch f.Op {
	case "hello":
		if b.password != "" && (f.User != "ref" || f.Password != b.password) {
			refuse("unauthorized")
			return false
		}
		c.greet = true
	case "ping":
		c.out <- frame{Op: "pong"}
		return true
	case "pub":
		switch {
		case f.Address == "forbidden":
			refuse("refused")
			return true
		case f.Strict && b.addresses[f.Address] == nil:
			refuse("not found")
			return true
		case len(f.Message.Payload) > refMaxPayload:
			refuse("too large")
			return true
		}
		if b.answered {
			f.Message.answer = func(verdict string) {
				switch {
				case !b.conns[c]:
				case verdict == "ack":
					c.out <- frame{Op: "ok", Seq: f.Seq}
				default:
					refuse("refused")
				}
			}
			if len(b.queues(f.Address)) == 0 {
				refuse("refused")
				return true
			}
		}
		for _, q := range b.queues(f.Address) {
			q.pending = append(q.pending, f.Message)
			q.deliver()
		}
		if b.answered {
			return true
		}
	case "sub":
		if f.Strict && b.addresses[f.Address] == nil {
			refuse("not found")
			return true
		}
		if c.subs[f.Sub] != nil {
			b.leave(c, f.Sub)
		}
		q := b.queues(f.Address)[f.Group]
		if q == nil {
			q = &refQueue{}
			b.addresses[f.Address][f.Group] = q
		}
		m := &refMember{conn: c, sub: f.Sub, credit: f.Credit, queue: q}
		c.subs[f.Sub] = m
		q.members = append(q.members, m)
		c.out <- frame{Op: "ok", Seq: f.Seq}
		q.deliver()
		return true
	case "unsub":
		if m := c.subs[f.Sub]; m != nil {
			b.leave(c, f.Sub)
			if strings.HasPrefix(f.Group, "~") {
				delete(b.addresses[f.Address], f.Group)
			}
		}
	case "ack", "nack", "reject", "ack all before":
		if m := c.subs[f.Sub]; m != nil {
			for i := 0; f.Op == "ack all before" && i < f.Tag; i++ {
				m.settle(i, "ack")
			}
			m.settle(f.Tag, f.Op)
			m.queue.deliver()
		}
		if f.Seq == 0 {
			return true
		}
	}
	c.out <- frame{Op: "ok", Seq: f.Seq}
	return true
}

func (b *refBroker) queues(address string) map[string]*refQueue {
	if b.addresses[address] == nil {
		b.addresses[address] = map[string]*refQueue{}
	}
	return b.addresses[address]
}

// leave gives back what a member had in hand, in its old order.
func (b *refBroker) leave(c *refConn, sub int) {
	m := c.subs[sub]
	delete(c.subs, sub)
	var back []*refMessage
	for _, t := range m.taken {
		back = append(back, t.message)
	}
	m.queue.pending = append(back, m.queue.pending...)
	m.queue.members = slices.DeleteFunc(m.queue.members, func(o *refMember) bool { return o == m })
	if b.answered {
		for _, message := range m.queue.pending {
			message.answer("nack")
		}
		m.queue.pending = nil
	}
	m.queue.deliver()
}

func (m *refMember) settle(tag int, verdict string) {
	for i, t := range m.taken {
		if t.tag == tag {
			m.taken = slices.Delete(m.taken, i, i+1)
			switch {
			case t.message.answer != nil:
				t.message.answer(verdict)
			case verdict == "nack":
				m.queue.pending = append([]*refMessage{t.message}, m.queue.pending...)
			}
			return
		}
	}
}

// deliver hands out what it can: messages of one key one at a time.
func (q *refQueue) deliver() {
	for {
		busy := map[string]bool{}
		for _, m := range q.members {
			for _, t := range m.taken {
				busy[t.message.Key] = t.message.Key != ""
			}
		}
		i := slices.IndexFunc(q.pending, func(m *refMessage) bool { return !busy[m.Key] })
		m := q.free()
		if i < 0 || m == nil {
			return
		}
		message := q.pending[i]
		q.pending = slices.Delete(q.pending, i, i+1)
		m.conn.tag++
		m.taken = append(m.taken, refTaken{m.conn.tag, message})
		m.conn.out <- frame{Op: "msg", Sub: m.sub, Tag: m.conn.tag, Message: message}
	}
}

// free gives the member whose turn it is.
func (q *refQueue) free() *refMember {
	for range q.members {
		q.next++
		if m := q.members[q.next%len(q.members)]; len(m.taken) < m.credit {
			return m
		}
	}
	return nil
}

// remove deletes an address and tells its subscribers.
func (b *refBroker) remove(address string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, q := range b.addresses[address] {
		for _, m := range q.members {
			m.conn.out <- frame{Op: "gone", Sub: m.sub}
			delete(m.conn.subs, m.sub)
		}
	}
	delete(b.addresses, address)
}

func (b *refBroker) setPassword(password string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.password = password
}

// refDial connects and greets within the timeout.
func refDial(s Settings, host string, secure bool, bug string) (net.Conn, *bufio.Reader, string, error) {
	dialer := &net.Dialer{Timeout: s.Timeout}
	var c net.Conn
	var err error
	if secure {
		c, err = tls.DialWithDialer(dialer, "tcp", host, s.TLS)
		if err != nil && bug == "falls back to plain text" {
			c, err = dialer.Dial("tcp", host)
		}
	} else {
		c, err = dialer.Dial("tcp", host)
	}
	if err != nil {
		return nil, nil, "", err
	}
	c.SetDeadline(time.Now().Add(s.Timeout))
	lines := bufio.NewReader(c)
	answer, err := frame{}, json.NewEncoder(c).Encode(frame{Op: "hello", Seq: 1, User: s.User, Password: s.Password})
	if err == nil {
		var line []byte
		if line, err = lines.ReadBytes('\n'); err == nil {
			err = json.Unmarshal(line, &answer)
		}
	}
	if err != nil {
		c.Close()
		return nil, nil, "", err
	}
	c.SetDeadline(time.Time{})
	if bug == "does not look at the answer to its greeting" {
		return c, lines, "", nil
	}
	if answer.Op == "error" {
		c.Close()
		return nil, nil, answer.Code, nil
	}
	return c, lines, "", nil
}
