package std_test

import (
	"log/slog"
	"strings"
	"sync"

	driver "github.com/asyncapi-impl/asyncapi-impl/catalog/ip/std"
)

// logged keeps what the Logger is told.
type logged struct {
	mu      sync.Mutex
	builder strings.Builder
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.builder.Write(p)
}

func (l *logged) options(o *driver.Options) { o.Logger = slog.New(slog.NewTextHandler(l, nil)) }

func (l *logged) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.builder.String()
}
