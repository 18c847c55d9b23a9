package brokers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"syscall"
)

// spawn starts a program that dies with this process, however it ends, and
// that does not see the terminal's signals: the tests decide when it ends.
func spawn(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	return cmd.Start()
}

// signal reaches the program and what it started in its process group.
func signal(pid int, sig syscall.Signal) error {
	if err := syscall.Kill(-pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("brokers: send %v to %d: %w", sig, pid, err)
	}
	return nil
}

const userSignal = syscall.SIGUSR1

func (p *process) pause() error { return p.signal(syscall.SIGSTOP) }

func (p *process) resume() error { return p.signal(syscall.SIGCONT) }

func (p *process) signal(sig syscall.Signal) error {
	if p.cmd == nil {
		return fmt.Errorf("brokers: %s does not run", p.name)
	}
	return signal(p.cmd.Process.Pid, sig)
}

// alive reports whether a process runs: one that ended and that nobody waited
// for is a zombie until then.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	// The state follows the program's name, which may hold anything.
	_, state, ok := bytes.Cut(stat[bytes.LastIndexByte(stat, ')')+1:], []byte(" "))
	return ok && state[0] != 'Z'
}

// markPort takes a name that the kernel gives to one process at a time and
// frees when that process ends.
func markPort(number int) (io.Closer, error) {
	return new(net.ListenConfig).Listen(context.Background(), "unix", fmt.Sprintf("@asyncapi-impl-port-%d", number))
}
