package conformance

import (
	"crypto/tls"
	"net"
	"sync"
	"time"
)

// Direction is a way through a Proxy.
type Direction int

// The two ways.
const (
	ToServer Direction = iota
	ToClient
)

// Proxy is a TCP proxy whose connections can be made to fail.
type Proxy struct {
	listener net.Listener
	target   string
	tls      *tls.Config
	greet    func(client, server net.Conn) error
	wait     sync.WaitGroup

	mu       sync.Mutex
	changed  *sync.Cond
	pipes    map[*pipe]bool
	accepted int
	refuse   bool
	stalled  [2]bool
	latency  time.Duration
	drip     bool
	closed   bool
}

// pipe is one connection through the proxy.
type pipe struct {
	ends      [2]net.Conn // the source of each direction
	abandoned bool
	open      int // directions that still run
}

// NewProxy listens on a free port and passes connections on to target. With a
// TLS configuration clients have to speak TLS; the target gets plain text.
func NewProxy(target string, config *tls.Config) (*Proxy, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Proxy{listener: listener, target: target, tls: config, pipes: map[*pipe]bool{}}
	p.changed = sync.NewCond(&p.mu)
	p.wait.Add(1)
	go p.accept()
	return p, nil
}

// newFront is NewProxy for a protocol whose TLS starts after greet.
func newFront(target string, config *tls.Config, greet func(client, server net.Conn) error) (*Proxy, error) {
	p, err := NewProxy(target, config)
	if err == nil && config != nil {
		p.set(func() { p.greet = greet })
	}
	return p, err
}

// Addr is where it listens.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Open counts the connections that are open.
func (p *Proxy) Open() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.pipes)
}

// Accepted counts the connections that ever came, refused ones included.
func (p *Proxy) Accepted() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.accepted
}

// Refuse resets new connections as soon as they come.
func (p *Proxy) Refuse() { p.set(func() { p.refuse = true }) }

// BlackHole stops what goes in a direction, without a sign to either side.
// Heal lets it go on.
func (p *Proxy) BlackHole(directions ...Direction) {
	p.set(func() {
		for _, d := range directions {
			p.stalled[d] = true
		}
	})
}

// Latency delays every piece of data.
func (p *Proxy) Latency(d time.Duration) { p.set(func() { p.latency = d }) }

// Drip passes one byte at a time.
func (p *Proxy) Drip() { p.set(func() { p.drip = true }) }

// Abandon makes the open connections black holes for good; new ones work, as
// after a router has lost its state.
func (p *Proxy) Abandon() {
	p.set(func() {
		for pipe := range p.pipes {
			pipe.abandoned = true
		}
	})
}

// Heal ends what Refuse, BlackHole, Latency and Drip began.
func (p *Proxy) Heal() {
	p.set(func() { p.refuse, p.stalled, p.latency, p.drip = false, [2]bool{}, 0, false })
}

// Cut ends the open connections in an orderly way (FIN).
func (p *Proxy) Cut() { p.end(false) }

// Reset breaks the open connections (RST).
func (p *Proxy) Reset() { p.end(true) }

// Close ends everything and waits for the proxy's goroutines.
func (p *Proxy) Close() {
	p.set(func() { p.closed = true })
	p.listener.Close()
	p.end(true)
	p.wait.Wait()
}

func (p *Proxy) set(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
	p.changed.Broadcast()
}

func (p *Proxy) end(reset bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for pipe := range p.pipes {
		if reset {
			linger(pipe.ends[ToServer])
			linger(pipe.ends[ToClient])
		}
		// Not through TLS: its Close would wait for a stalled peer.
		raw(pipe.ends[ToServer]).Close()
		raw(pipe.ends[ToClient]).Close()
		delete(p.pipes, pipe)
	}
	p.changed.Broadcast()
}

func (p *Proxy) accept() {
	defer p.wait.Done()
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		p.accepted++
		refuse := p.refuse || p.closed
		if !refuse {
			p.wait.Add(1)
			go p.connect(client)
		}
		p.mu.Unlock()
		if refuse {
			linger(client)
			client.Close()
		}
	}
}

func (p *Proxy) connect(client net.Conn) {
	defer p.wait.Done()
	server, err := net.DialTimeout("tcp", p.target, 5*time.Second)
	if err != nil {
		linger(client)
		client.Close()
		return
	}
	p.mu.Lock()
	greet := p.greet
	p.mu.Unlock()
	if greet != nil {
		soon := time.Now().Add(5 * time.Second)
		client.SetDeadline(soon)
		server.SetDeadline(soon)
		if greet(client, server) != nil {
			client.Close()
			server.Close()
			return
		}
		client.SetDeadline(time.Time{})
		server.SetDeadline(time.Time{})
	}
	if p.tls != nil {
		client = tls.Server(client, p.tls)
	}
	c := &pipe{ends: [2]net.Conn{ToServer: client, ToClient: server}, open: 2}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.refuse {
		linger(client)
		client.Close()
		server.Close()
		return
	}
	p.pipes[c] = true
	p.wait.Add(2)
	go p.pump(c, ToServer)
	go p.pump(c, ToClient)
}

// pump passes on one direction until either end is closed.
func (p *Proxy) pump(c *pipe, d Direction) {
	defer p.wait.Done()
	from, to := c.ends[d], c.ends[1-d]
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		latency, drip, abandoned, alive := p.mayPass(c, d)
		if !alive {
			break
		}
		if n > 0 && !abandoned {
			time.Sleep(latency)
			if !forward(to, buffer[:n], drip) {
				break
			}
		}
		if err != nil {
			if !abandoned {
				halfClose(to)
			}
			break
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if c.open--; c.open == 0 || c.abandoned {
		c.ends[ToServer].Close()
		c.ends[ToClient].Close()
		delete(p.pipes, c)
	}
}

// mayPass waits while the direction is stalled. An abandoned connection is
// read but not passed on, so that the proxy notices when its client leaves.
func (p *Proxy) mayPass(c *pipe, d Direction) (latency time.Duration, drip, abandoned, alive bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.stalled[d] && p.pipes[c] && !c.abandoned {
		p.changed.Wait()
	}
	return p.latency, p.drip, c.abandoned, p.pipes[c]
}

func forward(to net.Conn, data []byte, drip bool) bool {
	step := len(data)
	if drip {
		step = 1
	}
	for len(data) > 0 {
		if _, err := to.Write(data[:step]); err != nil {
			return false
		}
		data = data[step:]
	}
	return true
}

func raw(c net.Conn) net.Conn {
	if t, ok := c.(*tls.Conn); ok {
		return t.NetConn()
	}
	return c
}

// linger makes Close send an RST.
func linger(c net.Conn) {
	if t, ok := raw(c).(*net.TCPConn); ok {
		t.SetLinger(0)
	}
}

func halfClose(c net.Conn) {
	if t, ok := c.(interface{ CloseWrite() error }); ok {
		t.CloseWrite()
	}
}
