package std

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
)

// maxHeader is the longest header of an IPv4 datagram.
const maxHeader = 60

// IPHeader is the header of a received datagram. Of IPv6 the system gives the
// parts that do not name IPv4 below, on Linux; elsewhere Src and Protocol alone.
type IPHeader struct {
	Version  int // 4 or 6
	Protocol int
	TTL      int // the hop limit
	TOS      int // the traffic class
	Src, Dst netip.Addr
	ID       int    // IPv4
	Options  []byte // IPv4
}

var errHeader = errors.New("the header is malformed")

// parse separates a datagram from its header. Of IPv4 the system gives both, of
// IPv6 the payload with control data.
func parse(data []byte, from *net.IPAddr, control []byte, protocol int) (IPHeader, []byte, error) {
	src, ok := netip.AddrFromSlice(from.IP)
	if !ok {
		return IPHeader{}, nil, errHeader
	}
	src = src.Unmap().WithZone(from.Zone)
	if src.Is6() {
		h := IPHeader{Version: 6, Protocol: protocol, Src: src}
		h.read(control)
		return h, data, nil
	}
	if len(data) < 20 || data[0]>>4 != 4 || len(data) < headerLength(data) || headerLength(data) < 20 {
		return IPHeader{}, nil, errHeader
	}
	end := headerLength(data)
	return IPHeader{
		Version: 4, Protocol: int(data[9]), TTL: int(data[8]), TOS: int(data[1]),
		Src: src, Dst: netip.AddrFrom4([4]byte(data[16:20])),
		ID: int(binary.BigEndian.Uint16(data[4:])), Options: bytes.Clone(data[20:end]),
	}, data[end:], nil
}

func headerLength(data []byte) int { return int(data[0]&0x0f) * 4 }
