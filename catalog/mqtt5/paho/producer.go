package paho

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/eclipse/paho.golang/packets"
	"github.com/eclipse/paho.golang/paho"
)

// Producer is the connection to a server that Publishers send over. It is safe
// for concurrent use.
type Producer struct {
	session *session
	replies replies

	mu         sync.Mutex
	closed     bool
	publishers map[*Publisher]struct{}
}

// NewProducer reaches the server and logs in. The URL is host:port or
// mqtt://[user:password@]host[:port], with mqtts:// for TLS, ws:// and wss://
// for WebSocket. Errors: ErrUnauthorized, ErrUnsupported for a security scheme
// that MQTT can't carry, ErrRefused, a network error where no server answers
// within Options.Timeout.
func NewProducer(serverURL string, bindings *ServerBindings, options *Options) (*Producer, error) {
	s, err := newSession(serverURL, bindings, options)
	if err != nil {
		return nil, err
	}
	p := &Producer{session: s, publishers: map[*Publisher]struct{}{}}
	s.automatic, s.deliver, s.cut = true, p.replies.deliver, func() {}
	if err := s.open(context.Background()); err != nil {
		return nil, fmt.Errorf("mqtt: %w", err)
	}
	return p, nil
}

// Native gives the library's client for the connection there is now, nil while
// there is none.
func (p *Producer) Native() *paho.Client { return p.session.native() }

// Publisher opens a topic for sending. It asks the server for nothing: whether
// the topic may be used shows at the first Send.
func (p *Producer) Publisher(ctx context.Context, address string, bindings *ChannelBindings) (*Publisher, error) {
	operation, err := bindings.operation()
	if err == nil {
		err = topicName(address)
	}
	if err == nil && operation.Group != "" {
		err = fmt.Errorf("%w: operation bindings: x-group is for subscribers", ErrUnsupported)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		err = ErrClosed
	}
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	if err != nil {
		return nil, fmt.Errorf("mqtt: open %q for sending: %w", address, err)
	}
	pub := &Publisher{producer: p, topic: address, operation: operation}
	pub.stop, pub.stopNow = context.WithCancel(context.Background())
	p.publishers[pub] = struct{}{}
	return pub, nil
}

// Close closes the Publishers and then the connection. It waits for each Send
// under way, at most Options.Timeout.
func (p *Producer) Close() error {
	p.mu.Lock()
	p.closed = true
	var open []*Publisher
	for pub := range p.publishers {
		open = append(open, pub)
	}
	p.mu.Unlock()
	err := closeAll(open)
	p.session.close()
	return err
}

// closeAll closes side by side, so that the time-outs do not add up.
func closeAll[T interface{ Close() error }](all []T) error {
	errs := make([]error, len(all))
	var wg sync.WaitGroup
	for i, c := range all {
		wg.Add(1)
		go func() {
			defer wg.Done()
			errs[i] = c.Close()
		}()
	}
	wg.Wait()
	return errors.Join(errs...)
}

// Publisher sends to a topic. It is safe for concurrent use.
type Publisher struct {
	producer  *Producer
	topic     string
	operation OperationBindings
	stop      context.Context // done when Close has waited long enough
	stopNow   context.CancelFunc

	mu     sync.Mutex
	closed bool
	sends  sync.WaitGroup
}

// Send returns nil when the server has taken every envelope: with QoS 1 when it
// has said so, with QoS 2 when both sides know that it was once, with QoS 0
// when it is written. Envelopes are sent in order and without waiting for each
// other. While the server can't be reached it waits, until ctx ends or, where
// ctx has no deadline, Options.Timeout; with QoS 1 a message whose confirmation
// was lost is then sent twice.
//
// Where some of several envelopes fail, errors.As gives SendErrors. Errors:
// ErrTooLarge, ErrUnsupported for a header, ErrUnauthorized, ErrRefused,
// ErrClosed, or ctx's error with the cause of the delay. After ctx's error the
// message may still arrive.
func (p *Publisher) Send(ctx context.Context, envelopes ...*EnvelopeOut) error {
	ctx, done, err := p.begin(ctx)
	if err == nil {
		defer done()
		err = p.send(ctx, envelopes)
	}
	if err != nil {
		return fmt.Errorf("mqtt: send to %q: %w", p.topic, err)
	}
	return nil
}

// begin bounds what is done with a Publisher, and lets Close wait for it.
func (p *Publisher) begin(ctx context.Context) (context.Context, func(), error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, nil, ErrClosed
	}
	p.sends.Add(1)
	ctx, cancel := p.producer.session.bounded(ctx)
	unhook := context.AfterFunc(p.stop, cancel)
	return ctx, func() {
		unhook()
		cancel()
		p.sends.Done()
	}, nil
}

// bounded gives a context without a deadline Options.Timeout.
func (s *session) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, bounded := ctx.Deadline(); bounded {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, s.options.Timeout)
}

func (p *Publisher) send(ctx context.Context, envelopes []*EnvelopeOut) error {
	all := make([]*packets.Publish, len(envelopes))
	errs := make(SendErrors, len(envelopes))
	for i, e := range envelopes {
		all[i], errs[i] = e.packet(p.topic, p.operation)
	}
	p.producer.session.publish(ctx, all, errs)
	failed := false
	for i, err := range errs {
		if err != nil && p.stop.Err() != nil {
			err = fmt.Errorf("%w: %w", ErrClosed, err)
		}
		errs[i] = classify(err)
		failed = failed || err != nil
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

// publish sends the packets that have no error yet, and waits for the answers.
func (s *session) publish(ctx context.Context, all []*packets.Publish, errs []error) {
	records := make([]*record, len(all))
	for i, p := range all {
		if errs[i] == nil {
			records[i], errs[i] = s.hand(ctx, p)
		}
	}
	for i, r := range records {
		if r != nil {
			errs[i] = s.answer(ctx, r)
		}
	}
}

// Close waits until each Send under way has its answer, at most
// Options.Timeout, and ends those that have none with ErrClosed.
func (p *Publisher) Close() error {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	done := make(chan struct{})
	go func() {
		p.sends.Wait()
		close(done)
	}()
	var err error
	select {
	case <-done:
	case <-time.After(p.producer.session.options.Timeout):
		err = fmt.Errorf("mqtt: close %q: sends without an answer after %v", p.topic, p.producer.session.options.Timeout)
	}
	p.stopNow()
	<-done
	p.producer.mu.Lock()
	delete(p.producer.publishers, p)
	p.producer.mu.Unlock()
	return err
}
