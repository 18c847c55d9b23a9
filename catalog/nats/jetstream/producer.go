package jetstream

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Producer is the connection to a server that Publishers send over. It is safe
// for concurrent use.
type Producer struct {
	connection *connection
	streams    jetstream.JetStream

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
	js, err := jetstream.New(c.nats, jetstream.WithDefaultTimeout(c.options.Timeout), jetstream.WithPublishAsyncTimeout(c.options.Timeout))
	if err != nil {
		c.close()
		return nil, fmt.Errorf("nats: connect to %s: %w", serverURL, err)
	}
	return &Producer{connection: c, streams: js, publishers: map[*Publisher]struct{}{}}, nil
}

// Native gives the library's JetStream, which stops working at Close.
func (p *Producer) Native() jetstream.JetStream { return p.streams }

// Publisher opens a subject for sending, and creates a stream where none has
// it. Errors: ErrNotFound where that is off, ErrRefused where the server does
// not do it, ErrUnsupported for a wildcard or a malformed subject,
// ErrUnauthorized, ErrClosed.
func (p *Producer) Publisher(ctx context.Context, address string, bindings *ChannelBindings) (*Publisher, error) {
	pub, err := p.publisher(ctx, address, bindings)
	if err != nil {
		return nil, fmt.Errorf("nats: open %q for sending: %w", address, classify(err))
	}
	return pub, nil
}

func (p *Producer) publisher(ctx context.Context, address string, bindings *ChannelBindings) (*Publisher, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if _, err := bindings.queue(); err != nil {
		return nil, err
	}
	if err := checkSubject(address, false); err != nil {
		return nil, err
	}
	if _, err := p.connection.declareStream(ctx, p.streams, address); err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, ErrClosed
	}
	pub := &Publisher{producer: p, subject: address}
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

// Send returns nil when a stream has stored every envelope. While no server can
// be reached, or no stream answers, it waits and tries again, until ctx ends or,
// where ctx has no deadline, Options.Timeout; what was not confirmed when a
// connection broke is then sent twice. A header Nats-Msg-Id of your own makes
// the stream drop the second one.
//
// Where some of several envelopes fail, errors.As gives SendErrors. Errors:
// ErrTooLarge, ErrUnsupported for a header or subject, ErrUnauthorized where the
// server does not allow the subject, ErrRefused where the stream does not take
// the message, ErrNotFound where no stream answered until the end, ErrClosed, or
// ctx's error with the cause of the delay. After ctx's error the message may
// still arrive.
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
		for i, err := range p.deliver(ctx, messages) {
			if messages[i] != nil {
				errs[i] = err
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

// Request is ErrUnsupported: a stored message has no reply. The driver
// nats/natsgo has.
func (p *Publisher) Request(ctx context.Context, envelope *EnvelopeOut) (*EnvelopeIn, error) {
	return nil, fmt.Errorf("nats: request to %q: %w: JetStream has no replies", p.subject, ErrUnsupported)
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
