package paho

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
)

// upgrade makes a WebSocket (RFC 6455) of a connection. MQTT takes the binary
// frames for a stream of bytes, and needs nothing else of them.
func (s server) upgrade(ctx context.Context, conn net.Conn, c credentials) (_ net.Conn, err error) {
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	defer func() {
		if err != nil {
			conn.Close()
			if ctx.Err() != nil {
				err = ctx.Err()
			}
			err = fmt.Errorf("websocket: %w", err)
		}
	}()
	target := &url.URL{Scheme: "http", Host: s.web.Host, Path: s.web.Path, RawPath: s.web.RawPath, RawQuery: s.web.RawQuery}
	if target.Path == "" {
		target.Path = "/"
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
	if err != nil {
		return nil, err
	}
	var nonce [16]byte
	rand.Read(nonce[:])
	key := base64.StdEncoding.EncodeToString(nonce[:])
	for name, value := range map[string]string{
		"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
		"Sec-WebSocket-Key": key, "Sec-WebSocket-Protocol": "mqtt",
	} {
		request.Header.Set(name, value)
	}
	if c.web != nil {
		c.web(request)
	}
	if err := request.Write(conn); err != nil {
		return nil, err
	}
	reader := bufio.NewReader(conn)
	response, err := http.ReadResponse(reader, request)
	if err != nil {
		return nil, err
	}
	_ = response.Body.Close() // empty: after the handshake come frames
	accept := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	switch {
	case response.StatusCode == http.StatusUnauthorized || response.StatusCode == http.StatusForbidden:
		return nil, fmt.Errorf("%w: %s", ErrUnauthorized, response.Status)
	case response.StatusCode != http.StatusSwitchingProtocols:
		return nil, fmt.Errorf("the server answers %s", response.Status)
	case response.Header.Get("Sec-WebSocket-Accept") != base64.StdEncoding.EncodeToString(accept[:]):
		return nil, errors.New("the server does not answer to this handshake")
	case !strings.EqualFold(response.Header.Get("Sec-WebSocket-Protocol"), "mqtt"):
		return nil, errors.New("the server does not speak MQTT over it")
	}
	return &webSocket{Conn: conn, reader: reader}, nil
}

// webSocket is a net.Conn over binary frames. One goroutine at a time may read.
type webSocket struct {
	net.Conn
	reader *bufio.Reader
	rest   uint64 // of the frame that is being read

	writing sync.Mutex
}

const (
	opContinuation = 0x0
	opBinary       = 0x2
	opClose        = 0x8
	opPing         = 0x9
	opPong         = 0xA
)

func (w *webSocket) Read(p []byte) (int, error) {
	for w.rest == 0 {
		op, err := w.nextFrame()
		if err != nil {
			return 0, err
		}
		switch op {
		case opBinary, opContinuation:
		case opPing, opPong, opClose:
			if w.rest > 125 {
				return 0, errors.New("websocket: a control frame is too long")
			}
			data := make([]byte, w.rest)
			w.rest = 0
			if _, err := io.ReadFull(w.reader, data); err != nil {
				return 0, err
			}
			if op == opClose {
				return 0, io.EOF
			}
			if op == opPing {
				if err := w.write(opPong, data); err != nil {
					return 0, err
				}
			}
		default:
			return 0, fmt.Errorf("websocket: a frame of kind %d, MQTT uses binary ones", op)
		}
	}
	if uint64(len(p)) > w.rest {
		p = p[:w.rest]
	}
	n, err := w.reader.Read(p)
	w.rest -= uint64(n)
	return n, err
}

// nextFrame reads a frame's header.
func (w *webSocket) nextFrame() (op byte, err error) {
	var header [2]byte
	if _, err := io.ReadFull(w.reader, header[:]); err != nil {
		return 0, err
	}
	if header[0]&0x70 != 0 || header[1]&0x80 != 0 {
		return 0, errors.New("websocket: a server's frame with a mask or an extension")
	}
	length := header[1] & 0x7f
	if extra := map[byte]int{126: 2, 127: 8}[length]; extra > 0 {
		var size [8]byte
		if _, err := io.ReadFull(w.reader, size[8-extra:]); err != nil {
			return 0, err
		}
		w.rest = binary.BigEndian.Uint64(size[:])
	} else {
		w.rest = uint64(length)
	}
	return header[0] & 0x0f, nil
}

func (w *webSocket) Write(p []byte) (int, error) {
	if err := w.write(opBinary, p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// goodbye begins the closing handshake, with the code for a normal end.
func (w *webSocket) goodbye() { _ = w.write(opClose, []byte{0x03, 0xe8}) }

func (w *webSocket) write(op byte, p []byte) error {
	frame := bytes.NewBuffer(make([]byte, 0, len(p)+14))
	frame.WriteByte(0x80 | op)
	switch n := len(p); {
	case n < 126:
		frame.WriteByte(0x80 | byte(n))
	case n <= 0xffff:
		frame.Write(binary.BigEndian.AppendUint16([]byte{0x80 | 126}, uint16(n)))
	default:
		frame.Write(binary.BigEndian.AppendUint64([]byte{0x80 | 127}, uint64(n)))
	}
	var mask [4]byte
	rand.Read(mask[:])
	frame.Write(mask[:])
	for i, b := range p {
		frame.WriteByte(b ^ mask[i%4])
	}
	w.writing.Lock()
	defer w.writing.Unlock()
	_, err := w.Conn.Write(frame.Bytes())
	return err
}
