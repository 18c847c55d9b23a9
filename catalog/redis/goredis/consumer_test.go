package goredis_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	driver "github.com/asyncapi-impl/asyncapi-impl/catalog/redis/goredis"
	"github.com/asyncapi-impl/asyncapi-impl/internal/brokers"
	"github.com/asyncapi-impl/asyncapi-impl/internal/redistest"
)

func TestSubscriberIsRefused(t *testing.T) {
	b := testBroker(t)
	c := consumer(t, b.URL, nil)
	for _, bindings := range []*driver.ChannelBindings{nil, {Pattern: true}} {
		if _, err := c.Subscriber(t.Context(), b.RefusedAddress, bindings); !errors.Is(err, driver.ErrUnauthorized) {
			t.Errorf("got %v", err)
		}
	}
	if _, err := c.Subscriber(t.Context(), "", nil); err == nil {
		t.Error("an empty address was accepted")
	}
}

// What the library's Go channel would drop after a minute waits at the server.
func TestNothingIsDroppedWhileTheHandlerIsBusy(t *testing.T) {
	url, channel := redistest.URL(t), newChannel()
	pub := publisher(t, producer(t, url, nil), channel)
	sub := subscriber(t, consumer(t, url, nil), channel, nil)
	const n = 20_000
	ctx, cancel := context.WithCancel(within(t, time.Minute))
	defer cancel()
	entered, release := make(chan struct{}), make(chan struct{})
	next := 0
	done := make(chan error, 1)
	go func() {
		done <- sub.Receive(ctx, func(_ context.Context, e *driver.EnvelopeIn) error {
			if next == 0 {
				close(entered)
				<-release
			}
			if want := fmt.Sprint(next); string(e.Payload()) != want {
				t.Errorf("got %s, expected %s", e.Payload(), want)
				cancel()
			}
			if next++; next == n {
				cancel()
			}
			return nil
		})
	}()
	var all []*driver.EnvelopeOut
	for i := range n {
		all = append(all, envelope(fmt.Sprint(i)))
	}
	send(t, pub, "0")
	<-entered
	if err := pub.Send(ctx, all[1:]...); err != nil {
		t.Fatal(err)
	}
	close(release)
	if err := <-done; !errors.Is(err, context.Canceled) || next != n {
		t.Errorf("%d of %d messages came: %v", next, n, err)
	}
}

// A subscriber that the server cuts off because it is slow hears of it.
func TestServerCutsOffTheSlow(t *testing.T) {
	if !brokers.Real() {
		t.Skip("miniredis has no client-output-buffer-limit")
	}
	s := brokers.StartRedis(t)
	var log records
	p := producer(t, s.URL, nil)
	if err := p.Native().ConfigSet(t.Context(), "client-output-buffer-limit", "pubsub 4mb 4mb 1").Err(); err != nil {
		t.Fatal(err)
	}
	pub := publisher(t, p, "slow")
	sub := subscriber(t, consumer(t, s.URL, &driver.Options{Logger: log.logger()}), "slow", nil)
	const n = 640
	for range n {
		send(t, pub, strings.Repeat("x", 64<<10))
	}
	ctx, cancel := context.WithCancel(within(t, 20*time.Second))
	defer cancel()
	go func() {
		for sleepUntil(ctx, func() bool { return log.count("answers again") > 0 }) {
			_ = pub.Send(ctx, envelope("end"))
			return
		}
	}()
	came := 0
	_ = sub.Receive(ctx, func(_ context.Context, e *driver.EnvelopeIn) error {
		if came++; string(e.Payload()) == "end" {
			cancel()
		}
		return nil
	})
	if came >= n || log.count("the server fails") != 1 {
		t.Errorf("%d messages came, logged: %v", came, log.texts)
	}
}

func sleepUntil(ctx context.Context, condition func() bool) bool {
	for ctx.Err() == nil {
		if condition() {
			return true
		}
		time.Sleep(5 * time.Millisecond)
	}
	return false
}

func TestOutageIsLoggedOnce(t *testing.T) {
	_, direct := redistest.Embedded(t)
	cut, url := proxy(t, direct)
	var log records
	c := consumer(t, url, &driver.Options{Logger: log.logger(), MaxBackoff: 20 * time.Millisecond, MinBackoff: time.Millisecond})
	channel := newChannel()
	subs := []*driver.Subscriber{subscriber(t, c, channel, nil), subscriber(t, c, channel, nil)}
	before := cut.Accepted()
	cut.Refuse()
	cut.Reset()
	ctx := within(t, 20*time.Second)
	if !sleepUntil(ctx, func() bool { return cut.Accepted() >= before+6 || log.count("the server fails") > 0 }) {
		t.Fatal("no outage")
	}
	time.Sleep(100 * time.Millisecond) // for more attempts, of which nothing shall be heard
	cut.Heal()
	if !sleepUntil(ctx, func() bool { return log.count("answers again") > 0 }) {
		t.Fatal("no end of the outage was logged")
	}
	send(t, publisher(t, producer(t, direct, nil), channel), "x")
	for _, sub := range subs {
		receive(t, sub, 1)
	}
	if log.count("the server fails") != 1 || log.count("answers again") != 1 {
		t.Errorf("logged: %v", log.texts)
	}
}

// After ErrUnauthorized the next Receive subscribes anew.
func TestReceiveAfterCredentialsAreRestored(t *testing.T) {
	m, direct := redistest.Embedded(t)
	m.RequireAuth("before")
	cut, url := proxy(t, direct)
	channel := newChannel()
	sub := subscriber(t, consumer(t, strings.Replace(url, "//", "//:before@", 1), nil), channel, nil)
	m.RequireAuth("after")
	cut.Reset()
	for range 2 {
		if err := sub.Receive(within(t, 20*time.Second), nil); !errors.Is(err, driver.ErrUnauthorized) {
			t.Fatalf("got %v", err)
		}
	}
	m.RequireAuth("before")
	go func() {
		ctx := within(t, 20*time.Second)
		sleepUntil(ctx, func() bool { return m.PubSubNumSub(channel)[channel] > 0 })
		m.Publish(channel, "x")
	}()
	receive(t, sub, 1)
}

func TestFailedAndRejectedMessagesAreLogged(t *testing.T) {
	url, channel := redistest.URL(t), newChannel()
	var log records
	sub := subscriber(t, consumer(t, url, &driver.Options{Logger: log.logger()}), channel, nil)
	send(t, publisher(t, producer(t, url, nil), channel), "1", "2", "3")
	ctx, cancel := context.WithCancel(within(t, 20*time.Second))
	defer cancel()
	n := 0
	_ = sub.Receive(ctx, func(context.Context, *driver.EnvelopeIn) error {
		switch n++; n {
		case 1:
			return errors.New("not today")
		case 2:
			return driver.Reject(errors.New("never"))
		}
		cancel()
		return nil
	})
	if n != 3 || log.count("handler failed, the message is lost") != 1 || log.count("message rejected") != 1 {
		t.Errorf("%d handlers, logged: %v", n, log.texts)
	}
}

// The library asserts the types of the answers to a subscriber: a server that
// sends others must not end the program.
func TestGarbageEndsTheConnectionOnly(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	garbage := []string{"*1\r\n:1\r\n", "*3\r\n$7\r\nmessage\r\n:1\r\n:2\r\n", "*0\r\n", "$-1\r\n", ":5\r\n", "-ERR what\r\n", "*1\r\n*-1\r\n", "nonsense\r\n"}
	subscriptions := make(chan string, len(garbage)+1)
	for _, g := range garbage {
		subscriptions <- g
	}
	subscriptions <- "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$4\r\ngood\r\n"
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go serve(conn, subscriptions)
		}
	}()
	sub := subscriber(t, consumer(t, listener.Addr().String(), &driver.Options{MinBackoff: time.Millisecond, MaxBackoff: 2 * time.Millisecond}), "a", nil)
	ctx, cancel := context.WithCancel(within(t, 20*time.Second))
	defer cancel()
	var got []string
	for ctx.Err() == nil {
		err = sub.Receive(ctx, func(_ context.Context, e *driver.EnvelopeIn) error {
			got = append(got, string(e.Payload()))
			cancel()
			return nil
		})
		if ctx.Err() == nil && !errors.Is(err, driver.ErrRefused) {
			t.Fatalf("Receive ended with %v", err)
		}
	}
	if len(got) != 1 || got[0] != "good" {
		t.Errorf("got %q, %v", got, err)
	}
}

// serve answers as a server of few words.
func serve(conn net.Conn, subscriptions <-chan string) {
	defer conn.Close()
	lines := bufio.NewScanner(conn)
	for lines.Scan() {
		switch strings.ToLower(lines.Text()) {
		case "hello":
			fmt.Fprint(conn, "-ERR unknown command\r\n")
		case "ping":
			fmt.Fprint(conn, "+PONG\r\n")
		case "subscribe":
			fmt.Fprint(conn, "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n"+<-subscriptions)
		}
	}
}
