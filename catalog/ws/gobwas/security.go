package gobwas

import "context"

// Security is how the producer or consumer proves who it is. The types are
// named after AsyncAPI's security schemes; doc.go lists those that this
// protocol can carry. Any other is ErrUnsupported from NewProducer and
// NewConsumer. Credentials in the server's URL count as UserPassword.
type Security interface {
	// Scheme is the scheme's type as an AsyncAPI document spells it.
	Scheme() string
}

// UserPassword is a user name and a password in the protocol's own form.
type UserPassword struct{ User, Password string }

// Plain is SASL PLAIN (RFC 4616).
type Plain struct{ User, Password string }

// ScramSHA256 is SASL SCRAM-SHA-256 (RFC 7677).
type ScramSHA256 struct{ User, Password string }

// ScramSHA512 is SASL SCRAM-SHA-512.
type ScramSHA512 struct{ User, Password string }

// GSSAPI is SASL GSSAPI (RFC 4752), Kerberos.
type GSSAPI struct{}

// X509 is a client certificate. The certificate itself is given in
// Options.TLS, as Certificates or GetClientCertificate.
type X509 struct{}

// APIKey is a key sent in place of the user name or of the password.
type APIKey struct {
	// In is "user" or "password".
	In  string
	Key string
}

// HTTPAPIKey is a key sent in an HTTP header, query parameter or cookie.
type HTTPAPIKey struct {
	// In is "query", "header" or "cookie".
	In        string
	Name, Key string
}

// HTTP is an HTTP authentication scheme (RFC 9110, section 11).
type HTTP struct {
	// AuthScheme is "basic", "bearer" or another registered name, in any case.
	AuthScheme string
	// User and Password are for basic.
	User, Password string
	// Credentials is what follows the name for every other scheme; for bearer
	// the token.
	Credentials string
}

// OAuth2 is an OAuth 2.0 access token. Token is called for every new
// connection, so it can refresh.
type OAuth2 struct {
	Token func(context.Context) (string, error)
}

// OpenIDConnect is a token obtained by OpenID Connect, used as OAuth2 is.
type OpenIDConnect struct {
	Token func(context.Context) (string, error)
}

// SymmetricEncryption stands for AsyncAPI's scheme of that name: encryption of
// payloads, which no connection can carry.
type SymmetricEncryption struct{}

// AsymmetricEncryption stands for AsyncAPI's scheme of that name: encryption
// of payloads, which no connection can carry.
type AsymmetricEncryption struct{}

func (UserPassword) Scheme() string         { return "userPassword" }
func (Plain) Scheme() string                { return "plain" }
func (ScramSHA256) Scheme() string          { return "scramSha256" }
func (ScramSHA512) Scheme() string          { return "scramSha512" }
func (GSSAPI) Scheme() string               { return "gssapi" }
func (X509) Scheme() string                 { return "X509" }
func (APIKey) Scheme() string               { return "apiKey" }
func (HTTPAPIKey) Scheme() string           { return "httpApiKey" }
func (HTTP) Scheme() string                 { return "http" }
func (OAuth2) Scheme() string               { return "oauth2" }
func (OpenIDConnect) Scheme() string        { return "openIdConnect" }
func (SymmetricEncryption) Scheme() string  { return "symmetricEncryption" }
func (AsymmetricEncryption) Scheme() string { return "asymmetricEncryption" }
