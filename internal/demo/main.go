// Command demo is the README's session: it makes a fresh module, ejects
// kafka/segmentio into it and runs a program that uses the ejected package
// against a Kafka broker which lives in this process.
package main

import (
	"context"
	_ "embed"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/twmb/franz-go/pkg/kfake"
)

//go:embed program.txt
var program []byte

func main() {
	log.SetFlags(0)
	if err := run(context.Background(), os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, out io.Writer) error {
	broker, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.AllowAutoTopicCreation())
	if err != nil {
		return err
	}
	defer broker.Close()
	dir, err := os.MkdirTemp("", "demo")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)

	tool := filepath.Join(dir, "bin", "asyncapi-impl")
	if text, err := exec.CommandContext(ctx, "go", "build", "-o", tool, "./cmd/asyncapi-impl").CombinedOutput(); err != nil {
		return fmt.Errorf("run this from the repository's root: %w\n%s", err, text)
	}
	app := filepath.Join(dir, "app")
	if err := os.Mkdir(app, 0o755); err != nil {
		return err
	}
	shell := func(line string) error {
		fmt.Fprintln(out, "$", line)
		args := strings.Fields(line)
		if args[0] == "asyncapi-impl" {
			args[0] = tool
		}
		cmd := exec.CommandContext(ctx, args[0], args[1:]...)
		cmd.Dir, cmd.Stdout, cmd.Stderr = app, out, out
		cmd.Env = append(os.Environ(), "GOWORK=off")
		return cmd.Run()
	}
	for _, line := range []string{
		"go mod init example.com/app",
		"asyncapi-impl eject kafka/segmentio ./impl",
		"go get ./impl/kafka",
	} {
		if err := shell(line); err != nil {
			return err
		}
	}
	fmt.Fprintf(out, "$ cat main.go\n%s", program)
	if err := os.WriteFile(filepath.Join(app, "main.go"), program, 0o644); err != nil {
		return err
	}
	return shell("go run . " + strings.Join(broker.ListenAddrs(), ","))
}
