package conformance

import (
	"crypto/tls"
	"crypto/x509"
	"time"
)

// The TLS checks put a proxy that speaks TLS before the server, so they need
// no server that does; the broker's own TLS is in tls-server and tls-mutual.
var tlsChecks = []check{
	{name: "tls", topic: "access", rows: []int{47},
		promise: "Over TLS with a certificate of a trusted authority messages flow.",
		needs:   []need{connection, secureName},
		run:     tlsGood},
	{name: "tls-refused", topic: "access", rows: []int{47},
		promise: "An unknown authority, another host's name and an expired certificate are errors in time.",
		needs:   []need{connection, secureName},
		run:     tlsRefused},
	{name: "tls-client-certificate", topic: "access", rows: []int{47},
		promise: "The client's certificate is shown to a server that asks for it.",
		needs:   []need{connection, secureName},
		run:     tlsClientCertificate},
	{name: "tls-to-plain", topic: "access", rows: []int{47},
		promise: "TLS to a port that speaks plain text is an error in time.",
		needs:   []need{connection, secureName},
		run:     tlsToPlain},
	{name: "tls-server", topic: "access", rows: []int{47},
		promise: "A server whose authority is not trusted is an error in time.",
		needs:   []need{secure, secureTLS},
		run: func(t *trial) {
			s := t.secured().Settings
			s.TLS = s.TLS.Clone()
			s.TLS.RootCAs = x509.NewCertPool()
			t.refusedAtStart(s)
		}},
	{name: "tls-mutual", topic: "access", rows: []int{47},
		promise: "With the client's certificate messages flow, and without it opening is an error in time.",
		needs:   []need{mutual, secureTLS},
		run:     tlsMutual},
}

func (t *trial) authority() *authority {
	t.Helper()
	a, err := newAuthority("conformance " + t.address())
	t.must(err, "make an authority")
	return a
}

func (t *trial) issue(a *authority, name string, valid time.Duration) tls.Certificate {
	t.Helper()
	certificate, err := a.issue(name, valid)
	t.must(err, "make a certificate")
	return certificate
}

// behindTLS opens both sides through proxies that speak TLS, or expects that
// to fail.
func (t *trial) behindTLS(front, client *tls.Config, works bool) {
	t.Helper()
	plain := t.anyURL()
	before, host, after, err := splitURL(withScheme(plain, t.d.secureScheme))
	t.must(err, "the wiring's URL")
	proxy, err := newFront(host, front, t.d.greet)
	t.must(err, "start a proxy")
	t.Cleanup(proxy.Close)
	s := t.settings(Settings{URL: before + proxy.Addr() + after, TLS: client, Timeout: 4 * time.Second})
	if !works {
		producing, consuming := t.opens(s)
		for side, err := range map[string]error{"NewProducer": producing, "NewConsumer": consuming} {
			if err == nil {
				t.fail("%s: expected an error, got nil", side)
			}
		}
		return
	}
	// The other side is not what this is about: it goes without TLS.
	l := t.open(setup{})
	in := l.receive(accept)
	if t.caps.NoServer {
		before, host, after, _ = splitURL(withScheme(l.url, t.d.secureScheme))
		proxy, err = newFront(host, front, t.d.greet)
		t.must(err, "start a proxy")
		t.Cleanup(proxy.Close)
		s.URL = before + proxy.Addr() + after
	}
	l.producer, err = t.newProducer(s)
	t.must(err, "NewProducer over TLS")
	l.publisher = l.publish(l.address)
	l.send(text(0))
	in.waitFor(text(0))
	if t.caps.NoServer {
		return
	}
	c, err := t.newConsumer(s)
	t.must(err, "NewConsumer over TLS")
	sub, err := c.open(t.ctx, l.address, Channel{})
	t.must(err, "Subscriber over TLS")
	in.stop()
	t.must(l.subscriber.Close(), "Subscriber.Close")
	in = sub.receive(accept)
	l.send(text(1))
	in.waitFor(text(1))
}

func tlsGood(t *trial) {
	ca := t.authority()
	front := &tls.Config{Certificates: []tls.Certificate{t.issue(ca, "127.0.0.1", time.Hour)}}
	t.behindTLS(front, &tls.Config{RootCAs: ca.pool}, true)
}

func tlsRefused(t *trial) {
	ca, other := t.authority(), t.authority()
	front := func(c tls.Certificate) *tls.Config { return &tls.Config{Certificates: []tls.Certificate{c}} }
	t.Logf("unknown authority")
	t.behindTLS(front(t.issue(other, "127.0.0.1", time.Hour)), &tls.Config{RootCAs: ca.pool}, false)
	t.Logf("another host's name")
	t.behindTLS(front(t.issue(ca, "elsewhere.example", time.Hour)), &tls.Config{RootCAs: ca.pool}, false)
	t.Logf("expired")
	t.behindTLS(front(t.issue(ca, "127.0.0.1", -time.Hour)), &tls.Config{RootCAs: ca.pool}, false)
}

func tlsClientCertificate(t *trial) {
	ca := t.authority()
	front := &tls.Config{
		Certificates: []tls.Certificate{t.issue(ca, "127.0.0.1", time.Hour)},
		ClientAuth:   tls.RequireAndVerifyClientCert,
		ClientCAs:    ca.pool,
	}
	mine := t.issue(ca, "client", time.Hour)
	t.behindTLS(front, &tls.Config{RootCAs: ca.pool, Certificates: []tls.Certificate{mine}}, true)
	t.behindTLS(front, &tls.Config{RootCAs: ca.pool}, false)
}

func tlsToPlain(t *trial) {
	t.behindTLS(nil, &tls.Config{RootCAs: t.authority().pool}, false)
}

func tlsMutual(t *trial) {
	b := t.d.broker
	s := setup{Settings: Settings{URL: b.MutualURL, TLS: t.trusting(b.MutualURL)}}
	s.TLS.Certificates = []tls.Certificate{*b.ClientCert}
	l := t.open(s)
	in := l.receive(accept)
	l.send(text(0))
	in.waitFor(text(0))
	t.refusedAtStart(Settings{URL: b.MutualURL, TLS: t.trusting(b.MutualURL)})
}
