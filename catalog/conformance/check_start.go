package conformance

import (
	"context"
	"errors"
	"net"
	"strings"
	"syscall"
	"time"
)

// opens tries both sides' way to a server until something fails, and gives the
// error of each.
func (t *trial) opens(s Settings) (producing, consuming error) {
	t.Helper()
	p, producing := t.newProducer(t.settings(s))
	if producing == nil {
		var pub *openPublisher
		if pub, producing = p.open(t.ctx, t.address(), Channel{}); producing == nil {
			// http reaches nobody before the first Send, which tries for Timeout.
			if t.caps.NoServer {
				producing = pub.Send(context.Background(), t.envelope(text(0)))
			}
			pub.Close()
		}
		p.Close()
	}
	if t.caps.NoServer {
		return producing, errNoConsumer
	}
	c, consuming := t.newConsumer(t.settings(s))
	if consuming == nil {
		c.Close()
	}
	return producing, consuming
}

var errNoConsumer = errors.New("the consumer dials nobody")

// deadURL gives the URL with a host on which nothing listens.
func (t *trial) deadURL() string {
	t.Helper()
	url := t.anyURL()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	t.must(err, "find a free port")
	listener.Close()
	before, _, after, err := splitURL(url)
	t.must(err, "the wiring's URL")
	return before + listener.Addr().String() + after
}

// anyURL is the server's, or that of a consumer opened for it.
func (t *trial) anyURL() string {
	t.Helper()
	if t.caps.NoServer {
		return t.open(setup{}).url
	}
	return t.d.broker.URL
}

func downAtStart(t *trial) {
	url := t.deadURL()
	producing, consuming := t.opens(Settings{URL: url, Timeout: 2 * time.Second})
	for side, err := range map[string]error{"NewProducer": producing, "NewConsumer": consuming} {
		switch {
		case err == errNoConsumer:
		case err == nil:
			t.fail("%s: expected an error, got nil", side)
		case !errors.Is(err, syscall.ECONNREFUSED) && !strings.Contains(err.Error(), "refused"):
			t.fail("%s: expected an error that tells of the refused connection, got %v", side, err)
		}
	}
}

func silentAtStart(t *trial) {
	url := t.anyURL()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	t.must(err, "listen")
	defer listener.Close()
	go func() {
		var held []net.Conn
		for {
			c, err := listener.Accept()
			if err != nil {
				for _, c := range held {
					c.Close()
				}
				return
			}
			held = append(held, c)
		}
	}()
	before, _, after, err := splitURL(url)
	t.must(err, "the wiring's URL")
	// The limit, Timeout, is checked for every call.
	producing, consuming := t.opens(Settings{URL: before + listener.Addr().String() + after, Timeout: time.Second})
	for side, err := range map[string]error{"NewProducer": producing, "NewConsumer": consuming} {
		if err == nil {
			t.fail("%s: expected an error, got nil", side)
		}
	}
}

func listenerRestart(t *trial) {
	l, f := t.faulty(setup{})
	l.subscriber.Close()
	t.must(l.consumer.Close(), "Consumer.Close")
	f.in.ended()
	time.Sleep(t.quiet)
	l.openConsumer()
	earlier := f.in.texts()
	f.stop()
	in := l.receive(accept)
	next := l.trafficFrom(f.next, in)
	next.flows("after the listening side was restarted", 20)
	next.finish()
	if !t.caps.AtMostOnce {
		in.waitFor(without(f.sent, earlier)...)
	}
}
