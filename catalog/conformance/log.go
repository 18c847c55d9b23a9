package conformance

import (
	"context"
	"log/slog"
	"strings"
	"sync"
)

// journal keeps what a driver tells its Logger.
type journal struct {
	mu      sync.Mutex
	records []string
}

func (j *journal) logger() *slog.Logger { return slog.New(j) }

func (j *journal) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelInfo }
func (j *journal) WithAttrs([]slog.Attr) slog.Handler               { return j }
func (j *journal) WithGroup(string) slog.Handler                    { return j }

func (j *journal) Handle(_ context.Context, r slog.Record) error {
	line := r.Level.String() + " " + r.Message
	r.Attrs(func(a slog.Attr) bool {
		line += " " + a.String()
		return true
	})
	j.mu.Lock()
	defer j.mu.Unlock()
	j.records = append(j.records, line)
	return nil
}

func (j *journal) count() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.records)
}

func (j *journal) text() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return "\n\t" + strings.Join(j.records, "\n\t")
}
