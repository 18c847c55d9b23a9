package streadway

import (
	"context"
	"sync"
	"time"
)

// links are a Producer's or Consumer's connections: one, and another for each
// vhost that the bindings name. To AMQP the vhost belongs to the connection.
type links struct {
	first *link

	mu     sync.Mutex
	closed bool
	others map[string]*link
}

func newLinks(first *link) *links { return &links{first: first, others: map[string]*link{}} }

// of gives the connection to a vhost, the first one where it has no name.
func (l *links) of(ctx context.Context, vhost string) (*link, error) {
	if vhost == "" || vhost == l.first.vhost {
		return l.first, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, ErrClosed
	}
	if other := l.others[vhost]; other != nil {
		return other, nil
	}
	other := newLink(l.first.server, vhost, l.first.options)
	if err := other.start(ctx); err != nil {
		other.close(time.Now())
		return nil, err
	}
	l.others[vhost] = other
	return other, nil
}

func (l *links) close(deadline time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	var wg sync.WaitGroup
	for _, other := range l.others {
		wg.Add(1)
		go func(other *link) {
			defer wg.Done()
			other.close(deadline)
		}(other)
	}
	l.first.close(deadline)
	wg.Wait()
}
