package conformance

import (
	"context"
	"errors"
	"time"
)

var serverChecks = []check{
	{name: "server-killed", topic: "faults", rows: []int{39},
		promise: "When the server is killed and comes back both sides carry on by themselves and nothing confirmed is lost.",
		needs:   []need{killable}, serial: true,
		run: serverKilled},
	{name: "server-killed-idle", topic: "faults", rows: []int{39},
		promise: "A subscriber that was idle while the server was restarted gets what is sent afterwards.",
		needs:   []need{killable}, serial: true,
		run: serverKilledIdle},
	{name: "credentials-revoked", topic: "access", rows: []int{48},
		promise: "Credentials that are refused later end Receive with ErrUnauthorized: a subscriber is never silently dead.",
		needs:   []need{secure, passwords, revocation}, serial: true,
		run: credentialsRevoked},
	{name: "address-missing", topic: "faults", rows: []int{44, 56},
		promise: "Without declaring, a missing address is ErrNotFound within Timeout, for both sides.",
		needs:   []need{server, addressable},
		run:     addressMissing},
	{name: "address-deleted", topic: "faults", rows: []int{44, 45},
		promise: "When its address is deleted a running Receive ends with an error or goes on with the new one: it is never silently dead.",
		needs:   []need{deletes},
		run:     addressDeleted},
}

func serverKilled(t *trial) {
	t.arrive *= 3
	_, f := t.faulty(setup{Channel: Channel{Group: "killed"}})
	for i := 0; i < t.pick(1, 3); i++ {
		t.must(aside(t.d.broker.Kill), "kill the server")
		time.Sleep(t.quiet)
		t.must(aside(t.d.broker.Restart), "restart the server")
		f.flows("after the server was restarted", 20)
	}
	f.finish()
}

func serverKilledIdle(t *trial) {
	t.arrive *= 3
	l := t.open(setup{Channel: Channel{Group: "idle"}, Settings: Settings{Timeout: t.arrive}})
	in := l.receive(accept)
	t.must(aside(t.d.broker.Kill), "kill the server")
	t.must(aside(t.d.broker.Restart), "restart the server")
	if t.caps.AtMostOnce {
		l.traffic(in).flows("after the server was restarted", 5)
		return
	}
	l.send(text(0))
	in.waitFor(text(0))
}

func credentialsRevoked(t *trial) {
	b := t.d.broker
	l := t.open(t.secured())
	in := l.receive(accept)
	l.send(text(0))
	in.waitFor(text(0))
	t.must(aside(b.Revoke), "revoke the credentials")
	defer aside(b.Restore)
	p := t.proxy("consumer")
	before := p.Accepted()
	p.Reset()
	if err := in.endedWithin(t.arrive); !errors.Is(err, t.d.errors.Unauthorized) {
		t.fail("expected ErrUnauthorized from Receive, got %s", describe(err))
	}
	if n := p.Accepted() - before; n > 10 {
		t.fail("expected a few attempts with credentials that are refused, there were %d", n)
	}
}

func addressMissing(t *trial) {
	// NoDeclare belongs to the connection or to the channel.
	s := Settings{NoDeclare: true, Timeout: 3 * time.Second}
	missing := Channel{NoDeclare: true}
	s.URL = t.serverURL("producer", "")
	p, err := t.newProducer(t.settings(s))
	t.must(err, "NewProducer")
	pub, err := p.open(t.ctx, t.address(), missing)
	if err == nil {
		err = pub.Send(t.ctx, t.envelope(text(0)))
	}
	if !errors.Is(err, t.d.errors.NotFound) {
		t.fail("expected ErrNotFound from Publisher or Send, got %s", describe(err))
	}
	s.URL = t.serverURL("consumer", "")
	c, err := t.newConsumer(t.settings(s))
	t.must(err, "NewConsumer")
	sub, err := c.open(t.ctx, t.address(), missing)
	if err == nil {
		err = sub.receive(accept).endedWithin(3*time.Second + t.grace)
	}
	if !errors.Is(err, t.d.errors.NotFound) {
		t.fail("expected ErrNotFound from Subscriber or Receive, got %s", describe(err))
	}
}

func addressDeleted(t *trial) {
	l := t.open(setup{Channel: Channel{Group: "deleted"}})
	in := l.receive(accept)
	l.send(text(0))
	in.waitSettled(text(0))
	t.must(aside(func() error { return t.d.delete(t.ctx, l.address) }), "delete the address")
	ctx, cancel := context.WithTimeout(t.ctx, t.arrive)
	defer cancel()
	for i := 1; ctx.Err() == nil; i++ {
		select {
		case <-in.done:
			if in.err == nil {
				t.fail("Receive returned nil when its address was deleted")
			}
			return
		default:
		}
		// Where the server makes addresses by itself the subscriber goes on.
		attempt, stop := context.WithTimeout(ctx, time.Second)
		err := l.publisher.Send(attempt, t.envelope(text(i)))
		stop()
		if err == nil && in.await(t.quiet, func() bool { return in.count[text(i)] > 0 }) {
			return
		}
		time.Sleep(t.quiet)
	}
	t.fail("after its address was deleted Receive neither ended nor got what is sent there")
}
