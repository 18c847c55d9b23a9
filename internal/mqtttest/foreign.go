package mqtttest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/asyncapi-impl/asyncapi-impl/catalog/conformance"
)

// commands are Mosquitto's, made of its own C library.
func commands(version int) *conformance.Foreign {
	arguments := func(url, address string) []string {
		host, port, _ := net.SplitHostPort(strings.TrimPrefix(url, "mqtt://"))
		return []string{"-h", host, "-p", port, "-V", map[int]string{4: "mqttv311", 5: "mqttv5"}[version], "-q", "1", "-t", address}
	}
	return &conformance.Foreign{
		Send: func(ctx context.Context, url, address string, payload []byte, headers map[string]string) error {
			args := append(arguments(url, address), "-s")
			for key, value := range headers {
				args = append(args, "-D", "publish", "user-property", key, value)
			}
			cmd := exec.CommandContext(ctx, "mosquitto_pub", args...)
			cmd.Stdin = bytes.NewReader(payload)
			if out, err := cmd.CombinedOutput(); err != nil {
				return fmt.Errorf("mosquitto_pub: %w: %s", err, out)
			}
			return nil
		},
		Receive: func(ctx context.Context, url, address string, ready func()) ([]byte, map[string]string, error) {
			// Without a terminal it would keep to itself that it has subscribed.
			args := append([]string{"-oL", "mosquitto_sub"}, arguments(url, address)...)
			cmd := exec.CommandContext(ctx, "stdbuf", append(args, "-C", "1", "-d", "-F", "received %x %P")...)
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			out, err := cmd.StdoutPipe()
			if err != nil {
				return nil, nil, err
			}
			if err := cmd.Start(); err != nil {
				return nil, nil, err
			}
			var payload []byte
			headers := map[string]string{}
			for lines := bufio.NewScanner(out); lines.Scan(); {
				if strings.Contains(lines.Text(), "received SUBACK") {
					ready()
				}
				if found, ok := strings.CutPrefix(lines.Text(), "received "); ok {
					encoded, properties, _ := strings.Cut(found, " ")
					if payload, err = hex.DecodeString(encoded); err != nil {
						return nil, nil, err
					}
					for _, p := range strings.Fields(properties) {
						key, value, _ := strings.Cut(p, ":")
						headers[key] = value
					}
				}
			}
			if err := cmd.Wait(); err != nil {
				return nil, nil, fmt.Errorf("mosquitto_sub: %w: %s", err, stderr.String())
			}
			return payload, headers, nil
		},
	}
}

var inlineID atomic.Int64

// inline is the client that is built into the embedded broker.
func (s *Server) inline(version int) *conformance.Foreign {
	return &conformance.Foreign{
		Send: func(_ context.Context, _, address string, payload []byte, headers map[string]string) error {
			cl := s.NewClient(nil, "local", "inline-"+strconv.FormatInt(inlineID.Add(1), 10), true)
			cl.Properties.ProtocolVersion = byte(version)
			p := packets.Packet{
				ProtocolVersion: byte(version), FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: 1},
				TopicName: address, Payload: payload, PacketID: 1,
			}
			for key, value := range headers {
				p.Properties.User = append(p.Properties.User, packets.UserProperty{Key: key, Val: value})
			}
			return s.InjectPacket(cl, p)
		},
		Receive: func(ctx context.Context, _, address string, ready func()) ([]byte, map[string]string, error) {
			received := make(chan packets.Packet, 1)
			id := int(inlineID.Add(1))
			err := s.Subscribe(address, id, func(_ *mqtt.Client, _ packets.Subscription, p packets.Packet) {
				select {
				case received <- p:
				default:
				}
			})
			if err != nil {
				return nil, nil, err
			}
			defer s.Unsubscribe(address, id)
			ready()
			select {
			case p := <-received:
				headers := map[string]string{}
				for _, u := range p.Properties.User {
					headers[u.Key] = u.Val
				}
				return p.Payload, headers, nil
			case <-ctx.Done():
				return nil, nil, ctx.Err()
			}
		},
	}
}
