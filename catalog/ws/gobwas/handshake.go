package gobwas

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"path"
	"strings"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsflate"
)

const protocolHeader = "Sec-Websocket-Protocol"

// dialWire makes a connection. ctx bounds the handshake alone.
func dialWire(ctx context.Context, o *Options, url string, header http.Header) (*wire, error) {
	var raw net.Conn
	var refusal error
	dialer := &ws.Dialer{
		Protocols: subprotocols(o, header),
		Header:    ws.HandshakeHeaderHTTP(header),
		TLSConfig: o.TLS.Clone(),
		NetDial: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
			raw = conn
			return conn, err
		},
		OnStatusError: func(status int, _ []byte, answer io.Reader) {
			refusal = &statusError{status, answerText(answer)}
		},
	}
	if o.Compression {
		dialer.Extensions = append(dialer.Extensions, wsflate.DefaultParameters.Option())
	}
	if o.Native != nil {
		o.Native(dialer, nil)
	}
	conn, buffer, handshake, err := dialer.Dial(ctx, url)
	switch {
	case refusal != nil:
		return nil, refusal
	case err != nil && ctx.Err() != nil:
		return nil, fmt.Errorf("dial: %w: %w", ctx.Err(), err)
	case err != nil:
		return nil, fmt.Errorf("dial: %w", err)
	}
	var early []byte
	if buffer != nil {
		early, _ = io.ReadAll(io.LimitReader(buffer, int64(buffer.Buffered()))) // it is in memory
		ws.PutReader(buffer)
	}
	if raw == nil { // Native brought a NetDial of its own
		raw = conn
	}
	if len(dialer.Protocols) > 0 && handshake.Protocol == "" {
		conn.Close()
		return nil, fmt.Errorf("%w: none of the subprotocols %q is spoken", ErrRefused, dialer.Protocols)
	}
	deflate := false
	for _, extension := range handshake.Extensions {
		var parameters wsflate.Parameters
		if err := parameters.Parse(extension); err != nil || !parameters.ServerNoContextTakeover {
			conn.Close()
			return nil, fmt.Errorf("%w: the server's compression is not the one that was offered", ErrRefused)
		}
		deflate = true
	}
	return newWire(conn, raw, early, ws.StateClientSide, o, handshake.Protocol, deflate), nil
}

// answerText is the beginning of what a server says to its refusal.
func answerText(answer io.Reader) string {
	response, err := http.ReadResponse(bufio.NewReader(answer), nil)
	if err != nil {
		return ""
	}
	defer response.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(response.Body, 512)) // as much as there is
	return strings.TrimRight(": "+strings.TrimSpace(string(text)), ": ")
}

// subprotocols takes those that the bindings gave as a header.
func subprotocols(o *Options, header http.Header) []string {
	list := append([]string{}, o.Subprotocols...)
	list = append(list, offered(header)...)
	header.Del(protocolHeader)
	return list
}

func offered(header http.Header) []string {
	var list []string
	for _, value := range header[protocolHeader] {
		for _, p := range strings.Split(value, ",") {
			list = append(list, strings.TrimSpace(p))
		}
	}
	return list
}

// acceptWire answers a handshake. On an error the refusal has been written.
func acceptWire(rw http.ResponseWriter, r *http.Request, o *Options) (*wire, error) {
	if !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
		rw.Header().Set("Connection", "Upgrade")
		rw.Header().Set("Upgrade", "websocket")
		http.Error(rw, "this is a WebSocket", http.StatusUpgradeRequired)
		return nil, errors.New("a request that is no handshake")
	}
	if err := checkOrigin(r, o.Origins); err != nil {
		http.Error(rw, err.Error(), http.StatusForbidden)
		return nil, err
	}
	chosen := choose(o.Subprotocols, offered(r.Header))
	extension := wsflate.Extension{Parameters: wsflate.DefaultParameters}
	upgrader := &ws.HTTPUpgrader{
		Timeout:  o.Timeout,
		Protocol: func(protocol string) bool { return protocol == chosen },
	}
	if o.Compression {
		upgrader.Negotiate = extension.Negotiate
	}
	if o.Native != nil {
		o.Native(nil, upgrader)
	}
	conn, buffer, handshake, err := upgrader.Upgrade(r, rw)
	if err != nil {
		if conn != nil {
			conn.Close()
		}
		return nil, err
	}
	early, _ := io.ReadAll(io.LimitReader(buffer.Reader, int64(buffer.Reader.Buffered()))) // it is in memory
	raw := conn
	if secure, ok := conn.(*tls.Conn); ok {
		raw = secure.NetConn() // its own Close waits to say goodbye
	}
	_, deflate := extension.Accepted()
	return newWire(conn, raw, early, ws.StateServerSide, o, handshake.Protocol, deflate), nil
}

// choose gives the first of this side's subprotocols that the other one offers.
func choose(own, offered []string) string {
	for _, p := range own {
		for _, other := range offered {
			if strings.EqualFold(p, other) {
				return other
			}
		}
	}
	return ""
}

// checkOrigin refuses a page in a browser that came from elsewhere. What is no
// browser sends no Origin (RFC 6455, section 10.2).
func checkOrigin(r *http.Request, patterns []string) error {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return nil
	}
	u, err := url.Parse(strings.ToLower(origin))
	if err == nil && u.Host == strings.ToLower(r.Host) {
		return nil
	}
	for _, pattern := range patterns {
		if err != nil || u.Host == "" {
			break
		}
		host := u.Host
		if strings.Contains(pattern, "://") {
			host = u.Scheme + "://" + u.Host
		}
		if ok, err := path.Match(strings.ToLower(pattern), host); ok && err == nil {
			return nil
		}
	}
	return fmt.Errorf("%w: pages of %q are not let in", ErrUnauthorized, origin)
}
