package kafkatest

import (
	"context"
	_ "embed"
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/asyncapi-impl/asyncapi-impl/internal/brokers"
)

//go:embed Client.java
var client []byte

// Record is one of Kafka's own client.
type Record struct {
	Partition  int
	Key, Value []byte
	Headers    [][2]string // name and value
}

// JavaSend sends records, each with one header, with Kafka's own client.
func JavaSend(t testing.TB, url, topic string, records ...Record) {
	t.Helper()
	var args []string
	for _, r := range records {
		header := encode([]byte(r.Headers[0][0])) + ":" + encode([]byte(r.Headers[0][1]))
		args = append(args, encode(r.Key), encode(r.Value), header)
	}
	java(t, append([]string{"send", strings.Join(seeds(url), ","), topic}, args...)...)
}

// JavaReceive reads a topic's first n records with Kafka's own client.
func JavaReceive(t testing.TB, url, topic string, n int) []Record {
	t.Helper()
	var records []Record
	for line := range strings.Lines(java(t, "receive", strings.Join(seeds(url), ","), topic, fmt.Sprint(n))) {
		words := strings.Fields(line)
		var r Record
		if _, err := fmt.Sscan(words[0], &r.Partition); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		r.Key, r.Value = decode(t, words[1]), decode(t, words[2])
		for _, header := range words[3:] {
			name, value, _ := strings.Cut(header, ":")
			r.Headers = append(r.Headers, [2]string{string(decode(t, name)), string(decode(t, value))})
		}
		records = append(records, r)
	}
	return records
}

// java runs the program from its source.
func java(t testing.TB, args ...string) string {
	t.Helper()
	jars, err := brokers.KafkaJars()
	if err != nil {
		t.Fatal(err)
	}
	source := filepath.Join(t.TempDir(), "Client.java")
	if err := os.WriteFile(source, client, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "java", append([]string{"-XX:TieredStopAtLevel=1", "-cp", filepath.Join(jars, "*"), source}, args...)...)
	var log strings.Builder
	cmd.Stderr = &log
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("java: %v\n%s\n%s", err, out, &log)
	}
	var lines []string
	for line := range strings.Lines(string(out)) {
		// What is not a record is the logger's.
		if words := strings.Fields(line); len(words) > 2 && strings.Trim(words[0], "0123456789") == "" {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}

func encode(data []byte) string {
	if data == nil {
		return "-"
	}
	return base64.StdEncoding.EncodeToString(data)
}

func decode(t testing.TB, text string) []byte {
	t.Helper()
	if text == "-" {
		return nil
	}
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
