package brokers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"
)

// A process is one program of a broker.
//
// No goroutine waits for it: tests that count goroutines run beside it.
type process struct {
	name  string
	argv  []string
	env   []string                    // beside the environment of the test
	ready func(context.Context) error // nil when the program answers
	save  func(pid int)               // before SIGKILL, where it is needed

	dir, log string
	cmd      *exec.Cmd // nil when it doesn't run
}

func (p *process) start(ctx context.Context) error {
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	// The program outlives ctx, which is for its start.
	cmd := exec.CommandContext(context.Background(), p.argv[0], p.argv[1:]...)
	cmd.Dir = p.dir
	cmd.Env = append(os.Environ(), p.env...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := spawn(cmd); err != nil {
		return err
	}
	p.cmd = cmd
	return p.await(ctx)
}

// await returns when the program answers, or has ended.
func (p *process) await(ctx context.Context) error {
	for {
		attempt, cancel := context.WithTimeout(ctx, 5*time.Second)
		err := p.ready(attempt)
		cancel()
		if err == nil {
			return nil
		}
		if !alive(p.cmd.Process.Pid) {
			_ = p.cmd.Wait() // its state says more than its error, and in every case
			state := p.cmd.ProcessState
			p.cmd = nil
			return fmt.Errorf("%s ended by itself: %s", p.name, state)
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("%s does not answer: %w", p.name, err)
		}
	}
}

// end sends SIGTERM, and SIGKILL after grace; with no grace SIGKILL at once.
func (p *process) end(grace time.Duration) error {
	if p.cmd == nil {
		return nil
	}
	pid := p.cmd.Process.Pid
	if grace > 0 {
		// A program that is stopped would not see SIGTERM.
		err := errors.Join(signal(pid, syscall.SIGTERM), p.resume())
		if err != nil {
			return err
		}
		defer time.AfterFunc(grace, func() { _ = signal(pid, syscall.SIGKILL) }).Stop()
	} else {
		if p.save != nil {
			p.save(pid)
		}
		if err := signal(pid, syscall.SIGKILL); err != nil {
			return err
		}
	}
	err := p.cmd.Wait()
	p.cmd = nil
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return nil // how it ended is not the question
	}
	return err
}

// run starts a program that prepares a broker, and waits for its end.
func (s *Server) run(ctx context.Context, argv ...string) error {
	out, err := exec.CommandContext(ctx, argv[0], argv[1:]...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w\n%s", err, lastLines(out, 40))
	}
	return nil
}

// A port is one that no other test process takes while this one holds it,
// whether or not something listens there.
type port struct {
	number int
	mark   io.Closer
}

func (p *port) addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(p.number)) }

func (p *port) release() { _ = p.mark.Close() }

// reservePort finds a free port below the range from which Linux takes ports
// for outgoing connections. In that range, while a broker is down, a client
// that tries again and again could get the broker's port as its own.
func reservePort() (*port, error) {
	for range 1000 {
		p := &port{number: 12000 + rand.IntN(20000)}
		var err error
		if p.mark, err = markPort(p.number); err != nil {
			continue
		}
		l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", p.addr())
		if err != nil {
			p.release()
			continue
		}
		return p, l.Close()
	}
	return nil, errors.New("brokers: no free port on 127.0.0.1")
}

// dialAll is nil when something listens on each address.
func dialAll(ctx context.Context, addrs ...string) error {
	for _, addr := range addrs {
		c, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
		if err != nil {
			return err
		}
		if err := c.Close(); err != nil {
			return err
		}
	}
	return nil
}

// exchange sends hello and gives the first n bytes of the answer.
func exchange(ctx context.Context, addr, hello string, n int) (string, error) {
	c, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return "", err
	}
	return exchangeOn(ctx, c, hello, n)
}

// exchangeOn is exchange on a connection, which it closes.
func exchangeOn(ctx context.Context, c net.Conn, hello string, n int) (_ string, err error) {
	defer func() { _ = c.Close() }()
	if deadline, ok := ctx.Deadline(); ok {
		if err := c.SetDeadline(deadline); err != nil {
			return "", err
		}
	}
	if _, err := io.WriteString(c, hello); err != nil {
		return "", err
	}
	answer := make([]byte, n)
	_, err = io.ReadFull(c, answer)
	return string(answer), err
}

func tail(name string, lines int) []byte {
	data, err := os.ReadFile(name)
	if err != nil {
		return []byte(err.Error())
	}
	return lastLines(data, lines)
}

func lastLines(data []byte, n int) []byte {
	data = bytes.TrimRight(data, "\n")
	at := len(data)
	for range n {
		at = bytes.LastIndexByte(data[:at], '\n')
		if at < 0 {
			return data
		}
	}
	return data[at+1:]
}
