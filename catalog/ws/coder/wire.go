package coder

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/coder/websocket"
)

// wire is a connection as the library gives it.
type wire struct {
	ws  *websocket.Conn
	tap *tap
	// raw is what ws runs over, possibly below TLS. Closing it is the one way
	// to end a Close of the library that waits.
	raw     io.Closer
	timeout time.Duration
}

func (o *Options) compressionMode() websocket.CompressionMode {
	if o.Compression {
		return websocket.CompressionNoContextTakeover
	}
	return websocket.CompressionDisabled
}

// dialWire makes a connection. ctx bounds the handshake alone.
func dialWire(ctx context.Context, o *Options, url string, header http.Header) (*wire, error) {
	w := &wire{}
	options := &websocket.DialOptions{
		HTTPClient: &http.Client{
			Transport: &http.Transport{
				Proxy:           http.ProxyFromEnvironment,
				TLSClientConfig: o.TLS.Clone(),
				DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
					conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
					w.raw = conn
					return conn, err
				},
				DisableKeepAlives: true, // nothing may stay of a refused handshake
			},
			// A redirection would carry the credentials elsewhere.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		HTTPHeader:      header,
		Subprotocols:    subprotocols(o, header),
		CompressionMode: o.compressionMode(),
	}
	if o.Native != nil {
		o.Native(options, nil)
	}
	client := *options.HTTPClient
	client.Transport = tapping{client.Transport, w}
	options.HTTPClient = &client
	ws, response, err := websocket.Dial(ctx, url, options)
	if response != nil && response.Body != nil {
		defer response.Body.Close()
	}
	if err != nil {
		if response != nil && response.StatusCode != http.StatusSwitchingProtocols {
			text, _ := io.ReadAll(io.LimitReader(response.Body, 512))
			err = &statusError{response.StatusCode, strings.TrimRight(": "+strings.TrimSpace(string(text)), ": ")}
		}
		return nil, err
	}
	w.open(ws, o)
	if len(options.Subprotocols) > 0 && ws.Subprotocol() == "" {
		w.release()
		return nil, fmt.Errorf("%w: none of the subprotocols %q is spoken", ErrRefused, options.Subprotocols)
	}
	return w, nil
}

// tapping puts the tap into the answer to a handshake.
type tapping struct {
	transport http.RoundTripper
	wire      *wire
}

func (t tapping) RoundTrip(r *http.Request) (*http.Response, error) {
	if t.transport == nil {
		t.transport = http.DefaultTransport
	}
	response, err := t.transport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if conn, ok := response.Body.(io.ReadWriteCloser); ok {
		t.wire.tap = newTap(conn)
		response.Body = t.wire.tap
	}
	return response, nil
}

func (w *wire) open(ws *websocket.Conn, o *Options) {
	if w.raw == nil { // Native brought a transport of its own
		w.raw = w.tap.ReadWriteCloser
	}
	w.ws, w.timeout = ws, o.Timeout
	ws.SetReadLimit(int64(o.MaxMessageBytes))
}

// subprotocols takes those that the bindings gave as a header.
func subprotocols(o *Options, header http.Header) []string {
	const name = "Sec-Websocket-Protocol"
	list := append([]string{}, o.Subprotocols...)
	for _, value := range header[name] {
		for _, p := range strings.Split(value, ",") {
			list = append(list, strings.TrimSpace(p))
		}
	}
	header.Del(name)
	return list
}

// acceptWire answers a handshake. On an error the refusal has been written.
func acceptWire(rw http.ResponseWriter, r *http.Request, o *Options) (*wire, error) {
	options := &websocket.AcceptOptions{
		Subprotocols:    o.Subprotocols,
		OriginPatterns:  o.Origins,
		CompressionMode: o.compressionMode(),
	}
	if o.Native != nil {
		o.Native(nil, options)
	}
	w := &wire{}
	ws, err := websocket.Accept(&hijacker{rw, w}, r, options)
	if err != nil {
		return nil, err
	}
	w.open(ws, o)
	return w, nil
}

// hijacker puts the tap into the connection that the library takes.
type hijacker struct {
	http.ResponseWriter
	wire *wire
}

func (h *hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffer, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	t := tapped{conn, newTap(conn)}
	buffer.Writer.Reset(t)
	h.wire.tap, h.wire.raw = t.tap, conn
	if secure, ok := conn.(*tls.Conn); ok {
		h.wire.raw = secure.NetConn() // its own Close waits to say goodbye
	}
	return t, buffer, nil
}

func (w *wire) subprotocol() string { return w.ws.Subprotocol() }

// read gives the next message, and answers pings meanwhile. It has no context:
// one that ended would end the connection, and not only the wait.
func (w *wire) read() (OpCode, []byte, error) {
	for {
		kind, reader, err := w.ws.Reader(context.Background())
		var payload []byte
		if err == nil {
			payload, err = io.ReadAll(reader)
		}
		switch {
		case errors.Is(err, context.DeadlineExceeded) && reader == nil:
			// A pong found no room for 5 s because a message is stuck. The
			// connection is alive: if not, the next read says so.
			continue
		case err != nil:
			return 0, nil, readError(err)
		case kind == websocket.MessageText && !utf8.Valid(payload):
			return 0, nil, &protocolError{1007, errors.New("a text message that is not UTF-8")}
		}
		return OpCode(kind), payload, nil
	}
}

func readError(err error) error {
	var closed websocket.CloseError
	switch {
	case errors.As(err, &closed):
		return &CloseError{int(closed.Code), closed.Reason, err}
	case errors.Is(err, websocket.ErrMessageTooBig):
		return fmt.Errorf("%w: %w", ErrTooLarge, err)
	}
	return err
}

// write sends a message, however long that takes: see Peer.
func (w *wire) write(opCode OpCode, payload []byte) error {
	return w.ws.Write(context.Background(), websocket.MessageType(opCode), payload)
}

// ping asks for a sign of life. Whether one comes is told by the tap.
func (w *wire) ping(ctx context.Context) {
	// A context that ends while the ping is written ends the connection, so
	// this one is not shorter than the library's own limit.
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	_ = w.ws.Ping(ctx)
}

// close says goodbye and waits for the answer, at most the time-out.
func (w *wire) close(code int, reason string) {
	timer := time.AfterFunc(w.timeout, w.kill)
	defer timer.Stop()
	_ = w.ws.Close(websocket.StatusCode(code), reason)
}

// kill ends the connection at once.
func (w *wire) kill() { _ = w.raw.Close() }

// release ends the connection at once and frees what it holds.
func (w *wire) release() {
	w.kill()
	_ = w.ws.CloseNow()
}
