package natsgo

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// Producer is the connection to a server that Publishers send over. It is safe
// for concurrent use.
type Producer struct {
	connection *connection

	mu         sync.Mutex
	closed     bool
	publishers map[*Publisher]struct{}
}

// NewProducer reaches a server and logs in. The URL is host:port or
// nats://[user:password@]host:port[,host:port], tls:// for TLS; a user without a
// password is a token. Errors: ErrUnauthorized, ErrUnsupported for a security
// scheme that NATS can't carry, a network error where no server answers within
// Options.Timeout.
func NewProducer(serverURL string, bindings *ServerBindings, options *Options) (*Producer, error) {
	c, err := connect(serverURL, options.withDefaults())
	if err != nil {
		return nil, err
	}
	return &Producer{connection: c, publishers: map[*Publisher]struct{}{}}, nil
}

// Native gives the library's connection, which stops working at Close.
func (p *Producer) Native() *nats.Conn { return p.connection.nats }

// Publisher opens a subject for sending. The server is not asked: it knows
// every subject. Errors: ErrUnsupported for a wildcard or a malformed subject,
// ErrClosed.
func (p *Producer) Publisher(ctx context.Context, address string, bindings *ChannelBindings) (*Publisher, error) {
	err := ctx.Err()
	if err == nil {
		_, err = bindings.queue()
	}
	if err == nil {
		err = checkSubject(address, false)
	}
	pub := &Publisher{producer: p, subject: address}
	pub.stop, pub.stopNow = context.WithCancel(context.Background())
	p.mu.Lock()
	defer p.mu.Unlock()
	if err == nil && p.closed {
		err = ErrClosed
	}
	if err != nil {
		pub.stopNow()
		return nil, fmt.Errorf("nats: open %q for sending: %w", address, err)
	}
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
	p.connection.close()
	return err
}

// closeAll closes side by side, so that the time-outs do not add up.
func closeAll[T interface{ Close() error }](all []T) error {
	errs := make([]error, len(all))
	var wg sync.WaitGroup
	for i, c := range all {
		wg.Go(func() { errs[i] = c.Close() })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// Publisher sends to a subject. It is safe for concurrent use.
type Publisher struct {
	producer *Producer
	subject  string
	stop     context.Context // done when Close has waited long enough
	stopNow  context.CancelFunc

	mu     sync.Mutex
	closed bool
	sends  sync.WaitGroup
}

// Send returns nil when the server has every envelope and refuses none: that it
// has handed them to whoever subscribes at that moment, not that anybody does.
// While no server can be reached it waits and tries again, until ctx ends or,
// where ctx has no deadline, Options.Timeout; what was not confirmed when a
// connection broke is then sent twice.
//
// Where some of several envelopes fail, errors.As gives SendErrors. Errors:
// ErrTooLarge, ErrUnsupported for a header or subject, ErrUnauthorized where the
// server does not allow the subject, ErrClosed, or ctx's error with the cause of
// the delay. After ctx's error the message may still arrive.
func (p *Publisher) Send(ctx context.Context, envelopes ...*EnvelopeOut) error {
	if err := p.send(ctx, envelopes); err != nil {
		return fmt.Errorf("nats: send to %q: %w", p.subject, err)
	}
	return nil
}

func (p *Publisher) send(ctx context.Context, envelopes []*EnvelopeOut) error {
	ctx, done, err := p.begin(ctx)
	if err != nil {
		return err
	}
	defer done()
	errs := make(SendErrors, len(envelopes))
	messages := make([]*nats.Msg, len(envelopes))
	some := false
	for i, e := range envelopes {
		messages[i], errs[i] = e.message(p.subject)
		some = some || errs[i] == nil
	}
	if some {
		delivered, err := p.producer.connection.deliver(ctx, messages)
		if err != nil {
			err = p.why(err)
		}
		for i, m := range messages {
			if m != nil && err != nil {
				errs[i] = err
			} else if m != nil {
				errs[i] = delivered[i]
			}
		}
	}
	switch {
	case errors.Join(errs...) == nil:
		return nil
	case len(errs) == 1:
		return errs[0]
	default:
		return errs
	}
}

// begin holds off Close until done is called.
func (p *Publisher) begin(ctx context.Context) (_ context.Context, done func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, nil, ErrClosed
	}
	p.sends.Add(1)
	ctx, cancel := p.producer.connection.bounded(ctx, p.stop)
	return ctx, func() { cancel(); p.sends.Done() }, nil
}

// why tells the end of a context apart from Close's.
func (p *Publisher) why(err error) error {
	if p.stop.Err() != nil {
		return ErrClosed
	}
	return err
}

// Request sends an envelope as Send does and returns the first reply. Where
// nobody subscribes to the subject it is ErrNotFound at once. Where nobody
// replies, or the reply is lost with a connection, it ends with ctx or, where
// ctx has no deadline, after Options.Timeout. Errors else as those of Send.
func (p *Publisher) Request(ctx context.Context, envelope *EnvelopeOut) (*EnvelopeIn, error) {
	reply, err := p.request(ctx, envelope)
	if err != nil {
		return nil, fmt.Errorf("nats: request to %q: %w", p.subject, err)
	}
	return newEnvelopeIn(reply, p.producer.connection), nil
}

func (p *Publisher) request(ctx context.Context, envelope *EnvelopeOut) (*nats.Msg, error) {
	ctx, done, err := p.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	m, err := envelope.message(p.subject)
	if err != nil {
		return nil, err
	}
	if m.Reply != "" {
		return nil, fmt.Errorf("%w: Request chooses the reply's subject, SetReplyTo can't", ErrUnsupported)
	}
	c := p.producer.connection
	w := c.watch()
	defer c.unwatch(w)
	m.Reply = c.nats.NewInbox()
	replies := make(chan *nats.Msg, 1)
	end, err := c.subscribeOnce(ctx, m.Reply, replies)
	if err != nil {
		return nil, p.why(classify(err))
	}
	defer end()
	errs, err := c.deliver(ctx, []*nats.Msg{m})
	if err = errors.Join(append(errs, err)...); err != nil {
		return nil, p.why(err)
	}
	for _, refusal := range c.unwatch(w) {
		if refuses(refusal, m) {
			return nil, classify(refusal)
		}
	}
	select {
	case reply := <-replies:
		if len(reply.Data) == 0 && reply.Header.Get("Status") == "503" {
			return nil, classify(nats.ErrNoResponders)
		}
		return reply, nil
	case <-c.ended:
		return nil, c.state()
	case <-ctx.Done():
		return nil, p.why(ctx.Err())
	}
}

// Close waits until each Send and Request under way has its answer, at most
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
	case <-time.After(p.producer.connection.options.Timeout):
		err = fmt.Errorf("nats: close %q: sends without an answer after %v", p.subject, p.producer.connection.options.Timeout)
	}
	p.stopNow()
	p.sends.Wait()
	p.producer.mu.Lock()
	delete(p.producer.publishers, p)
	p.producer.mu.Unlock()
	return err
}
