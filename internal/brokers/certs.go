package brokers

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// Certs is what the TLS listeners and their clients need. Keys and
// certificates are in PEM files; keys are in PKCS #8.
type Certs struct {
	CA     *x509.CertPool // signed every broker's certificate
	CAFile string

	OtherCA     *x509.CertPool // signed none of them
	OtherCAFile string

	// For localhost, 127.0.0.1 and ::1.
	ServerFile, ServerKeyFile string

	// Its common name is User.
	Client                    tls.Certificate
	ClientFile, ClientKeyFile string

	OtherClient tls.Certificate // as Client, but signed by OtherCA

	// Server certificates that a client has to refuse, for a listener of the
	// test's own: one ended yesterday, one is for another host.
	Expired, WrongHost tls.Certificate
}

// TLS trusts the brokers.
func (c *Certs) TLS() *tls.Config {
	return &tls.Config{RootCAs: c.CA, MinVersion: tls.VersionTLS12}
}

// MutualTLS trusts the brokers and shows them the client's certificate.
func (c *Certs) MutualTLS() *tls.Config {
	config := c.TLS()
	config.Certificates = []tls.Certificate{c.Client}
	return config
}

// NewCerts makes the certificates and writes those that a server reads from
// files to dir.
func NewCerts(dir string) (*Certs, error) {
	ca, err := newAuthority("asyncapi-impl test CA")
	if err != nil {
		return nil, err
	}
	other, err := newAuthority("asyncapi-impl other CA")
	if err != nil {
		return nil, err
	}
	c := &Certs{CA: ca.pool(), OtherCA: other.pool()}
	now := time.Now()
	local := x509.Certificate{
		Subject:     pkix.Name{CommonName: "localhost"},
		DNSNames:    []string{"localhost"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
		NotAfter:    now.AddDate(1, 0, 0),
	}
	expired := local
	expired.NotBefore, expired.NotAfter = now.AddDate(0, 0, -2), now.AddDate(0, 0, -1)
	elsewhere := local
	elsewhere.DNSNames, elsewhere.IPAddresses = []string{"elsewhere.invalid"}, nil
	client := x509.Certificate{
		Subject:  pkix.Name{CommonName: User},
		NotAfter: now.AddDate(1, 0, 0),
	}

	server := tls.Certificate{}
	for _, leaf := range []struct {
		to       *tls.Certificate
		by       *authority
		template x509.Certificate
		usage    x509.ExtKeyUsage
	}{
		{&server, ca, local, x509.ExtKeyUsageServerAuth},
		{&c.Expired, ca, expired, x509.ExtKeyUsageServerAuth},
		{&c.WrongHost, ca, elsewhere, x509.ExtKeyUsageServerAuth},
		{&c.Client, ca, client, x509.ExtKeyUsageClientAuth},
		{&c.OtherClient, other, client, x509.ExtKeyUsageClientAuth},
	} {
		leaf.template.ExtKeyUsage = []x509.ExtKeyUsage{leaf.usage}
		if *leaf.to, err = leaf.by.issue(leaf.template); err != nil {
			return nil, err
		}
	}

	for _, file := range []struct {
		path  *string
		name  string
		kind  string
		bytes []byte
	}{
		{&c.CAFile, "ca.pem", "CERTIFICATE", ca.cert.Raw},
		{&c.OtherCAFile, "other-ca.pem", "CERTIFICATE", other.cert.Raw},
		{&c.ServerFile, "server.pem", "CERTIFICATE", server.Certificate[0]},
		{&c.ServerKeyFile, "server-key.pem", "PRIVATE KEY", keyBytes(server)},
		{&c.ClientFile, "client.pem", "CERTIFICATE", c.Client.Certificate[0]},
		{&c.ClientKeyFile, "client-key.pem", "PRIVATE KEY", keyBytes(c.Client)},
	} {
		*file.path = filepath.Join(dir, file.name)
		block := pem.EncodeToMemory(&pem.Block{Type: file.kind, Bytes: file.bytes})
		if err := os.WriteFile(*file.path, block, 0o600); err != nil {
			return nil, err
		}
	}
	return c, nil
}

type authority struct {
	cert *x509.Certificate
	key  crypto.Signer
}

func newAuthority(name string) (*authority, error) {
	template := x509.Certificate{
		Subject:               pkix.Name{CommonName: name},
		NotAfter:              time.Now().AddDate(1, 0, 0),
		KeyUsage:              x509.KeyUsageCertSign,
		IsCA:                  true,
		BasicConstraintsValid: true,
	}
	self := &authority{}
	cert, err := self.issue(template)
	if err != nil {
		return nil, err
	}
	return &authority{cert: cert.Leaf, key: cert.PrivateKey.(crypto.Signer)}, nil
}

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// issue signs a certificate for a new key: with that key itself where a has
// no certificate yet.
func (a *authority) issue(template x509.Certificate) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	if template.SerialNumber, err = rand.Int(rand.Reader, big.NewInt(1<<62)); err != nil {
		return tls.Certificate{}, err
	}
	if template.NotBefore.IsZero() {
		template.NotBefore = time.Now().Add(-time.Hour)
	}
	template.KeyUsage |= x509.KeyUsageDigitalSignature
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = &template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, parent, key.Public(), signer)
	if err != nil {
		return tls.Certificate{}, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, nil
}

func keyBytes(cert tls.Certificate) []byte {
	der, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		panic(err) // issue made the key: it is one that PKCS #8 can hold
	}
	return der
}
