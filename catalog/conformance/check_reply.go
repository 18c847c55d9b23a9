package conformance

import (
	"context"
	"errors"
	"sync"
	"time"
)

var replyChecks = []check{
	{name: "request-reply", topic: "replies", rows: []int{53},
		promise: "Each Request gets the reply to it, also with many at once.",
		needs:   []need{requests, lossless},
		run:     requestReply},
	{name: "request-deadline", topic: "replies", rows: []int{53},
		promise: "A Request that nobody answers returns when its ctx's deadline passes, and the next one works.",
		needs:   []need{requests, lossless},
		run:     requestDeadline},
}

func (t *trial) answer(d delivery) error {
	return t.d.reply(t.ctx, d.in, t.envelope("reply to "+d.text))
}

// ask sends a request and gives the reply's payload.
func (l *link) ask(ctx context.Context, payload string) (string, error) {
	var answer string
	err := l.t.run("Request", ctx, l.publisher.timeout, func() error {
		in, err := l.t.d.request(ctx, l.publisher.p, l.t.envelope(payload))
		if err == nil {
			answer = string(in.Payload())
		}
		return err
	})
	return answer, err
}

func requestReply(t *trial) {
	const n = 20
	ctx, cancel := context.WithTimeout(t.ctx, t.arrive)
	defer cancel()
	l := t.open(setup{Settings: Settings{Concurrency: 4}})
	l.receive(t.answer)
	var group sync.WaitGroup
	answers, errs := make([]string, n), make([]error, n)
	for i := 0; i < n; i++ {
		group.Add(1)
		go func(i int) {
			defer group.Done()
			answers[i], errs[i] = l.ask(ctx, text(i))
		}(i)
	}
	group.Wait()
	t.must(errors.Join(errs...), "Request")
	for i, answer := range answers {
		if want := "reply to " + text(i); answer != want {
			t.fail("expected %q, got %q", want, answer)
		}
	}
}

func requestDeadline(t *trial) {
	release := t.gate()
	l := t.open(setup{Settings: Settings{Concurrency: 2}})
	l.receive(func(d delivery) error {
		if number(d.text) == 0 {
			release.wait()
			return nil
		}
		return t.answer(d)
	})
	ctx, cancel := context.WithTimeout(t.ctx, 500*time.Millisecond)
	defer cancel()
	_, err := l.ask(ctx, text(0))
	release.open()
	if !errors.Is(err, context.DeadlineExceeded) {
		t.fail("expected context.DeadlineExceeded from Request, got %s", describe(err))
	}
	ctx, cancel = context.WithTimeout(t.ctx, t.arrive)
	defer cancel()
	answer, err := l.ask(ctx, text(1))
	t.must(err, "the next Request")
	if want := "reply to " + text(1); answer != want {
		t.fail("expected %q, got %q", want, answer)
	}
}
