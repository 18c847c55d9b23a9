package gobwas

import (
	"bufio"
	"bytes"
	"compress/flate"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsflate"
	"github.com/gobwas/ws/wsutil"
)

// wire is a connection: the library's frames made into messages. Pings and
// pongs go by way of the tap, everything else one frame at a time.
type wire struct {
	conn     net.Conn
	raw      io.Closer // what conn runs over, possibly below TLS
	tap      *tap
	side     ws.State
	protocol string
	limit    int
	timeout  time.Duration
	deflate  bool

	reading sync.Mutex // one reader: read, or close while it waits for the answer
	source  *bufio.Reader
	reader  *wsutil.Reader
	packed  wsflate.MessageState
	over    error         // why there is no more to read
	ended   chan struct{} // closed when over is set
	skip    int64         // what is left of a frame that was refused

	writing sync.Mutex
	frame   []byte
	said    bool // a close frame was written
}

// newWire makes a wire of a connection after the handshake, in which the peer
// may have sent early bytes already.
func newWire(conn net.Conn, raw io.Closer, early []byte, side ws.State, o *Options, protocol string, deflate bool) *wire {
	w := &wire{
		conn: conn, raw: raw, tap: newTap(conn), side: side, limit: o.MaxMessageBytes, timeout: o.Timeout,
		protocol: protocol, deflate: deflate, ended: make(chan struct{}),
	}
	w.source = bufio.NewReader(io.MultiReader(bytes.NewReader(early), w.tap))
	w.reader = wsutil.NewReader(w.source, side)
	w.reader.MaxMessageSize = int64(o.MaxMessageBytes)
	w.reader.OnIntermediate = w.control
	if deflate {
		w.reader.State = side.Set(ws.StateExtended)
		w.reader.Extensions = []wsutil.RecvExtension{&w.packed}
	}
	return w
}

func (w *wire) subprotocol() string { return w.protocol }

// read gives the next message, and answers pings and a close meanwhile.
func (w *wire) read() (OpCode, []byte, error) {
	w.reading.Lock()
	defer w.reading.Unlock()
	if w.over != nil {
		return 0, nil, w.over
	}
	opCode, payload, err := w.message()
	if err != nil {
		w.finish(err)
	}
	return opCode, payload, err
}

func (w *wire) finish(err error) {
	if w.over == nil {
		w.over = err
		close(w.ended)
	}
}

func (w *wire) message() (OpCode, []byte, error) {
	for {
		header, err := w.reader.NextFrame()
		if err == nil && header.OpCode.IsControl() {
			if err = w.control(header, w.reader); err == nil {
				err = w.reader.Discard()
			}
			if err == nil {
				continue
			}
		}
		var payload []byte
		if err == nil {
			payload, err = w.payload()
		}
		if err != nil {
			return 0, nil, w.readError(err, header)
		}
		if header.OpCode == ws.OpText && !utf8.Valid(payload) {
			return 0, nil, &protocolError{1007, errors.New("a text message that is not UTF-8")}
		}
		return OpCode(header.OpCode), payload, nil
	}
}

// payload reads a message to its end, which may take several frames.
func (w *wire) payload() ([]byte, error) {
	if !w.packed.IsCompressed() {
		return io.ReadAll(w.reader)
	}
	unpacked := wsflate.NewReader(w.reader, func(r io.Reader) wsflate.Decompressor { return flate.NewReader(r) })
	payload, err := io.ReadAll(io.LimitReader(unpacked, int64(w.limit)+1))
	switch {
	case err != nil:
		return nil, err
	case len(payload) > w.limit:
		return nil, wsutil.ErrMessageTooLarge
	}
	return payload, unpacked.Close()
}

func (w *wire) readError(err error, header ws.Header) error {
	var protocol ws.ProtocolError
	switch {
	case errors.Is(err, wsutil.ErrMessageTooLarge):
		if !w.packed.IsCompressed() {
			w.skip = header.Length
		}
		return fmt.Errorf("%w: %w", ErrTooLarge, err)
	case errors.As(err, &protocol):
		w.say(1002, "protocol error")
	case errors.Is(err, io.EOF):
		return errAbrupt
	}
	return err
}

// control takes a ping, a pong or a close.
func (w *wire) control(header ws.Header, body io.Reader) error {
	payload := make([]byte, header.Length) // the library has checked that it is short
	if _, err := io.ReadFull(body, payload); err != nil && header.Length > 0 {
		return err
	}
	switch header.OpCode {
	case ws.OpPing:
		w.tap.control(w.compile(nil, ws.NewPongFrame(payload)))
		return nil
	case ws.OpClose:
	default:
		return nil
	}
	if len(payload) == 0 {
		w.say(1005, "")
		return &CloseError{1005, "", wsutil.ClosedError{Code: ws.StatusNoStatusRcvd}}
	}
	if len(payload) == 1 {
		return ws.ProtocolError("a close frame of one byte")
	}
	code, reason := int(binary.BigEndian.Uint16(payload)), string(payload[2:])
	if err := ws.CheckCloseFrameData(ws.StatusCode(code), reason); err != nil {
		return ws.ProtocolError(err.Error())
	}
	w.say(code, reason)
	return &CloseError{code, reason, wsutil.ClosedError{Code: ws.StatusCode(code), Reason: reason}}
}

// compile makes the bytes of a frame, masked as this side has to.
func (w *wire) compile(out []byte, f ws.Frame) []byte {
	if w.side.ClientSide() {
		f.Header.Masked, f.Header.Mask = true, ws.NewMask()
	}
	head := bytes.NewBuffer(out)
	_ = ws.WriteHeader(head, f.Header) // a buffer takes everything
	out = append(head.Bytes(), f.Payload...)
	if f.Header.Masked {
		ws.Cipher(out[len(out)-len(f.Payload):], f.Header.Mask, 0)
	}
	return out
}

// packers are compressors for one message at a time.
var packers = sync.Pool{New: func() any {
	return wsflate.NewWriter(nil, func(w io.Writer) wsflate.Compressor {
		f, _ := flate.NewWriter(w, flate.BestSpeed) // the level is one that there is
		return f
	})
}}

// worthPacking is the size from which on a message is compressed.
const worthPacking = 512

// write sends a message, however long that takes: see Peer.
func (w *wire) write(opCode OpCode, payload []byte) error {
	f := ws.NewFrame(ws.OpCode(opCode), true, payload)
	if w.deflate && len(payload) >= worthPacking {
		var packed bytes.Buffer
		packer := packers.Get().(*wsflate.Writer)
		defer packers.Put(packer)
		packer.Reset(&packed)
		if _, err := packer.Write(payload); err != nil {
			return err
		}
		if err := packer.Close(); err != nil {
			return err
		}
		f.Payload, f.Header.Length, f.Header.Rsv = packed.Bytes(), int64(packed.Len()), ws.Rsv(true, false, false)
	}
	w.writing.Lock()
	defer w.writing.Unlock()
	if w.said {
		return net.ErrClosed
	}
	w.frame = w.compile(w.frame[:0], f)
	_, err := w.tap.Write(w.frame)
	if cap(w.frame) > keptBuffer {
		w.frame = nil
	}
	return err
}

// say writes a close frame, once. A message that is stuck before it does not
// hold up the end for longer than the time-out.
func (w *wire) say(code int, reason string) {
	timer := time.AfterFunc(w.timeout, w.kill)
	defer timer.Stop()
	w.writing.Lock()
	defer w.writing.Unlock()
	if w.said {
		return
	}
	w.said = true
	var body []byte
	if code != 1005 {
		body = ws.NewCloseFrameBody(ws.StatusCode(code), reason)
	}
	_, _ = w.tap.Write(w.compile(nil, ws.NewCloseFrame(body)))
}

// ping asks for a sign of life. Whether one comes is told by the tap.
func (w *wire) ping(context.Context) { w.tap.control(w.compile(nil, ws.NewPingFrame(nil))) }

// close says goodbye and waits for the answer, at most the time-out.
func (w *wire) close(code int, reason string) {
	timer := time.AfterFunc(w.timeout, w.kill)
	defer timer.Stop()
	w.say(code, reason)
	if w.reading.TryLock() {
		w.drain()
		w.reading.Unlock()
	} else {
		<-w.ended
	}
	w.kill()
}

// drain reads up to the peer's close frame. What it had sent before stays
// unread otherwise, and the system would then tell it of a broken connection.
func (w *wire) drain() {
	err := w.over
	var closed *CloseError
	if errors.As(err, &closed) {
		return
	}
	w.finish(net.ErrClosed)
	if w.skip > 0 {
		_, err = io.CopyN(io.Discard, w.source, w.skip)
	} else if errors.Is(err, ErrTooLarge) {
		err = w.reader.Discard()
	} else {
		err = nil
	}
	for err == nil {
		var header ws.Header
		if header, err = ws.ReadHeader(w.source); header.OpCode == ws.OpClose {
			return
		}
		if err == nil {
			_, err = io.CopyN(io.Discard, w.source, header.Length)
		}
	}
}

// kill ends the connection at once.
func (w *wire) kill() { _ = w.raw.Close() }

// release ends the connection at once and frees what it holds.
func (w *wire) release() {
	w.kill()
	_ = w.conn.Close()
}
