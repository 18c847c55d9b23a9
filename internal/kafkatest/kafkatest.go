// Package kafkatest gives the tests of the kafka drivers a broker, in this
// process or real, and a client that none of them is made of.
package kafkatest

import (
	"context"
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/asyncapi-impl/asyncapi-impl/catalog/conformance"
	"github.com/asyncapi-impl/asyncapi-impl/internal/brokers"
)

// Embedded starts a broker in this process and gives its URL.
func Embedded(t testing.TB, options ...kfake.Opt) (*kfake.Cluster, string) {
	t.Helper()
	cluster, err := kfake.NewCluster(append([]kfake.Opt{
		kfake.NumBrokers(1), kfake.DefaultNumPartitions(3), kfake.GroupMinSessionTimeout(time.Second), kfake.AllowAutoTopicCreation(),
	}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	return cluster, "kafka://" + strings.Join(cluster.ListenAddrs(), ",")
}

// URL is that of the real broker where the run is about real ones, else of an
// embedded one.
func URL(t testing.TB) string {
	t.Helper()
	if brokers.Real() {
		return brokers.Kafka(t).URL
	}
	_, url := Embedded(t)
	return url
}

// Broker is what the conformance suite runs against. Its User logs in with
// SCRAM-SHA-256.
func Broker(t testing.TB) *conformance.Broker {
	t.Helper()
	if brokers.Real() {
		return realBroker(t)
	}
	return embeddedBroker(t)
}

func realBroker(t testing.TB) *conformance.Broker {
	s := brokers.Kafka(t)
	b := &conformance.Broker{
		Name: "kafka " + brokers.KafkaVersion, URL: s.URL,
		SecureURL: "kafka-secure://" + s.SecureAddr, User: s.User, Password: s.Password, CA: s.Certs.CA,
		MutualURL: "kafka-secure://" + s.MutualTLSAddr, ClientCert: &s.Certs.Client,
		RefusedAddress: "no/such topic", // a name that Kafka does not allow
		Kill:           s.Kill,
		Restart:        func() error { return s.Restart(context.Background()) },
	}
	revocable(b)
	return b
}

// embeddedBroker is made of two clusters: a password is demanded on all
// listeners of one or on none.
func embeddedBroker(t testing.TB) *conformance.Broker {
	dir := t.TempDir()
	cluster, url := Embedded(t, kfake.DataDir(dir))
	_, port, err := net.SplitHostPort(cluster.ListenAddrs()[0])
	if err != nil {
		t.Fatal(err)
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	certs, err := brokers.NewCerts(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	server, err := tls.LoadX509KeyPair(certs.ServerFile, certs.ServerKeyFile)
	if err != nil {
		t.Fatal(err)
	}
	_, secure := Embedded(t, kfake.TLS(&tls.Config{Certificates: []tls.Certificate{server}}), kfake.EnableSASL(),
		kfake.Superuser("SCRAM-SHA-256", brokers.User, brokers.Password))
	_, mutual := Embedded(t, kfake.TLS(&tls.Config{
		Certificates: []tls.Certificate{server}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: certs.CA,
	}))
	b := &conformance.Broker{
		Name: "kfake", URL: url,
		SecureURL: strings.Replace(secure, "kafka:", "kafka-secure:", 1), User: brokers.User, Password: brokers.Password, CA: certs.CA,
		MutualURL: strings.Replace(mutual, "kafka:", "kafka-secure:", 1), ClientCert: &certs.Client,
		Kill: func() error { cluster.Close(); return nil },
		Restart: func() error {
			again, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.DefaultNumPartitions(3), kfake.GroupMinSessionTimeout(time.Second),
				kfake.AllowAutoTopicCreation(), kfake.DataDir(dir), kfake.Ports(number))
			if err == nil {
				cluster = again
			}
			return err
		},
	}
	t.Cleanup(func() { cluster.Close() })
	return b
}

// revocable lets the suite change the password behind a user's back.
func revocable(b *conformance.Broker) {
	set := func(password string) error {
		client, err := kgo.NewClient(kgo.SeedBrokers(seeds(b.URL)...))
		if err != nil {
			return err
		}
		defer client.Close()
		salt := []byte("0123456789abcdef")
		salted, err := pbkdf2.Key(sha256.New, password, salt, 4096, sha256.Size)
		if err != nil {
			return err
		}
		request := kmsg.NewPtrAlterUserSCRAMCredentialsRequest()
		upsert := kmsg.NewAlterUserSCRAMCredentialsRequestUpsertion()
		upsert.Name, upsert.Mechanism, upsert.Iterations, upsert.Salt, upsert.SaltedPassword = b.User, 1, 4096, salt, salted
		request.Upsertions = append(request.Upsertions, upsert)
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		response, err := request.RequestWith(ctx, client)
		if err == nil && response.Results[0].ErrorCode != 0 {
			err = fmt.Errorf("change the password: error %d", response.Results[0].ErrorCode)
		}
		return err
	}
	b.Revoke = func() error { return set("another") }
	b.Restore = func() error { return set(b.Password) }
}

// Foreign is franz-go's client.
func Foreign() *conformance.Foreign {
	return &conformance.Foreign{
		Send: func(ctx context.Context, url, address string, payload []byte, headers map[string]string) error {
			client, err := foreign(url)
			if err != nil {
				return err
			}
			defer client.Close()
			r := &kgo.Record{Topic: address, Value: payload}
			for key, value := range headers {
				r.Headers = append(r.Headers, kgo.RecordHeader{Key: key, Value: []byte(value)})
			}
			return client.ProduceSync(ctx, r).FirstErr()
		},
		Receive: func(ctx context.Context, url, address string, ready func()) ([]byte, map[string]string, error) {
			client, err := foreign(url, kgo.ConsumeTopics(address))
			if err != nil {
				return nil, nil, err
			}
			defer client.Close()
			ready() // it begins at the first record
			for {
				fetches := client.PollRecords(ctx, 1)
				if ctx.Err() != nil {
					return nil, nil, ctx.Err()
				}
				for _, r := range fetches.Records() {
					headers := map[string]string{}
					for _, h := range r.Headers {
						headers[h.Key] = string(h.Value)
					}
					return r.Value, headers, nil
				}
			}
		},
	}
}

func foreign(url string, options ...kgo.Opt) (*kgo.Client, error) {
	return kgo.NewClient(append(options, kgo.SeedBrokers(seeds(url)...), kgo.Dialer(only(url)))...)
}

// only dials the URL's host: the server would send the client past the proxy.
func only(url string) func(ctx context.Context, network, _ string) (net.Conn, error) {
	host := seeds(url)[0]
	return func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, host)
	}
}

func seeds(url string) []string {
	if _, hosts, ok := strings.Cut(url, "://"); ok {
		url = hosts
	}
	return strings.Split(url, ",")
}

// Segmentio is kafka-go's client.
func Segmentio() *conformance.Foreign {
	return &conformance.Foreign{
		Send: func(ctx context.Context, url, address string, payload []byte, headers map[string]string) error {
			transport := &kafka.Transport{Dial: only(url)}
			defer transport.CloseIdleConnections()
			w := &kafka.Writer{
				Addr: kafka.TCP(seeds(url)...), Topic: address, RequiredAcks: kafka.RequireAll, BatchTimeout: time.Millisecond, Transport: transport,
			}
			m := kafka.Message{Value: payload}
			for key, value := range headers {
				m.Headers = append(m.Headers, kafka.Header{Key: key, Value: []byte(value)})
			}
			err := w.WriteMessages(ctx, m)
			return errors.Join(err, w.Close())
		},
		Receive: func(ctx context.Context, url, address string, ready func()) ([]byte, map[string]string, error) {
			r := kafka.NewReader(kafka.ReaderConfig{
				Brokers: seeds(url), Topic: address, MaxWait: 100 * time.Millisecond, Dialer: &kafka.Dialer{DialFunc: only(url)},
			})
			defer r.Close()
			ready() // it begins at the first record
			m, err := r.FetchMessage(ctx)
			headers := map[string]string{}
			for _, h := range m.Headers {
				headers[h.Key] = string(h.Value)
			}
			return m.Value, headers, err
		},
	}
}
