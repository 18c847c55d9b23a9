package txn

import (
	"context"
	"errors"
	"os"
	"time"
)

// ErrBusy means that another process kept the lock for as long as Lock waits.
var ErrBusy = errors.New("locked by another process")

const (
	lockWait = 5 * time.Second
	lockPoll = 20 * time.Millisecond
)

// Lock makes the caller the only one that changes files below dir. The lock is
// the directory's own: it leaves no file behind and dies with the process.
func Lock(ctx context.Context, dir string) (unlock func(), err error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, lockWait, ErrBusy)
	defer cancel()
	for {
		if tryLock(f) {
			return func() { _ = f.Close() }, nil
		}
		select {
		case <-ctx.Done():
			_ = f.Close()
			return nil, context.Cause(ctx)
		case <-time.After(lockPoll):
		}
	}
}
