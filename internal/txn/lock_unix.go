//go:build unix && !solaris && !illumos && !aix

package txn

import (
	"errors"
	"os"
	"syscall"
)

// tryLock takes the lock unless another process has it. A file system without
// locks counts as unlocked.
func tryLock(f *os.File) bool {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	return !errors.Is(err, syscall.EWOULDBLOCK)
}
