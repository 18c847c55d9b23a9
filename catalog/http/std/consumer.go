package std

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Consumer takes requests: on a server of its own, or mounted on yours. It is
// safe for concurrent use.
type Consumer struct {
	base     *url.URL
	login    *login
	options  Options
	server   *http.Server // nil with Options.HandlerOnly
	listener net.Listener
	started  bool
	served   chan struct{} // closed when the server has ended

	mu          sync.Mutex
	closed      bool
	subscribers map[*Subscriber]struct{}
	mux         atomic.Pointer[http.ServeMux]
}

// NewConsumer listens at the URL's host and port, with Options.HandlerOnly
// nowhere; it answers from the first Subscriber on. Errors: that of the
// listener where the port is taken, ErrUnsupported for a security scheme that a
// server can't check.
func NewConsumer(serverURL string, bindings *ServerBindings, options *Options) (*Consumer, error) {
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
	if login != nil && login.check == nil {
		return nil, fmt.Errorf("http: %w: a Consumer can't check the tokens of %s; do it before Consumer.Handler", ErrUnsupported, security.Scheme())
	}
	u.User = nil
	c := &Consumer{base: u, login: login, options: o, subscribers: map[*Subscriber]struct{}{}, served: make(chan struct{})}
	c.mux.Store(http.NewServeMux())
	if o.HandlerOnly {
		return c, nil
	}
	config := o.TLS.Clone()
	_, mutual := security.(X509)
	switch {
	case config == nil && (u.Scheme == "https" || mutual):
		return nil, errors.New("http: https needs a certificate in Options.TLS")
	case config != nil && len(config.Certificates) == 0 && config.GetCertificate == nil && config.GetConfigForClient == nil:
		return nil, errors.New("http: Options.TLS holds no certificate to serve with")
	case mutual && config.ClientCAs == nil:
		return nil, errors.New("http: X509: Options.TLS.ClientCAs says which client certificates to take")
	case mutual:
		config.ClientAuth = tls.RequireAndVerifyClientCert
	}
	if config != nil {
		u.Scheme = "https"
	}
	if c.listener, err = new(net.ListenConfig).Listen(context.Background(), "tcp", hostPort(u)); err != nil {
		return nil, fmt.Errorf("http: listen at %s: %w", u.Host, err)
	}
	c.server = &http.Server{
		Handler: c.Handler(), TLSConfig: config,
		ReadHeaderTimeout: o.Timeout, IdleTimeout: 2 * time.Minute,
		ErrorLog: log.New(logWriter{o.Logger}, "", 0),
	}
	if o.Native != nil {
		o.Native(nil, c.server)
	}
	return c, nil
}

// serve begins to answer. Until there is a Subscriber connections wait: 404
// would tell their senders that trying again is no use.
func (c *Consumer) serve() {
	serve := c.server.Serve
	if c.server.TLSConfig != nil {
		serve = func(l net.Listener) error { return c.server.ServeTLS(l, "", "") }
	}
	go func() {
		defer close(c.served)
		if err := serve(c.listener); !errors.Is(err, http.ErrServerClosed) {
			c.options.Logger.Error("http: the server ended", "error", err)
		}
	}()
}

// logWriter hands what the library's server logs to the Logger.
type logWriter struct{ logger *slog.Logger }

func (w logWriter) Write(p []byte) (int, error) {
	w.logger.Warn("http: server", "message", strings.TrimSpace(string(p)))
	return len(p), nil
}

// Native gives the library's server, nil with Options.HandlerOnly.
func (c *Consumer) Native() *http.Server { return c.server }

// URL is where the Consumer listens, with the port that the system chose for
// port 0. It is empty with Options.HandlerOnly.
func (c *Consumer) URL() string {
	if c.listener == nil {
		return ""
	}
	u := *c.base
	u.Host = c.listener.Addr().String()
	return u.String()
}

// Handler serves the Subscribers' addresses, below the path of the server's
// URL, for a server of your own.
func (c *Consumer) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { c.mux.Load().ServeHTTP(w, r) })
}

var parameter = regexp.MustCompile(`\{[^{}]*\}`)

// Subscriber takes the requests for a path. A {name} in the address stands for
// one segment of it: EnvelopeIn.Parameter. While no Receive runs, requests are
// refused with 503.
func (c *Consumer) Subscriber(ctx context.Context, address string, bindings *ChannelBindings) (*Subscriber, error) {
	fail := func(err error) (*Subscriber, error) {
		return nil, fmt.Errorf("http: open %q for receiving: %w", address, err)
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
	s := &Subscriber{consumer: c, address: address, operation: operation}
	s.pattern = s.makePattern()
	s.closing, s.beginClose = context.WithCancel(context.Background())
	s.abandoned, s.abandon = context.WithCancel(context.Background())
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return fail(ErrClosed)
	}
	c.subscribers[s] = struct{}{}
	if err := c.route(); err != nil {
		delete(c.subscribers, s)
		return fail(err)
	}
	if !c.started && c.server != nil {
		c.started = true
		c.serve()
	}
	return s, nil
}

// makePattern is the address as net/http spells it, which allows only
// identifiers as names of parameters.
func (s *Subscriber) makePattern() string {
	full := path.Join("/", s.consumer.base.Path, parameter.ReplaceAllStringFunc(s.address, func(name string) string {
		s.parameters = append(s.parameters, name[1:len(name)-1])
		return fmt.Sprintf("{p%d}", len(s.parameters)-1)
	}))
	if full == "/" || strings.HasSuffix(s.address, "/") {
		full = strings.TrimSuffix(full, "/") + "/{$}"
	}
	return s.operation.Method + " " + full
}

// route makes the routes anew: net/http can't take one away.
func (c *Consumer) route() (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("another Subscriber has that path, or the address is malformed: %v", v)
		}
	}()
	mux := http.NewServeMux()
	for s := range c.subscribers {
		mux.HandleFunc(s.pattern, s.serve)
	}
	c.mux.Store(mux)
	return nil
}

// Close closes the Subscribers and then the server: requests under way get
// their answer, at most within Options.Timeout.
func (c *Consumer) Close() error {
	c.mu.Lock()
	c.closed = true
	open := slices.Collect(maps.Keys(c.subscribers))
	started := c.started
	c.mu.Unlock()
	err := closeAll(open)
	if !started {
		if c.listener != nil {
			_ = c.listener.Close()
		}
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), c.options.Timeout)
	defer cancel()
	if shutdown := c.server.Shutdown(ctx); shutdown != nil {
		err = errors.Join(err, fmt.Errorf("http: close: %w", shutdown), c.server.Close())
	}
	<-c.served
	return err
}

// Subscriber takes the requests for one path.
type Subscriber struct {
	consumer   *Consumer
	address    string
	operation  OperationBindings
	pattern    string
	parameters []string
	closing    context.Context // done when Close begins
	beginClose context.CancelFunc
	abandoned  context.Context // done when Close has waited long enough
	abandon    context.CancelFunc

	mu      sync.Mutex
	session *session // of the Receive that runs
}

// session is one Receive.
type session struct {
	handle   func(context.Context, *EnvelopeIn) error
	handlers context.Context // what handlers get
	slots    chan struct{}
	running  sync.WaitGroup
	ended    chan struct{} // no new handler after it is closed
	end      func()
	panicked atomic.Pointer[any]
	done     chan struct{}
}

// Receive calls handle for each request, at most Options.Concurrency at once,
// and answers by its result: nil is 204, or what Reply was given; an error 500,
// so that the sender may try again; Reject(err) 422, so that it does not.
//
// handle's context ends with ctx and with the request, when its sender has
// gone. Its panic is Receive's, and 500 to the sender.
//
// Receive returns ctx's error when ctx ends and ErrClosed after Close, both as
// soon as the handlers that run have returned and their senders are answered.
// One Receive runs at a time.
func (s *Subscriber) Receive(ctx context.Context, handle func(context.Context, *EnvelopeIn) error) error {
	err := s.receive(ctx, handle)
	return fmt.Errorf("http: receive from %q: %w", s.address, err)
}

func (s *Subscriber) receive(ctx context.Context, handle func(context.Context, *EnvelopeIn) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	handlers, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.abandoned, cancel)()
	run := &session{
		handle: handle, handlers: handlers, slots: make(chan struct{}, s.consumer.options.Concurrency),
		ended: make(chan struct{}), done: make(chan struct{}),
	}
	run.end = sync.OnceFunc(func() { close(run.ended) })
	s.mu.Lock()
	switch {
	case s.closing.Err() != nil:
		s.mu.Unlock()
		return ErrClosed
	case s.session != nil:
		s.mu.Unlock()
		return errors.New("another Receive runs on this Subscriber")
	}
	s.session = run
	s.mu.Unlock()
	defer close(run.done)

	select {
	case <-ctx.Done():
	case <-s.closing.Done():
	case <-run.ended: // by a panic
	}
	s.mu.Lock()
	s.session = nil
	s.mu.Unlock()
	run.end()
	run.running.Wait()
	if v := run.panicked.Load(); v != nil {
		panic(*v)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return ErrClosed
}

// serve answers one request.
func (s *Subscriber) serve(w http.ResponseWriter, r *http.Request) {
	o := s.consumer.options
	if l := s.consumer.login; l != nil && !l.check(r) {
		if l.challenge != "" {
			w.Header().Set("WWW-Authenticate", l.challenge)
		}
		refuse(w, http.StatusUnauthorized, "unauthorized")
		return
	}
	query := r.URL.Query()
	if err := s.operation.Query.check("query parameter", func(name string) (string, bool) { return query.Get(name), query.Has(name) }); err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	e, status, err := s.read(w, r)
	if err != nil {
		o.Logger.Warn("http: request not read", "address", s.address, "error", err)
		refuse(w, status, err.Error())
		return
	}
	s.mu.Lock()
	run := s.session
	if run != nil {
		run.running.Add(1)
	}
	s.mu.Unlock()
	if run == nil {
		unavailable(w, "nobody receives")
		return
	}
	defer run.running.Done()
	timer := time.NewTimer(o.Timeout)
	defer timer.Stop()
	select {
	case run.slots <- struct{}{}:
		defer func() { <-run.slots }()
	case <-run.ended:
		unavailable(w, "nobody receives")
		return
	case <-timer.C:
		unavailable(w, "all handlers are busy")
		return
	case <-r.Context().Done():
		return
	}
	if run.over() {
		unavailable(w, "nobody receives")
		return
	}
	s.answer(w, e, run.call(r.Context(), e))
}

// over tells whether Receive ended while the request waited for its turn.
func (run *session) over() bool {
	select {
	case <-run.ended:
		return true
	default:
		return run.handlers.Err() != nil
	}
}

// read takes the request's body, which must come within Options.Timeout.
func (s *Subscriber) read(w http.ResponseWriter, r *http.Request) (*EnvelopeIn, int, error) {
	o := s.consumer.options
	// Not every ResponseWriter has deadlines; where there are none, the user's
	// own server has to see to it.
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(o.Timeout))
	payload, err := io.ReadAll(http.MaxBytesReader(w, r.Body, o.MaxBody))
	_ = control.SetReadDeadline(time.Time{})
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, http.StatusRequestEntityTooLarge, fmt.Errorf("the body has more than %d bytes", o.MaxBody)
	case err != nil:
		return nil, http.StatusBadRequest, fmt.Errorf("the body did not arrive: %w", err)
	}
	e := &EnvelopeIn{request: r, header: r.Header.Clone(), payload: payload, unread: payload, parameters: map[string]string{}}
	for i, name := range s.parameters {
		e.parameters[name] = r.PathValue(fmt.Sprintf("p%d", i))
	}
	return e, 0, nil
}

// call keeps a panic for Receive, which runs in the caller's goroutine.
func (run *session) call(request context.Context, e *EnvelopeIn) (err error) {
	ctx, cancel := context.WithCancel(run.handlers)
	defer cancel()
	defer context.AfterFunc(request, cancel)()
	returned := false
	defer func() {
		if returned {
			return
		}
		v := recover()
		if v == nil {
			v = "http: the handler called runtime.Goexit"
		}
		run.panicked.CompareAndSwap(nil, &v)
		run.end()
		err = errors.New("the handler panicked")
	}()
	err = run.handle(ctx, e)
	returned = true
	return err
}

func (s *Subscriber) answer(w http.ResponseWriter, e *EnvelopeIn, err error) {
	log := s.consumer.options.Logger
	switch {
	case rejected(err):
		log.Warn("http: request rejected", "address", s.address, "error", err)
		refuse(w, http.StatusUnprocessableEntity, "rejected")
	case err != nil:
		log.Warn("http: handler failed", "address", s.address, "error", err)
		refuse(w, http.StatusInternalServerError, "the handler failed")
	case e.reply == nil:
		w.WriteHeader(http.StatusNoContent)
	default:
		header := w.Header()
		header["Content-Type"] = nil // else the server guesses one
		maps.Copy(header, e.reply.header)
		w.WriteHeader(e.reply.status)
		if _, err := w.Write(e.reply.payload); err != nil && !errors.Is(err, http.ErrBodyNotAllowed) {
			log.Warn("http: reply not sent", "address", s.address, "error", err)
		}
	}
	// Settled means answered: the answer leaves before the handler counts as done.
	_ = http.NewResponseController(w).Flush()
}

func refuse(w http.ResponseWriter, status int, text string) { http.Error(w, text, status) }

func unavailable(w http.ResponseWriter, text string) {
	w.Header().Set("Retry-After", "1")
	refuse(w, http.StatusServiceUnavailable, text)
}

// Close takes the address from the server, ends Receive and waits until the
// handlers that run have returned and are answered, at most Options.Timeout;
// then their contexts end and the error says so.
func (s *Subscriber) Close() error {
	s.consumer.mu.Lock()
	delete(s.consumer.subscribers, s)
	err := s.consumer.route()
	s.consumer.mu.Unlock()
	s.mu.Lock()
	s.beginClose()
	run := s.session
	s.mu.Unlock()
	if run != nil {
		select {
		case <-run.done:
		case <-time.After(s.consumer.options.Timeout):
			err = fmt.Errorf("http: close %q: a handler still runs after %v", s.address, s.consumer.options.Timeout)
		}
	}
	s.abandon()
	return err
}
