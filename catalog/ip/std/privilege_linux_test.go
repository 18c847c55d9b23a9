package std_test

import (
	"errors"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	driver "github.com/asyncapi-impl/asyncapi-impl/catalog/ip/std"
)

// TestWithoutPrivilege: who may not open raw sockets is told what to do.
func TestWithoutPrivilege(t *testing.T) {
	type result struct{ receiving, sending error }
	results := make(chan result)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		if err := dropPrivileges(); err != nil {
			results <- result{err, err}
			return
		}
		var r result
		_, r.receiving = driver.NewConsumer("127.0.0.1", nil, nil)
		p, err := driver.NewProducer("127.0.0.1", nil, nil)
		if err != nil {
			r.sending = err
		} else {
			_, r.sending = p.Publisher(within(t, 1e9), "out", nil)
		}
		results <- r
	}()
	r := <-results
	for _, err := range []error{r.receiving, r.sending} {
		if !errors.Is(err, driver.ErrUnauthorized) || !errors.Is(err, syscall.EPERM) || !strings.Contains(err.Error(), "CAP_NET_RAW") {
			t.Errorf("got %v", err)
		}
	}
}

// dropPrivileges takes this thread's capabilities, all of them (capset(2)).
func dropPrivileges() error {
	header := struct {
		version uint32
		pid     int32
	}{version: 0x20080522}
	var none [2]struct{ effective, permitted, inheritable uint32 }
	_, _, errno := syscall.RawSyscall(syscall.SYS_CAPSET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&none)), 0)
	if errno != 0 {
		return errno
	}
	return nil
}
