package brokers_test

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/sasl"
	"github.com/segmentio/kafka-go/sasl/plain"
	"github.com/segmentio/kafka-go/sasl/scram"

	"github.com/asyncapi-impl/asyncapi-impl/internal/brokers"
)

func TestKafkaKeepsItsRecordsOverACrash(t *testing.T) {
	t.Parallel()
	s := brokers.StartKafka(t)
	client := kafka.Client{Addr: kafka.TCP(s.Addr), Transport: &kafka.Transport{}}
	defer client.Transport.(*kafka.Transport).CloseIdleConnections()
	_, err := client.CreateTopics(t.Context(), &kafka.CreateTopicsRequest{
		Topics: []kafka.TopicConfig{{Topic: "crash", NumPartitions: 1, ReplicationFactor: 1}},
	})
	if err != nil {
		t.Fatal(err)
	}
	w := &kafka.Writer{
		Addr: client.Addr, Topic: "crash", Transport: client.Transport,
		RequiredAcks: kafka.RequireAll, BatchTimeout: time.Millisecond,
	}
	if err := w.WriteMessages(t.Context(), kafka.Message{Value: []byte("before")}); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	crash(t, s)

	r := kafka.NewReader(kafka.ReaderConfig{Brokers: []string{s.Addr}, Topic: "crash", MaxWait: time.Second})
	defer func() { _ = r.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	m, err := r.ReadMessage(ctx)
	if err != nil || string(m.Value) != "before" {
		t.Fatalf("after the restart: %q, %v; want the record written before", m.Value, err)
	}
}

func TestKafkaListeners(t *testing.T) {
	t.Parallel()
	s := brokers.Kafka(t)
	sha256, err := scram.Mechanism(scram.SHA256, s.User, s.Password)
	if err != nil {
		t.Fatal(err)
	}
	sha512, err := scram.Mechanism(scram.SHA512, s.User, s.Password)
	if err != nil {
		t.Fatal(err)
	}
	good := plain.Mechanism{Username: s.User, Password: s.Password}
	wrongCA := &tls.Config{RootCAs: s.Certs.OtherCA}
	wrongClient := s.Certs.TLS()
	wrongClient.Certificates = []tls.Certificate{s.Certs.OtherClient}
	for _, c := range []struct {
		name, addr string
		tls        *tls.Config
		sasl       sasl.Mechanism
		refused    bool
	}{
		{"plain", s.Addr, nil, nil, false},
		{"password", s.SASLAddr, nil, good, false},
		{"SCRAM-SHA-256", s.SASLAddr, nil, sha256, false},
		{"SCRAM-SHA-512", s.SASLAddr, nil, sha512, false},
		{"token", s.SASLAddr, nil, token{}, false},
		{"password and TLS", s.SecureAddr, s.Certs.TLS(), good, false},
		{"SCRAM-SHA-256 and TLS", s.SecureAddr, s.Certs.TLS(), sha256, false},
		{"SCRAM-SHA-512 and TLS", s.SecureAddr, s.Certs.TLS(), sha512, false},
		{"token and TLS", s.SecureAddr, s.Certs.TLS(), token{}, false},
		{"client certificate", s.MutualTLSAddr, s.Certs.MutualTLS(), nil, false},

		{"no TLS", s.SecureAddr, nil, good, true},
		{"no password", s.SecureAddr, s.Certs.TLS(), nil, true},
		{"wrong password", s.SecureAddr, s.Certs.TLS(), plain.Mechanism{Username: s.User, Password: "wrong"}, true},
		{"wrong CA", s.SecureAddr, wrongCA, good, true},
		{"no client certificate", s.MutualTLSAddr, s.Certs.TLS(), nil, true},
		{"wrong client certificate", s.MutualTLSAddr, wrongClient, nil, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			client := kafka.Client{
				Addr:      kafka.TCP(c.addr),
				Timeout:   10 * time.Second,
				Transport: &kafka.Transport{TLS: c.tls, SASL: c.sasl},
			}
			defer client.Transport.(*kafka.Transport).CloseIdleConnections()
			_, err := client.Metadata(t.Context(), &kafka.MetadataRequest{})
			checkRefused(t, err, c.refused)
		})
	}
}

func TestKafkaRefusesTheLimitedUser(t *testing.T) {
	t.Parallel()
	s := brokers.Kafka(t)
	sha512, err := scram.Mechanism(scram.SHA512, brokers.Limited, s.Password)
	if err != nil {
		t.Fatal(err)
	}
	for _, login := range []sasl.Mechanism{sha512, plain.Mechanism{Username: brokers.Limited, Password: s.Password}} {
		transport := &kafka.Transport{TLS: s.Certs.TLS(), SASL: login}
		defer transport.CloseIdleConnections()
		client := kafka.Client{Addr: kafka.TCP(s.SecureAddr), Transport: transport}
		answer, err := client.CreateTopics(t.Context(), &kafka.CreateTopicsRequest{
			Topics: []kafka.TopicConfig{{Topic: "forbidden", NumPartitions: 1, ReplicationFactor: 1}},
		})
		if err != nil {
			t.Fatalf("%s: %v", login.Name(), err)
		}
		if err := answer.Errors["forbidden"]; !errors.Is(err, kafka.TopicAuthorizationFailed) {
			t.Errorf("%s: creating a topic gives %v, want %v", login.Name(), err, kafka.TopicAuthorizationFailed)
		}
	}
}

// A token is an unsecured JSON web token for one hour.
type token struct{}

func (token) Name() string { return "OAUTHBEARER" }

func (t token) Start(context.Context) (sasl.StateMachine, []byte, error) {
	return t, []byte("n,,\x01auth=Bearer " + unsecuredToken() + "\x01\x01"), nil
}

func (token) Next(_ context.Context, challenge []byte) (bool, []byte, error) {
	if len(challenge) > 0 {
		return true, nil, errors.New(string(challenge))
	}
	return true, nil, nil
}

func unsecuredToken() string {
	now := time.Now()
	claims := fmt.Sprintf(`{"sub":%q,"iat":%d,"exp":%d}`, brokers.User, now.Unix(), now.Add(time.Hour).Unix())
	encode := base64.RawURLEncoding.EncodeToString
	return encode([]byte(`{"alg":"none"}`)) + "." + encode([]byte(claims)) + "."
}
