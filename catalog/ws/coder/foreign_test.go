package coder_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

// foreigner is a connection of another library.
type foreigner struct {
	net.Conn
	reader io.Reader
}

func foreignDial(ctx context.Context, url string) (*foreigner, error) {
	conn, buffer, _, err := ws.Dial(ctx, url)
	if err != nil {
		return nil, err
	}
	f := &foreigner{conn, conn}
	if buffer != nil { // what came together with the handshake's answer
		early, _ := io.ReadAll(io.LimitReader(buffer, int64(buffer.Buffered())))
		f.reader = io.MultiReader(bytes.NewReader(early), conn)
	}
	return f, nil
}

// Read and Write make it what wsutil takes.
func (f *foreigner) Read(p []byte) (int, error) { return f.reader.Read(p) }

// receive gives the next message, or the code that closed the connection.
func (f *foreigner) receive() (payload []byte, text bool, code int, err error) {
	payload, op, err := wsutil.ReadServerData(f)
	var closed wsutil.ClosedError
	if errors.As(err, &closed) {
		return nil, false, int(closed.Code), err
	}
	return payload, op == ws.OpText, 0, err
}

func (f *foreigner) send(payload string) error {
	return wsutil.WriteClientText(f, []byte(payload))
}

func (f *foreigner) close(code int, reason string) error {
	return wsutil.WriteClientMessage(f, ws.OpClose, ws.NewCloseFrameBody(ws.StatusCode(code), reason))
}

func foreignSend(ctx context.Context, url string, payload []byte) error {
	f, err := foreignDial(ctx, url)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := wsutil.WriteClientBinary(f, payload); err != nil {
		return err
	}
	if err := f.close(1000, ""); err != nil {
		return err
	}
	_, _, _, err = f.receive()
	if err == nil || errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// foreign is a connection of another library, closed at the test's end.
func foreign(t testing.TB, url string) *foreigner {
	t.Helper()
	f, err := foreignDial(within(t, 20*time.Second), url)
	if err != nil {
		t.Fatal(err)
	}
	f.SetDeadline(time.Now().Add(20 * time.Second))
	t.Cleanup(func() { f.Close() })
	return f
}
