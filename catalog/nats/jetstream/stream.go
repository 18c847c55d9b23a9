package jetstream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// declareStream gives the name of the stream that has a subject, and creates
// one where none has.
func (c *connection) declareStream(ctx context.Context, js jetstream.JetStream, subject string) (string, error) {
	ctx, cancel := c.bounded(ctx, context.Background())
	defer cancel()
	return answered(ctx, c, func(ctx context.Context) (string, error) {
		name, err := findStream(ctx, js, subject)
		if !errors.Is(err, jetstream.ErrStreamNotFound) || c.options.NoDeclare {
			return name, err
		}
		config := jetstream.StreamConfig{Name: streamName(subject), Subjects: []string{subject}}
		if c.options.Stream != nil {
			c.options.Stream(&config)
		}
		if _, err := js.CreateStream(ctx, config); err != nil {
			// Another client may have been faster, with settings of its own.
			if name, again := findStream(ctx, js, subject); again == nil {
				return name, nil
			}
			return "", err
		}
		return config.Name, nil
	})
}

// answered is persist for what the server's JetStream is asked. A server without
// it does not answer, and neither does one that has just started: that is
// refused when it has lasted for Options.Timeout.
func answered[T any](ctx context.Context, c *connection, ask func(context.Context) (T, error)) (T, error) {
	var since time.Time
	return persist(ctx, c, func() (T, error) {
		result, err := unbroken(ctx, c, ask)
		if !errors.Is(err, nats.ErrNoResponders) {
			since = time.Time{}
			return result, err
		}
		if since.IsZero() {
			since = time.Now()
		}
		err = fmt.Errorf("%w: %w", jetstream.ErrJetStreamNotEnabled, err)
		if time.Since(since) < c.options.Timeout {
			err = passing{err}
		}
		return result, err
	})
}

// unbroken ends a question with the connection it was asked on, as the answer
// will not come.
func unbroken[T any](ctx context.Context, c *connection, ask func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, c.options.Timeout)
	defer cancel()
	lost := c.nats.StatusChanged(nats.RECONNECTING)
	defer c.nats.RemoveStatusListener(lost)
	go func() {
		select {
		case <-lost:
			cancel()
		case <-ctx.Done():
		}
	}()
	result, err := ask(ctx)
	cancel()
	return result, err
}

func findStream(ctx context.Context, js jetstream.JetStream, subject string) (string, error) {
	lister := js.StreamNames(ctx, jetstream.WithStreamListSubject(subject))
	var names []string
	for name := range lister.Name() {
		names = append(names, name)
	}
	if err := lister.Err(); err != nil {
		return "", err
	}
	switch len(names) {
	case 0:
		return "", jetstream.ErrStreamNotFound
	case 1:
	default:
		return "", fmt.Errorf("%w: the subject is spread over the streams %s", ErrRefused, strings.Join(names, ", "))
	}
	stream, err := js.Stream(ctx, names[0])
	if err != nil {
		return "", err
	}
	subjects := stream.CachedInfo().Config.Subjects
	if !slices.ContainsFunc(subjects, func(pattern string) bool { return covers(pattern, subject) }) {
		return "", fmt.Errorf("%w: the stream %s has only a part of the subject: %s", ErrRefused, names[0], strings.Join(subjects, ", "))
	}
	return names[0], nil
}

// covers tells whether every subject that other stands for matches pattern.
func covers(pattern, other string) bool {
	tokens := strings.Split(other, ".")
	for i, want := range strings.Split(pattern, ".") {
		if want == ">" {
			return i < len(tokens)
		}
		if i >= len(tokens) || want != tokens[i] && (want != "*" || tokens[i] == ">") {
			return false
		}
		if i == strings.Count(pattern, ".") {
			return i == len(tokens)-1
		}
	}
	return false
}

// streamName makes a name of what a name may hold.
func streamName(subject string) string {
	var b strings.Builder
	for _, r := range subject {
		switch {
		case r == '.':
			b.WriteByte('_')
		case r == '-' || '0' <= r && r <= '9' || 'A' <= r && r <= 'Z' || 'a' <= r && r <= 'z':
			b.WriteRune(r)
		default:
			fmt.Fprintf(&b, "_%x_", r)
		}
	}
	return b.String()
}

// inactive is how long a Subscriber without a queue can be away: its consumer
// is then the server's to remove.
const inactive = time.Hour

// declareConsumer gives the consumer that a Subscriber reads: the queue's
// durable, or one of its own.
func (c *connection) declareConsumer(ctx context.Context, js jetstream.JetStream, stream, subject, queue string) (jetstream.Consumer, error) {
	config := jetstream.ConsumerConfig{
		Durable: queue, FilterSubject: subject, AckPolicy: jetstream.AckExplicitPolicy, MaxAckPending: c.options.MaxPending,
	}
	if queue == "" {
		_, unique, _ := strings.Cut(c.nats.NewInbox(), ".")
		config.Durable = "subscriber-" + strings.ReplaceAll(unique, ".", "-")
		config.DeliverPolicy, config.InactiveThreshold = jetstream.DeliverNewPolicy, inactive
	}
	if c.options.Consumer != nil {
		c.options.Consumer(&config)
	}
	ctx, cancel := c.bounded(ctx, context.Background())
	defer cancel()
	return answered(ctx, c, func(ctx context.Context) (jetstream.Consumer, error) {
		if queue != "" {
			consumer, err := js.Consumer(ctx, stream, config.Durable)
			if err == nil {
				return consumer, fits(consumer.CachedInfo().Config, subject)
			}
			if !errors.Is(err, jetstream.ErrConsumerNotFound) || c.options.NoDeclare {
				return nil, err
			}
		}
		return js.CreateConsumer(ctx, stream, config)
	})
}

// fits tells why an existing durable is not what the Subscriber needs.
func fits(config jetstream.ConsumerConfig, subject string) error {
	switch filters := append([]string{config.FilterSubject}, config.FilterSubjects...); {
	case !slices.Equal(filters, []string{subject}) && !slices.Equal(filters, []string{"", subject}):
		return fmt.Errorf("%w: the durable %s is for %q", ErrRefused, config.Durable, filters)
	case config.AckPolicy != jetstream.AckExplicitPolicy:
		return fmt.Errorf("%w: the durable %s has the acknowledgement policy %s", ErrRefused, config.Durable, config.AckPolicy)
	case config.DeliverSubject != "":
		return fmt.Errorf("%w: the durable %s is a push consumer", ErrRefused, config.Durable)
	}
	return nil
}
