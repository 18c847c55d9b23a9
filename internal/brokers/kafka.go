package brokers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// KafkaVersion is the Apache Kafka that the tests run against.
const KafkaVersion = "4.4.0"

var kafka = kind{name: "kafka", configure: configureKafka}

// Kafka is an Apache Kafka of one node, without ZooKeeper.
//
// SecureAddr and SASLAddr take PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, and
// OAUTHBEARER with an unsecured JSON web token that names the user. Topics are created on
// first use. But for Limited, everybody may do everything.
func Kafka(t testing.TB) *Server { t.Helper(); return kafka.shared(t) }

// StartKafka is a [Kafka] of the test's own.
func StartKafka(t testing.TB) *Server { t.Helper(); return kafka.private(t) }

// proxiedListeners is how many tests can have a proxy before one Kafka at the
// same time.
const proxiedListeners = 8

func configureKafka(s *Server) error {
	java, err := exec.LookPath("java")
	if err != nil {
		return missing(err)
	}
	jars, err := KafkaJars()
	if err != nil {
		return err
	}
	if _, err := os.Stat(jars); err != nil {
		return missing(err)
	}

	var controller string
	err = s.listenAll(&s.Addr, &s.SecureAddr, &s.MutualTLSAddr, &s.SASLAddr, &controller)
	if err != nil {
		return err
	}
	s.URL = "kafka://" + s.Addr
	s.proxied = make(chan [2]string, proxiedListeners)
	listeners := []string{
		"PLAIN://" + s.Addr,
		"SECURE://" + s.SecureAddr,
		"MTLS://" + s.MutualTLSAddr,
		"SASL://" + s.SASLAddr,
	}
	advertised := listeners[:len(listeners):len(listeners)]
	protocols := "CONTROLLER:PLAINTEXT,PLAIN:PLAINTEXT,SECURE:SASL_SSL,MTLS:SSL,SASL:SASL_PLAINTEXT"
	for i := range proxiedListeners {
		var proxy, upstream string
		if err := s.listenAll(&proxy, &upstream); err != nil {
			return err
		}
		s.proxied <- [2]string{proxy, upstream}
		name := fmt.Sprintf("PROXIED%d", i)
		listeners = append(listeners, name+"://"+upstream)
		advertised = append(advertised, name+"://"+proxy)
		protocols += "," + name + ":PLAINTEXT"
	}

	// Kafka wants the key and the certificate in one file.
	keystore, err := s.keystore()
	if err != nil {
		return err
	}
	config, err := s.write("server.properties", strings.Join([]string{
		"process.roles=broker,controller",
		"node.id=1",
		"controller.quorum.voters=1@" + controller,
		"controller.listener.names=CONTROLLER",
		"listeners=CONTROLLER://" + controller + "," + strings.Join(listeners, ","),
		"advertised.listeners=" + strings.Join(advertised, ","),
		"listener.security.protocol.map=" + protocols,
		"inter.broker.listener.name=PLAIN",
		"log.dirs=" + filepath.Join(s.dir, "data"),

		"auto.create.topics.enable=true",
		"num.network.threads=2",
		"num.io.threads=4",
		"group.initial.rebalance.delay.ms=0",
		"group.min.session.timeout.ms=1000",
		"offsets.topic.num.partitions=1",
		"offsets.topic.replication.factor=1",
		"transaction.state.log.num.partitions=1",
		"transaction.state.log.replication.factor=1",
		"transaction.state.log.min.isr=1",
		"share.coordinator.state.topic.num.partitions=1",
		"share.coordinator.state.topic.replication.factor=1",
		"share.coordinator.state.topic.min.isr=1",
		"log.cleaner.dedupe.buffer.size=4194304",
		// The controller takes a broker that was killed for alive, and refuses
		// its successor, until its session ends.
		"broker.session.timeout.ms=2000",
		"broker.heartbeat.interval.ms=300",

		"authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
		"super.users=User:ANONYMOUS;User:" + User + ";User:CN=" + User,

		"ssl.keystore.type=PEM",
		"ssl.keystore.location=" + keystore,
		"ssl.truststore.type=PEM",
		"ssl.truststore.location=" + s.Certs.CAFile,
		"listener.name.mtls.ssl.client.auth=required",
		kafkaSASL("secure"),
		kafkaSASL("sasl"),
	}, "\n"))
	if err != nil {
		return err
	}

	jvm := []string{
		java, "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
		"-XX:-UsePerfData", // its file would stay after a SIGKILL
		"-Djava.io.tmpdir=" + s.dir,
		"-Dlog4j2.level=INFO",
		"-cp", filepath.Join(jars, "*"),
	}
	s.prepare = func(ctx context.Context) error {
		format := append(jvm[:len(jvm):len(jvm)], "kafka.tools.StorageTool", "format",
			"--config", config, "--cluster-id", "YXN5bmNhcGktaW1wbC10ZQ")
		for _, mechanism := range []string{"SCRAM-SHA-256", "SCRAM-SHA-512"} {
			for _, user := range []string{User, Limited} {
				format = append(format, "--add-scram", fmt.Sprintf("%s=[name=%s,password=%q]", mechanism, user, Password))
			}
		}
		return s.run(ctx, format...)
	}
	s.process(&process{
		name: "kafka",
		argv: append(jvm[:len(jvm):len(jvm)], "kafka.Kafka", config),
		ready: func(ctx context.Context) error {
			if err := dialAll(ctx, s.SecureAddr, s.MutualTLSAddr, s.SASLAddr); err != nil {
				return err
			}
			// ApiVersions, version 0, correlation 1, no client id. The answer is
			// its length, the correlation and an error code.
			const hello = "\x00\x00\x00\x0a\x00\x12\x00\x00\x00\x00\x00\x01\xff\xff"
			answer, err := exchange(ctx, s.Addr, hello, 10)
			if err == nil && answer[4:] != "\x00\x00\x00\x01\x00\x00" {
				err = fmt.Errorf("ApiVersions gives %q", answer)
			}
			return err
		},
	})
	return nil
}

// kafkaSASL configures every mechanism that Kafka can do without a server of
// its own for a listener.
func kafkaSASL(listener string) string {
	const login = "org.apache.kafka.common.security."
	mechanism := func(name, module, options string) string {
		return fmt.Sprintf("listener.name.%s.%s.sasl.jaas.config=%s%s required%s;", listener, name, login, module, options)
	}
	return strings.Join([]string{
		"listener.name." + listener + ".sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER",
		mechanism("plain", "plain.PlainLoginModule", fmt.Sprintf(" user_%s=%q user_%s=%[2]q", User, Password, Limited)),
		mechanism("scram-sha-256", "scram.ScramLoginModule", ""),
		mechanism("scram-sha-512", "scram.ScramLoginModule", ""),
		mechanism("oauthbearer", "oauthbearer.OAuthBearerLoginModule", ` unsecuredLoginStringClaim_sub="broker"`),
	}, "\n")
}

func (s *Server) keystore() (string, error) {
	key, err := os.ReadFile(s.Certs.ServerKeyFile)
	if err != nil {
		return "", err
	}
	cert, err := os.ReadFile(s.Certs.ServerFile)
	if err != nil {
		return "", err
	}
	return s.write("keystore.pem", string(key)+string(cert))
}

// KafkaJars is where the installer keeps Kafka.
func KafkaJars() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(cache, "asyncapi-impl", "kafka-"+KafkaVersion), nil
}

// missing says how to get what a broker lacks.
func missing(err error) error {
	return errors.Join(err, errors.New("run: go run ./internal/brokers/install"))
}
