package std

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// login puts credentials on a request, or checks those that a request has.
type login struct {
	set   func(context.Context, *http.Request) error
	check func(*http.Request) bool
	// challenge is the WWW-Authenticate of a refusal (RFC 9110, section 11.6.1).
	challenge string
}

func newLogin(security Security) (*login, error) {
	switch s := security.(type) {
	case nil, X509:
		return nil, nil
	case UserPassword:
		return basic(s.User, s.Password), nil
	case APIKey:
		switch s.In {
		case "user":
			return basic(s.Key, ""), nil
		case "password":
			return basic("", s.Key), nil
		}
		return nil, fmt.Errorf("apiKey: In is user or password, not %q", s.In)
	case HTTPAPIKey:
		return apiKey(s)
	case HTTP:
		switch {
		case strings.EqualFold(s.AuthScheme, "basic"):
			return basic(s.User, s.Password), nil
		case !token(s.AuthScheme):
			return nil, fmt.Errorf("http: %q is no authentication scheme", s.AuthScheme)
		}
		return authorization(s.AuthScheme, s.Credentials), nil
	case OAuth2:
		return bearer(s.Token, s.Scheme())
	case OpenIDConnect:
		return bearer(s.Token, s.Scheme())
	default:
		return nil, fmt.Errorf("%w: HTTP has no place for the security scheme %s", ErrUnsupported, security.Scheme())
	}
}

func basic(user, password string) *login {
	return &login{
		set: func(_ context.Context, r *http.Request) error {
			r.SetBasicAuth(user, password)
			return nil
		},
		check: func(r *http.Request) bool {
			u, p, _ := r.BasicAuth()
			return equal(u, user)&equal(p, password) == 1
		},
		challenge: `Basic realm="asyncapi"`,
	}
}

func authorization(scheme, credentials string) *login {
	return &login{
		set: func(_ context.Context, r *http.Request) error {
			r.Header.Set("Authorization", scheme+" "+credentials)
			return nil
		},
		check: func(r *http.Request) bool {
			s, c, _ := strings.Cut(r.Header.Get("Authorization"), " ")
			return strings.EqualFold(s, scheme) && equal(c, credentials) == 1
		},
		challenge: scheme,
	}
}

// bearer has no check: whether a token is good is known to whoever issued it.
func bearer(fetch func(context.Context) (string, error), scheme string) (*login, error) {
	if fetch == nil {
		return nil, fmt.Errorf("%s: Token is nil", scheme)
	}
	return &login{set: func(ctx context.Context, r *http.Request) error {
		t, err := fetch(ctx)
		if err != nil {
			return fmt.Errorf("%s: token: %w", scheme, err)
		}
		r.Header.Set("Authorization", "Bearer "+t)
		return nil
	}}, nil
}

func apiKey(s HTTPAPIKey) (*login, error) {
	if s.Name == "" {
		return nil, errors.New("httpApiKey: Name is empty")
	}
	var set func(*http.Request)
	var get func(*http.Request) string
	switch s.In {
	case "header":
		set = func(r *http.Request) { r.Header.Set(s.Name, s.Key) }
		get = func(r *http.Request) string { return r.Header.Get(s.Name) }
	case "query":
		set = func(r *http.Request) {
			q := r.URL.Query()
			q.Set(s.Name, s.Key)
			r.URL.RawQuery = q.Encode()
		}
		get = func(r *http.Request) string { return r.URL.Query().Get(s.Name) }
	case "cookie":
		cookie := &http.Cookie{Name: s.Name, Value: s.Key}
		if err := cookie.Valid(); err != nil {
			return nil, fmt.Errorf("httpApiKey: %w", err)
		}
		set = func(r *http.Request) { r.AddCookie(cookie) }
		get = func(r *http.Request) string {
			c, err := r.Cookie(s.Name)
			if err != nil {
				return ""
			}
			return c.Value
		}
	default:
		return nil, fmt.Errorf("httpApiKey: In is query, header or cookie, not %q", s.In)
	}
	return &login{
		set:   func(_ context.Context, r *http.Request) error { set(r); return nil },
		check: func(r *http.Request) bool { return equal(get(r), s.Key) == 1 },
	}, nil
}

// equal takes the same time for every wrong text of the right length.
func equal(have, want string) int {
	return subtle.ConstantTimeCompare([]byte(have), []byte(want))
}

// token tells whether s is one (RFC 9110, section 5.6.2).
func token(s string) bool {
	for _, c := range []byte(s) {
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`"(),/:;<=>?@[\]{}`, c) >= 0 {
			return false
		}
	}
	return s != ""
}
