package std

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// Producer makes requests to a server. It is safe for concurrent use.
type Producer struct {
	base    *url.URL
	client  *http.Client
	login   *login
	options Options

	mu         sync.Mutex
	closed     bool
	failing    bool // the last attempt did not reach the server
	conns      map[*conn]struct{}
	publishers map[*Publisher]struct{}
}

// NewProducer reads the URL, http[s]://[user:password@]host[:port][/path] or
// host:port. It reaches nobody: the first Send does.
func NewProducer(serverURL string, bindings *ServerBindings, options *Options) (*Producer, error) {
	u, err := parseServer(serverURL)
	if err != nil {
		return nil, err
	}
	o := options.withDefaults()
	security, err := o.credentials(u)
	if err != nil {
		return nil, err
	}
	login, err := newLogin(security)
	if err != nil {
		return nil, fmt.Errorf("http: %w", err)
	}
	if _, ok := security.(X509); ok && (o.TLS == nil || len(o.TLS.Certificates) == 0 && o.TLS.GetClientCertificate == nil) {
		return nil, errors.New("http: X509: Options.TLS holds no client certificate")
	}
	u.User = nil
	if o.TLS != nil {
		u.Scheme = "https"
	}
	transport := &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: o.Timeout, KeepAlive: 15 * time.Second}).DialContext,
		TLSClientConfig:     o.TLS.Clone(),
		TLSHandshakeTimeout: o.Timeout,
		ForceAttemptHTTP2:   true,
		MaxIdleConnsPerHost: 100, // two by default: most of many requests at once would dial anew
		IdleConnTimeout:     90 * time.Second,
		DisableCompression:  true, // a response's body and headers are given as they are
	}
	if o.Native != nil {
		o.Native(transport, nil)
	}
	p := &Producer{
		base: u, login: login, options: o, publishers: map[*Publisher]struct{}{}, conns: map[*conn]struct{}{},
		client: &http.Client{
			Transport: transport,
			// Following a redirect can turn a POST into a GET without its body.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	dial := transport.DialContext
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return p.track(c)
	}
	return p, nil
}

// track keeps a connection for Close: one that is being made for a request that
// gave up would stay in the transport as an idle one.
func (p *Producer) track(c net.Conn) (net.Conn, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		_ = c.Close()
		return nil, ErrClosed
	}
	tracked := &conn{c, p}
	p.conns[tracked] = struct{}{}
	return tracked, nil
}

type conn struct {
	net.Conn
	producer *Producer
}

func (c *conn) Close() error {
	c.producer.mu.Lock()
	delete(c.producer.conns, c)
	c.producer.mu.Unlock()
	return c.Conn.Close()
}

// Native gives the library's client.
func (p *Producer) Native() *http.Client { return p.client }

// Publisher makes requests for a path below the server's, which may have
// {parameters} for EnvelopeOut.SetParameters.
func (p *Producer) Publisher(ctx context.Context, address string, bindings *ChannelBindings) (*Publisher, error) {
	fail := func(err error) (*Publisher, error) {
		return nil, fmt.Errorf("http: open %q for sending: %w", address, err)
	}
	if err := ctx.Err(); err != nil {
		return fail(err)
	}
	operation, err := bindings.operation()
	if err != nil {
		return fail(err)
	}
	if strings.ContainsAny(address, "?#") {
		return fail(errors.New("an address has no query or fragment: queries are in the bindings"))
	}
	pub := &Publisher{producer: p, address: address, operation: operation}
	pub.stop, pub.stopNow = context.WithCancel(context.Background())
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		pub.stopNow()
		return fail(ErrClosed)
	}
	p.publishers[pub] = struct{}{}
	return pub, nil
}

// Close closes the Publishers and the idle connections. It waits for each Send
// under way, at most Options.Timeout.
func (p *Producer) Close() error {
	p.mu.Lock()
	p.closed = true
	open := slices.Collect(maps.Keys(p.publishers))
	p.mu.Unlock()
	err := closeAll(open)
	p.client.CloseIdleConnections()
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		_ = c.Conn.Close()
	}
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

// Publisher sends each envelope as a request. It is safe for concurrent use.
type Publisher struct {
	producer  *Producer
	address   string
	operation OperationBindings
	stop      context.Context // done when Close has waited long enough
	stopNow   context.CancelFunc

	mu     sync.Mutex
	closed bool
	sends  sync.WaitGroup
}

// Send returns nil when every request was answered with 2xx: the other side's
// handler has returned nil. Up to Options.Parallel of them are under way at
// once, so they can arrive in another order. While no connection can be made,
// it breaks before the answer, or none comes within Options.Timeout, Send tries
// again until ctx ends or, where ctx has no deadline, Options.Timeout; a request
// whose answer was lost or late is then handled twice. An answer that is not
// 2xx is never tried again: see StatusError.Retryable.
//
// Where some of several envelopes fail, errors.As gives SendErrors. Errors:
// StatusError, ErrUnsupported for a header, ErrClosed, or ctx's error with the
// cause of the delay.
func (p *Publisher) Send(ctx context.Context, envelopes ...*EnvelopeOut) error {
	ctx, done, err := p.begin(ctx)
	if err != nil {
		return fmt.Errorf("http: send to %q: %w", p.address, err)
	}
	defer done()
	errs := make(SendErrors, len(envelopes))
	failed := false
	slots := make(chan struct{}, p.producer.options.Parallel)
	var wg sync.WaitGroup
	for i, e := range envelopes {
		slots <- struct{}{}
		wg.Add(1)
		go func() {
			defer wg.Done()
			defer func() { <-slots }()
			_, errs[i] = p.exchange(ctx, e, 64<<10)
		}()
	}
	wg.Wait()
	for _, err := range errs {
		failed = failed || err != nil
	}
	switch {
	case !failed:
		return nil
	case len(errs) == 1:
		return fmt.Errorf("http: send to %q: %w", p.address, errs[0])
	}
	return fmt.Errorf("http: send to %q: %w", p.address, errs)
}

// Request sends an envelope as Send does, and gives the response: its body is
// the payload. A body larger than Options.MaxBody is ErrTooLarge.
func (p *Publisher) Request(ctx context.Context, envelope *EnvelopeOut) (*EnvelopeIn, error) {
	ctx, done, err := p.begin(ctx)
	if err != nil {
		return nil, fmt.Errorf("http: request to %q: %w", p.address, err)
	}
	defer done()
	in, err := p.exchange(ctx, envelope, p.producer.options.MaxBody+1)
	if err == nil && int64(len(in.payload)) > p.producer.options.MaxBody {
		err = fmt.Errorf("%w: the response has more than %d bytes", ErrTooLarge, p.producer.options.MaxBody)
	}
	if err != nil {
		return nil, fmt.Errorf("http: request to %q: %w", p.address, err)
	}
	return in, nil
}

// begin counts a call for Close, and bounds it.
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
	var cancel context.CancelFunc
	if _, bounded := ctx.Deadline(); bounded {
		ctx, cancel = context.WithCancel(ctx)
	} else {
		ctx, cancel = context.WithTimeout(ctx, p.producer.options.Timeout)
	}
	unlink := context.AfterFunc(p.stop, cancel)
	return ctx, func() {
		unlink()
		cancel()
		p.sends.Done()
	}, nil
}

// exchange makes a request until there is an answer, and reads at most limit
// bytes of its body.
func (p *Publisher) exchange(ctx context.Context, e *EnvelopeOut, limit int64) (*EnvelopeIn, error) {
	if e == nil {
		return nil, errors.New("the envelope is nil")
	}
	target, header, err := p.target(e)
	if err != nil {
		return nil, err
	}
	// The transport may still read the body when a request has given up.
	payload := bytes.Clone(e.payload)
	var cause error // of the attempt that failed last, before ctx ended
	for attempt := 0; ; attempt++ {
		in, err := p.try(ctx, target, header, payload, limit)
		if ctx.Err() == nil {
			p.producer.report(err)
		}
		if err == nil {
			if code := in.StatusCode(); code/100 != 2 {
				return nil, &StatusError{Code: code, Header: in.header, Body: in.payload[:min(len(in.payload), 64<<10)]}
			}
			return in, nil
		}
		if alerted(err) {
			return nil, fmt.Errorf("%w: %w", ErrUnauthorized, err)
		}
		if final(err) {
			return nil, err
		}
		if ctx.Err() == nil {
			cause = err
		}
		timer := time.NewTimer(p.producer.options.backoff(attempt))
		select {
		case <-timer.C:
			continue
		case <-ctx.Done():
			timer.Stop()
		}
		ended := ctx.Err()
		if p.stop.Err() != nil {
			ended = ErrClosed
		}
		if cause == nil {
			cause = err
		}
		return nil, fmt.Errorf("%w: %w", ended, cause)
	}
}

func (p *Publisher) try(ctx context.Context, target string, header http.Header, payload []byte, limit int64) (*EnvelopeIn, error) {
	attempt, cancel := context.WithTimeout(ctx, p.producer.options.Timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(attempt, p.operation.Method, target, bytes.NewReader(payload))
	if err != nil {
		return nil, &finalError{err}
	}
	request.Header = header.Clone()
	if p.producer.login != nil {
		if err := p.producer.login.set(ctx, request); err != nil {
			return nil, &finalError{err}
		}
	}
	response, err := p.producer.client.Do(request)
	if err != nil {
		return nil, err
	}
	// Read to the end, else the connection can't be used again.
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, limit))
	if err == nil {
		_, err = io.CopyN(io.Discard, response.Body, 256<<10)
	}
	if err != nil && err != io.EOF {
		return nil, err
	}
	return &EnvelopeIn{request: response.Request, response: response, header: response.Header, payload: body, unread: body}, nil
}

// finalError is one that comes before the network.
type finalError struct{ error }

func (e *finalError) Unwrap() error { return e.error }

// final tells whether trying again can't help.
func final(err error) bool {
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var own *finalError
	return errors.As(err, &certificate) || errors.As(err, &record) || errors.As(err, &own)
}

// alerted tells whether the server ended the TLS handshake: it does not accept
// the client's certificate, or its lack. crypto/tls gives its alerts no type.
func alerted(err error) bool {
	var remote *net.OpError
	return errors.As(err, &remote) && remote.Op == "remote error"
}

// target is the URL and the header of an envelope's request.
func (p *Publisher) target(e *EnvelopeOut) (string, http.Header, error) {
	header, err := e.header()
	if err != nil {
		return "", nil, err
	}
	var missing string
	path := parameter.ReplaceAllStringFunc(p.address, func(name string) string {
		value, ok := e.parameters[name[1:len(name)-1]]
		if !ok || value == "" {
			missing = name
		}
		return url.PathEscape(value)
	})
	if missing != "" {
		return "", nil, fmt.Errorf("the address needs a value for %s: EnvelopeOut.SetParameters", missing)
	}
	query := url.Values{}
	for name, q := range p.operation.Query {
		if q.Value != nil {
			query.Set(name, *q.Value)
		}
	}
	maps.Copy(query, e.query)
	if err := p.operation.Query.check("query parameter", func(name string) (string, bool) { return query.Get(name), query.Has(name) }); err != nil {
		return "", nil, err
	}
	u := *p.producer.base
	u.RawPath = strings.TrimSuffix(u.EscapedPath(), "/") + "/" + strings.TrimPrefix(path, "/")
	if u.Path, err = url.PathUnescape(u.RawPath); err != nil {
		return "", nil, err
	}
	u.RawQuery = query.Encode()
	return u.String(), header, nil
}

// report tells the Logger when the server is lost and when it is there again.
func (p *Producer) report(err error) {
	p.mu.Lock()
	changed := p.failing != (err != nil)
	p.failing = err != nil
	p.mu.Unlock()
	switch {
	case changed && err != nil:
		p.options.Logger.Warn("http: the server can't be reached, trying again", "server", p.base.Host, "error", err)
	case changed:
		p.options.Logger.Info("http: the server answers again", "server", p.base.Host)
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
	case <-time.After(p.producer.options.Timeout):
		err = fmt.Errorf("http: close %q: requests without an answer after %v", p.address, p.producer.options.Timeout)
	}
	p.stopNow()
	<-done
	p.producer.mu.Lock()
	delete(p.producer.publishers, p)
	p.producer.mu.Unlock()
	return err
}
