package mem

import (
	"context"
	"fmt"
	"slices"
	"sync"
)

// hub is where a Consumer listens: a name in this process.
type hub struct {
	mu          sync.Mutex
	subscribers map[string][]*Subscriber
}

var (
	hubsMu  sync.Mutex
	hubs    = map[string]*hub{}
	hubsNew = make(chan struct{}) // closed when a hub is added
	hubsSeq int
)

// listen takes a name, a free one for the empty name.
func listen(name string) (*hub, string, error) {
	hubsMu.Lock()
	defer hubsMu.Unlock()
	if name == "" {
		hubsSeq++
		name = fmt.Sprintf("hub-%d", hubsSeq)
	}
	if hubs[name] != nil {
		return nil, "", fmt.Errorf("mem: listen on %q: %w: in use", name, ErrRefused)
	}
	h := &hub{subscribers: map[string][]*Subscriber{}}
	hubs[name] = h
	close(hubsNew)
	hubsNew = make(chan struct{})
	return h, name, nil
}

func unlisten(name string, h *hub) {
	hubsMu.Lock()
	defer hubsMu.Unlock()
	if hubs[name] == h {
		delete(hubs, name)
	}
}

// dial finds a hub, and waits for it.
func dial(ctx context.Context, name string, closed <-chan struct{}) (*hub, error) {
	for {
		hubsMu.Lock()
		h, added := hubs[name], hubsNew
		hubsMu.Unlock()
		if h != nil {
			return h, nil
		}
		select {
		case <-added:
		case <-closed:
			return nil, ErrClosed
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// deliver gives a message to every subscriber of the address.
func (h *hub) deliver(address string, m message) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.subscribers[address]) == 0 {
		return fmt.Errorf("%w: nobody listens", ErrRefused)
	}
	for _, s := range h.subscribers[address] {
		s.put(m)
	}
	return nil
}

func (h *hub) join(address string, s *Subscriber) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.subscribers[address] = append(h.subscribers[address], s)
}

func (h *hub) leave(address string, s *Subscriber) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.subscribers[address] = slices.DeleteFunc(h.subscribers[address], func(o *Subscriber) bool { return o == s })
}
