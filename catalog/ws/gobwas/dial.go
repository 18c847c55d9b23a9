package gobwas

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// dialer makes the connections of a side that dials.
type dialer struct {
	options    *Options
	server     server
	credential credential
}

// open dials and keeps the channel connected from then on.
func (d *dialer) open(ctx context.Context, c *channel) error {
	path, err := d.server.path(c.address)
	if err != nil {
		return err
	}
	if strings.Contains(path, "{") && strings.Contains(path, "}") {
		return fmt.Errorf("the address %q has a parameter without a value", c.address)
	}
	p, err := d.dial(ctx, c, path)
	if err != nil {
		return classify(err)
	}
	c.enter()
	go func() {
		defer c.serving.Done()
		d.keep(c, path, p)
	}()
	return nil
}

// dial makes one connection and lets it be used.
func (d *dialer) dial(ctx context.Context, c *channel, path string) (*Peer, error) {
	ctx, cancel := context.WithTimeout(ctx, d.options.Timeout)
	defer cancel()
	header, query := d.options.Header.Clone(), url.Values(http.Header(d.options.Query).Clone())
	if query == nil {
		query = url.Values{}
	}
	if err := d.credential.show(ctx, header, query); err != nil {
		return nil, err
	}
	if err := c.bindings.complete(query, header); err != nil {
		return nil, fmt.Errorf("%w: %w", errBindings, err)
	}
	u := url.URL{Scheme: "ws", Host: d.server.host, Path: path, RawQuery: query.Encode()}
	if d.server.secure {
		u.Scheme = "wss"
	}
	w, err := dialWire(ctx, d.options, u.String(), header)
	if err != nil {
		return nil, err
	}
	p := newPeer(w, d.options, nil)
	return p, c.welcome(p)
}

// keep serves a connection and the ones that follow it, until the channel
// closes or there is no point in dialling again.
func (d *dialer) keep(c *channel, path string, p *Peer) {
	attempt := 0
	var missing time.Time // since when the address is unknown
	for {
		began := time.Now()
		err := c.serve(p)
		if c.stop.Err() != nil {
			return
		}
		if time.Since(began) > d.options.MaxBackoff {
			attempt = 0 // else it was not worth much
		}
		c.log().Warn("ws: connection lost", "error", err)
		for lost := true; lost; attempt++ {
			// A server that has just started may not know all addresses yet.
			if !errors.Is(err, ErrNotFound) {
				missing = time.Time{}
			} else if missing.IsZero() {
				missing = time.Now()
			}
			if d.options.final(err) || !missing.IsZero() && time.Since(missing) > d.options.Timeout {
				c.fail(err)
				return
			}
			if !sleep(c.stop, d.options.backoff(attempt)) {
				return
			}
			var next *Peer
			if next, err = d.dial(c.stop, c, path); err == nil {
				p, lost = next, false
				missing = time.Time{}
				c.log().Info("ws: connected again")
			} else {
				c.remove(p, err)
			}
		}
	}
}
