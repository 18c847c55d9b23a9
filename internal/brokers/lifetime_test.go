package brokers_test

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/asyncapi-impl/asyncapi-impl/internal/brokers"
)

const childMode = "ASYNCAPI_IMPL_BROKERS_TEST_CHILD"

// TestChild is the process that TestBrokersDieWithTheirProcess kills. It does
// nothing in any other.
func TestChild(t *testing.T) {
	mode := os.Getenv(childMode)
	if mode == "" {
		return
	}
	fmt.Println("addr", brokers.Mosquitto(t).Addr)
	if mode == "wait" {
		time.Sleep(time.Minute)
	}
}

func TestBrokersDieWithTheirProcess(t *testing.T) {
	t.Parallel()
	realOnly(t)
	temp := t.TempDir()
	child := func(mode string) (*exec.Cmd, string) {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestChild$")
		cmd.Env = append(os.Environ(), childMode+"="+mode, "TMPDIR="+temp)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			if addr, ok := strings.CutPrefix(lines.Text(), "addr "); ok {
				return cmd, addr
			}
		}
		t.Fatalf("the child starts no broker: %v", cmd.Wait())
		return nil, ""
	}

	killed, addr := child("wait")
	if err := killed.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := killed.Wait(); err == nil {
		t.Fatal("the child was not killed")
	}
	gone := func() bool { return !listens(t, addr) }
	for end := time.Now().Add(5 * time.Second); !gone(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the broker at %s outlives the process that started it", addr)
		}
	}

	// The next process removes what the killed one had to leave.
	ended, addr := child("end")
	if err := ended.Wait(); err != nil {
		t.Fatal(err)
	}
	if !gone() {
		t.Errorf("the broker at %s runs after the end of the tests", addr)
	}
	left, err := filepath.Glob(filepath.Join(temp, "*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestKafkaNamesTheProxyToItsClients(t *testing.T) {
	t.Parallel()
	s := brokers.Kafka(t)
	listen, upstream := s.Proxied(t)
	client := kafka.Client{Addr: kafka.TCP(upstream), Transport: &kafka.Transport{}}
	defer client.Transport.(*kafka.Transport).CloseIdleConnections()
	answer, err := client.Metadata(t.Context(), &kafka.MetadataRequest{})
	if err != nil {
		t.Fatal(err)
	}
	got := net.JoinHostPort(answer.Brokers[0].Host, strconv.Itoa(answer.Brokers[0].Port))
	if len(answer.Brokers) != 1 || got != listen {
		t.Errorf("clients are sent to %v, want %s", answer.Brokers, listen)
	}
}
