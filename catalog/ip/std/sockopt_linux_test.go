package std_test

import (
	"net"
	"syscall"
	"testing"

	"github.com/asyncapi-impl/asyncapi-impl/catalog/conformance"
	"github.com/asyncapi-impl/asyncapi-impl/internal/brokers"
)

const soRcvbufForce = 33 // SO_RCVBUFFORCE

// enlarge gives a socket more room than users may have.
func enlarge(conn *net.IPConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var set error
	err = raw.Control(func(fd uintptr) {
		set = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, soRcvbufForce, 64<<20)
	})
	if err != nil {
		return err
	}
	return set
}

// TestConformanceLossless runs the checks that need a network which loses
// nothing: the loopback interface and room for all that is sent.
func TestConformanceLossless(t *testing.T) {
	mayOpen(t)
	conn, err := net.ListenIP("ip4:253", &net.IPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	err = enlarge(conn)
	conn.Close()
	if err != nil {
		if brokers.Real() {
			t.Fatal(err)
		}
		t.Skipf("a socket can't be given room for everything: %v", err)
	}
	testNative = func(c *net.IPConn) { _ = enlarge(c) }
	defer func() { testNative = nil }()
	w := wiring(false)
	w.Broker = &conformance.Broker{Name: "without loss"}
	w.Foreign = testForeign(t)
	conformance.Run(t, w)
}

// includeHeader makes a socket take the IP header from the payload.
func includeHeader(conn *net.IPConn) {
	raw, err := conn.SyscallConn()
	if err == nil {
		_ = raw.Control(func(fd uintptr) {
			_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IP, syscall.IP_HDRINCL, 1)
		})
	}
}
