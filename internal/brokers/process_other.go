//go:build !linux

package brokers

import (
	"errors"
	"io"
	"os/exec"
	"syscall"
)

// Only Linux ends a child process together with its parent, whichever way the
// parent ends; a broker must not outlive the tests.
var errLinuxOnly = errors.New("brokers: the real brokers run on Linux only")

const userSignal = syscall.Signal(0)

func spawn(*exec.Cmd) error { return errLinuxOnly }

func signal(int, syscall.Signal) error { return errLinuxOnly }

func (p *process) pause() error { return errLinuxOnly }

func (p *process) resume() error { return errLinuxOnly }

func alive(int) bool { return true }

func markPort(int) (io.Closer, error) { return io.NopCloser(nil), nil }
