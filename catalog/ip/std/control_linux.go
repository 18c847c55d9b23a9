package std

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"syscall"
)

// ask makes the system tell, with each datagram, how many it has dropped, and
// of IPv6 what was in the header.
func ask(conn *net.IPConn, six bool) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var errs error
	set := func(fd uintptr, level, option int) {
		errs = errors.Join(errs, syscall.SetsockoptInt(int(fd), level, option, 1))
	}
	err = raw.Control(func(fd uintptr) {
		set(fd, syscall.SOL_SOCKET, syscall.SO_RXQ_OVFL)
		if six {
			for _, option := range []int{syscall.IPV6_RECVPKTINFO, syscall.IPV6_RECVHOPLIMIT, syscall.IPV6_RECVTCLASS} {
				set(fd, syscall.IPPROTO_IPV6, option)
			}
		}
	})
	return errors.Join(errs, err)
}

// pending is what hosts have answered to what was sent. Unlike with UDP, sending
// on a raw socket does not give it.
func pending(conn *net.IPConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var code int
	var failed error
	err = raw.Control(func(fd uintptr) {
		code, failed = syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_ERROR)
	})
	if err == nil && failed == nil && code != 0 {
		err = syscall.Errno(code)
	}
	return errors.Join(err, failed)
}

// dropped reads how many it has dropped, a number that wraps around.
func dropped(control []byte) (count uint32, ok bool) {
	each(control, func(level, kind int32, data []byte) {
		if level == syscall.SOL_SOCKET && kind == syscall.SO_RXQ_OVFL && len(data) >= 4 {
			count, ok = binary.NativeEndian.Uint32(data), true
		}
	})
	return count, ok
}

// read takes what was in an IPv6 header from the control data.
func (h *IPHeader) read(control []byte) {
	each(control, func(level, kind int32, data []byte) {
		if level != syscall.IPPROTO_IPV6 {
			return
		}
		switch {
		case kind == syscall.IPV6_PKTINFO && len(data) >= 16:
			h.Dst = netip.AddrFrom16([16]byte(data[:16]))
		case kind == syscall.IPV6_HOPLIMIT && len(data) >= 4:
			h.TTL = int(binary.NativeEndian.Uint32(data))
		case kind == syscall.IPV6_TCLASS && len(data) >= 4:
			h.TOS = int(binary.NativeEndian.Uint32(data))
		}
	})
}

func each(control []byte, do func(level, kind int32, data []byte)) {
	messages, err := syscall.ParseSocketControlMessage(control)
	if err != nil {
		return
	}
	for _, m := range messages {
		do(m.Header.Level, m.Header.Type, m.Data)
	}
}
