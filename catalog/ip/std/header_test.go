package std

import (
	"math/rand/v2"
	"net"
	"net/netip"
	"testing"
)

// TestParseAnything: nothing that comes makes it panic, and what it takes for a
// header is no longer than what came.
func TestParseAnything(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 100_000 {
		data, control := make([]byte, random.IntN(80)), make([]byte, random.IntN(64))
		for _, b := range [][]byte{data, control} {
			for i := range b {
				b[i] = byte(random.Uint32())
			}
		}
		if len(data) > 0 && random.IntN(2) == 0 {
			data[0] = 0x40 | data[0]&0x0f
		}
		_, _ = dropped(control)
		for _, from := range []*net.IPAddr{{IP: net.IPv4(127, 0, 0, 1)}, {IP: net.IPv6loopback}, {}} {
			h, payload, err := parse(data, from, control, 253)
			if err == nil && h.Version == 4 && len(payload)+len(h.Options)+20 != len(data) {
				t.Fatalf("%x: %+v and %x", data, h, payload)
			}
		}
	}
}

// TestOtherAddress: what came before the socket had its address is passed over.
func TestOtherAddress(t *testing.T) {
	own, other := netip.MustParseAddr("127.1.2.3"), netip.MustParseAddr("127.4.5.6")
	bound, all := &Consumer{local: own}, &Consumer{}
	if bound.passesOver(IPHeader{Dst: own}) || !bound.passesOver(IPHeader{Dst: other}) || bound.passesOver(IPHeader{}) || all.passesOver(IPHeader{Dst: other}) {
		t.Error("the datagrams to the Consumer's address, and those alone, are for it")
	}
}
