package conformance

import (
	"crypto/tls"
	"errors"
	"net"
	"time"
)

var accessChecks = []check{
	{name: "password", topic: "access", rows: []int{46},
		promise: "With the right password messages flow.",
		needs:   []need{passwords, secure},
		run: func(t *trial) {
			l := t.open(t.secured())
			in := l.receive(accept)
			l.send(text(0))
			in.waitFor(text(0))
		}},
	{name: "wrong-password", topic: "access", rows: []int{46, 56},
		promise: "A wrong password is ErrUnauthorized from NewProducer and NewConsumer, in time and without a storm of attempts.",
		needs:   []need{passwords, secure},
		run: func(t *trial) {
			t.unauthorized(func(s *Settings) { s.Password = "wrong-" + s.Password })
		}},
	{name: "no-password", topic: "access", rows: []int{46},
		promise: "No password where one is demanded is an error from NewProducer and NewConsumer, in time.",
		needs:   []need{passwords, secure},
		run: func(t *trial) {
			s := t.secured().Settings
			s.User, s.Password = "", ""
			t.refusedAtStart(s)
		}},
}

// secured is a setup for the listener that demands a password.
func (t *trial) secured() setup {
	b := t.d.broker
	s := setup{Settings: Settings{URL: b.SecureURL, User: b.User, Password: b.Password}}
	if b.CA != nil {
		s.TLS = t.trusting(b.SecureURL)
	}
	return s
}

// trusting is a TLS configuration for a server reached through the proxy.
func (t *trial) trusting(url string) *tls.Config {
	t.Helper()
	_, host, _, err := splitURL(url)
	t.must(err, "the wiring's URL")
	name, _, _ := net.SplitHostPort(host)
	return &tls.Config{RootCAs: t.d.broker.CA, ServerName: name}
}

// unauthorized expects ErrUnauthorized from both sides.
func (t *trial) unauthorized(change func(*Settings)) {
	t.Helper()
	s := t.secured().Settings
	change(&s)
	producing, consuming := t.refusedAtStart(s)
	for side, err := range map[string]error{"NewProducer": producing, "NewConsumer": consuming} {
		if err != nil && err != errNoConsumer && !errors.Is(err, t.d.errors.Unauthorized) {
			t.fail("%s: expected ErrUnauthorized, got %v", side, err)
		}
	}
	time.Sleep(t.quiet)
	if n := t.proxy("either").Accepted(); n > 12 {
		t.fail("expected a few connections with the wrong password, there were %d", n)
	}
}

// refusedAtStart expects an error from both sides.
func (t *trial) refusedAtStart(s Settings) (producing, consuming error) {
	t.Helper()
	s.URL = t.through("either", s.URL)
	s.Timeout = 4 * time.Second
	producing, consuming = t.opens(s)
	for side, err := range map[string]error{"NewProducer": producing, "NewConsumer": consuming} {
		if err == nil {
			t.fail("%s: expected an error, got nil", side)
		}
	}
	return producing, consuming
}
