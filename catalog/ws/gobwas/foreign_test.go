package gobwas_test

import (
	"context"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// foreigner is a connection of another library.
type foreigner struct{ *websocket.Conn }

func foreignDial(ctx context.Context, url string) (*foreigner, error) {
	conn, _, err := websocket.Dial(ctx, url, nil) //nolint:bodyclose // the library closes it
	if err != nil {
		return nil, err
	}
	conn.SetReadLimit(1 << 30)
	return &foreigner{conn}, nil
}

// receive gives the next message, or the code that closed the connection.
func (f *foreigner) receive() (payload []byte, text bool, code int, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	kind, payload, err := f.Read(ctx)
	return payload, kind == websocket.MessageText, max(0, int(websocket.CloseStatus(err))), err
}

func (f *foreigner) send(payload string) error {
	return f.Write(context.Background(), websocket.MessageText, []byte(payload))
}

// close begins to close the connection; receive gives the answer.
func (f *foreigner) close(code int, reason string) error {
	go f.Close(websocket.StatusCode(code), reason)
	return nil
}

func foreignSend(ctx context.Context, url string, payload []byte) error {
	f, err := foreignDial(ctx, url)
	if err != nil {
		return err
	}
	if err := f.Write(ctx, websocket.MessageBinary, payload); err != nil {
		return err
	}
	return f.Close(websocket.StatusNormalClosure, "")
}

// foreign is a connection of another library, closed at the test's end.
func foreign(t testing.TB, url string) *foreigner {
	t.Helper()
	f, err := foreignDial(within(t, 20*time.Second), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.CloseNow() })
	return f
}
