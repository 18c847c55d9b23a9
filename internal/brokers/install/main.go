// Command install installs the brokers that the tests use with
// ASYNCAPI_IMPL_BROKERS=real, as far as they are missing.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"

	"github.com/asyncapi-impl/asyncapi-impl/internal/brokers"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := brokers.Install(ctx, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
