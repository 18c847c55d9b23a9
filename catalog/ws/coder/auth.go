package coder

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// credential is a Security as it stands in a handshake.
type credential struct {
	header, query, cookie string // where it stands, by name; all empty for none
	value                 string
	token                 func(context.Context) (string, error)
	certificate           bool
}

// newCredential turns the options' security, or the URL's user, into what the
// handshake carries.
func newCredential(o *Options, user *url.Userinfo) (credential, error) {
	security := o.Security
	if user != nil {
		if security != nil {
			return credential{}, errors.New("credentials are given twice, in the server URL and in Options.Security")
		}
		password, _ := user.Password()
		security = UserPassword{user.Username(), password}
	}
	switch v := security.(type) {
	case nil:
		return credential{}, nil
	case UserPassword:
		return basic(v.User, v.Password)
	case APIKey:
		switch v.In {
		case "user":
			return basic(v.Key, "")
		case "password":
			return basic("", v.Key)
		}
		return credential{}, fmt.Errorf("apiKey: In is user or password, not %q", v.In)
	case HTTPAPIKey:
		return apiKey(v)
	case HTTP:
		switch scheme := strings.ToLower(v.AuthScheme); {
		case scheme == "basic":
			return basic(v.User, v.Password)
		case scheme == "" || strings.ContainsAny(scheme, " \r\n"):
			return credential{}, fmt.Errorf("http: %q is no authentication scheme", v.AuthScheme)
		case scheme == "bearer":
			return authorization("Bearer", v.Credentials)
		default:
			return authorization(v.AuthScheme, v.Credentials)
		}
	case OAuth2:
		return newToken(o, v.Token)
	case OpenIDConnect:
		return newToken(o, v.Token)
	case X509:
		// Without TLS of its own, a handler asks the server it is mounted on.
		if o.Role == RoleDial && (o.TLS == nil || len(o.TLS.Certificates) == 0 && o.TLS.GetClientCertificate == nil) {
			return credential{}, errors.New("X509: Options.TLS holds no client certificate")
		}
		return credential{certificate: true}, nil
	default:
		return credential{}, fmt.Errorf("%w: a WebSocket handshake has no place for the security scheme %s", ErrUnsupported, security.Scheme())
	}
}

func basic(user, password string) (credential, error) {
	if strings.Contains(user, ":") {
		return credential{}, fmt.Errorf("%w: a user name with a colon (RFC 7617)", ErrUnsupported)
	}
	return authorization("Basic", base64.StdEncoding.EncodeToString([]byte(user+":"+password)))
}

func authorization(scheme, value string) (credential, error) {
	if value == "" || strings.ContainsAny(value, "\r\n\x00") {
		return credential{}, fmt.Errorf("http: %s: no credentials, or some with control characters", scheme)
	}
	return credential{header: "Authorization", value: scheme + " " + value}, nil
}

func apiKey(v HTTPAPIKey) (credential, error) {
	if v.Name == "" || v.Key == "" || strings.ContainsAny(v.Name+v.Key, "\r\n\x00") {
		return credential{}, errors.New("httpApiKey: Name and Key have to be there, without control characters")
	}
	switch v.In {
	case "header":
		return credential{header: v.Name, value: v.Key}, nil
	case "query":
		return credential{query: v.Name, value: v.Key}, nil
	case "cookie":
		if (&http.Cookie{Name: v.Name, Value: v.Key}).Valid() != nil {
			return credential{}, fmt.Errorf("%w: httpApiKey: a name or key that a cookie cannot carry", ErrUnsupported)
		}
		return credential{cookie: v.Name, value: v.Key}, nil
	}
	return credential{}, fmt.Errorf("httpApiKey: In is query, header or cookie, not %q", v.In)
}

func newToken(o *Options, token func(context.Context) (string, error)) (credential, error) {
	if o.Role == RoleListen {
		return credential{}, fmt.Errorf("%w: a listening side has to check tokens in Options.Authorize", ErrUnsupported)
	}
	if token == nil {
		return credential{}, errors.New("oauth2: Token is nil")
	}
	return credential{token: token}, nil
}

// show puts the credential into a handshake to be sent.
func (c credential) show(ctx context.Context, header http.Header, query url.Values) error {
	if c.token != nil {
		token, err := c.token(ctx)
		if err == nil {
			c, err = authorization("Bearer", token)
		}
		if err != nil {
			return fmt.Errorf("oauth2: token: %w", err)
		}
	}
	switch {
	case c.header != "":
		header.Set(c.header, c.value)
	case c.query != "":
		query.Set(c.query, c.value)
	case c.cookie != "":
		header.Add("Cookie", (&http.Cookie{Name: c.cookie, Value: c.value}).String())
	}
	return nil
}

// demand looks for the credential in a handshake that came.
func (c credential) demand(r *http.Request) error {
	var shown string
	switch {
	case c.certificate:
		if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 {
			return fmt.Errorf("%w: no client certificate", ErrUnauthorized)
		}
		return nil
	case c.header != "":
		shown = r.Header.Get(c.header)
	case c.query != "":
		shown = r.URL.Query().Get(c.query)
	case c.cookie != "":
		if cookie, err := r.Cookie(c.cookie); err == nil {
			shown = cookie.Value
		}
	default:
		return nil
	}
	if c.header == "Authorization" { // the scheme's name is in any case
		wantScheme, _, _ := strings.Cut(c.value, " ")
		scheme, rest, _ := strings.Cut(shown, " ")
		if strings.EqualFold(scheme, wantScheme) {
			shown = wantScheme + " " + strings.TrimLeft(rest, " ")
		}
	}
	// The hashes have one length, so the comparison takes the same time for all.
	a, b := sha256.Sum256([]byte(shown)), sha256.Sum256([]byte(c.value))
	if subtle.ConstantTimeCompare(a[:], b[:]) != 1 {
		return fmt.Errorf("%w: wrong or no credentials", ErrUnauthorized)
	}
	return nil
}

// challenge is the WWW-Authenticate of a refusal.
func (c credential) challenge() string {
	if c.header == "Authorization" {
		scheme, _, _ := strings.Cut(c.value, " ")
		return scheme
	}
	return ""
}
