package brokers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// log4jVersion is the one that Kafka depends on.
const log4jVersion = "2.25.5"

// Install installs what is missing of the programs that the brokers need:
// Debian packages, and in the user's cache directory Kafka with Maven and a
// library of Node's with npm. With everything in place it does nothing and
// needs no network.
func Install(ctx context.Context, out io.Writer) error {
	var packages []string
	for _, p := range []struct {
		name    string
		present func() (string, error)
	}{
		{"openjdk-17-jdk-headless", lookPath("javac")}, // the broker, and a client from its source
		{"maven", func() (string, error) {
			if kafkaInstalled() {
				return "", nil
			}
			return exec.LookPath("mvn")
		}},
		{"rabbitmq-server", rabbitMQServer},
		{"mosquitto", lookPath("mosquitto")},
		{"mosquitto-clients", lookPath("mosquitto_pub")},
		{"redis-server", lookPath("redis-server")},
		{"nats-server", lookPath("nats-server")},
		{"netcat-openbsd", lookPath("nc")},
		{"socat", lookPath("socat")},
		{"iputils-ping", lookPath("ping")},
		{"openssl", lookPath("openssl")},
		{"python3-pika", func() (string, error) { return PythonWith("pika") }}, // another client of RabbitMQ
		{"nodejs", lookPath("node")},
		{"npm", lookPath("npm")},
		{"chromium", lookPath("chromium")},
		{"python3-pip", func() (string, error) {
			if _, err := NATSPython(); err == nil {
				return "", nil
			}
			return "", exec.CommandContext(ctx, "python3", "-m", "pip", "--version").Run()
		}},
	} {
		if _, err := p.present(); err != nil {
			packages = append(packages, p.name)
		}
	}
	if err := installPackages(ctx, out, packages); err != nil {
		return err
	}
	return errors.Join(installKafka(ctx, out), installNodeModules(ctx, out), installNATSPython(ctx, out))
}

// PythonWith looks for a Python that has a module. Debian's packages are for
// Debian's Python, which need not be the first on the PATH.
func PythonWith(module string) (string, error) {
	var err error
	for _, python := range []string{"/usr/bin/python3", "python3"} {
		var path string
		if path, err = exec.LookPath(python); err == nil {
			if err = exec.Command(path, "-c", "import "+module).Run(); err == nil {
				return path, nil
			}
		}
	}
	return "", err
}

// lookPath also looks where Debian keeps servers, which is not on every
// user's PATH.
func lookPath(name string) func() (string, error) {
	return func() (string, error) {
		path, err := exec.LookPath(name)
		if err != nil {
			if inSbin, sbinErr := exec.LookPath("/usr/sbin/" + name); sbinErr == nil {
				return inSbin, nil
			}
		}
		return path, err
	}
}

func installPackages(ctx context.Context, out io.Writer, packages []string) (err error) {
	if len(packages) == 0 {
		return nil
	}
	list := strings.Join(packages, " ")
	if _, err := exec.LookPath("apt-get"); err != nil {
		return fmt.Errorf("brokers: this installs on Debian only; install by other means what these packages hold: %s", list)
	}
	if os.Geteuid() != 0 {
		return fmt.Errorf("brokers: installing needs root: apt-get install --no-install-recommends %s", list)
	}

	// The packages would start their servers, on the ports that everybody
	// knows. What a policy denies here, systemd and init scripts don't start.
	const policy = "/usr/sbin/policy-rc.d"
	file, err := os.OpenFile(policy, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	switch {
	case errors.Is(err, os.ErrExist):
		// The machine has its own policy. Containers deny every start.
	case err != nil:
		return err
	default:
		defer func() { err = errors.Join(err, os.Remove(policy)) }()
		_, err := io.WriteString(file, "#!/bin/sh\nexit 101\n")
		if err := errors.Join(err, file.Close()); err != nil {
			return err
		}
	}

	for _, argv := range [][]string{
		{"apt-get", "update", "-qq"},
		append([]string{"apt-get", "install", "-y", "-qq", "--no-install-recommends"}, packages...),
	} {
		if err := command(ctx, out, "", argv...); err != nil {
			return err
		}
	}
	return disableServices(ctx, out, packages)
}

// disableServices keeps the servers just installed from starting with the
// machine.
func disableServices(ctx context.Context, out io.Writer, packages []string) error {
	if _, err := os.Stat("/run/systemd/system"); err != nil {
		return nil
	}
	for _, name := range packages {
		if !strings.HasSuffix(name, "-server") && name != "mosquitto" {
			continue
		}
		if err := command(ctx, out, "", "systemctl", "disable", name); err != nil {
			return err
		}
	}
	return nil
}

func kafkaInstalled() bool {
	dir, err := KafkaJars()
	if err != nil {
		return false
	}
	_, err = os.Stat(dir)
	return err == nil
}

// natsPythonVersion is the release of nats-py that tests use.
const natsPythonVersion = "2.16.0"

// NATSPython gives the directory of nats-py, a client of NATS in Python.
func NATSPython() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "asyncapi-impl", "nats-py-"+natsPythonVersion)
	if _, err := os.Stat(dir); err != nil {
		return "", missing(err)
	}
	return dir, nil
}

func installNATSPython(ctx context.Context, out io.Writer) (err error) {
	if _, err := NATSPython(); err == nil {
		return nil
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return err
	}
	parent := filepath.Join(cache, "asyncapi-impl")
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return err
	}
	work, err := os.MkdirTemp(parent, "nats-py-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	dir := filepath.Join(work, "library")
	if err := command(ctx, out, "", "python3", "-m", "pip", "install", "--quiet", "--target", dir, "nats-py=="+natsPythonVersion); err != nil {
		return err
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return err
	}
	if err := os.Rename(dir, filepath.Join(parent, "nats-py-"+natsPythonVersion)); err != nil {
		if _, there := NATSPython(); there != nil {
			return err
		}
	}
	return nil
}

// installKafka fetches Kafka and what it depends on. The directory gets its
// name when it is complete.
func installKafka(ctx context.Context, out io.Writer) (err error) {
	if kafkaInstalled() {
		return nil
	}
	dir, err := KafkaJars()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	work, err := os.MkdirTemp(filepath.Dir(dir), "kafka-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	pom := fmt.Sprintf(`<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>asyncapi-impl</groupId>
  <artifactId>kafka</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka_2.13</artifactId>
      <version>%s</version>
    </dependency>
    <!-- Without it Kafka runs and says nothing. -->
    <dependency>
      <groupId>org.apache.logging.log4j</groupId>
      <artifactId>log4j-slf4j-impl</artifactId>
      <version>%s</version>
    </dependency>
  </dependencies>
</project>
`, KafkaVersion, log4jVersion)
	if err := os.WriteFile(filepath.Join(work, "pom.xml"), []byte(pom), 0o600); err != nil {
		return err
	}
	jars := filepath.Join(work, "jars")
	err = command(ctx, out, work, "mvn", "--batch-mode", "--quiet",
		"org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies",
		"-DincludeScope=runtime", "-DoutputDirectory="+jars)
	if err != nil {
		return err
	}
	if err := os.Rename(jars, dir); err != nil && !kafkaInstalled() {
		return err
	}
	return nil
}

// nodeWS is the version of Node's WebSocket library.
const nodeWS = "8.18.3"

// NodeModules is the directory in which Node finds the libraries that tests
// use, ws among them; as NODE_PATH it makes them known. It need not exist.
func NodeModules() (string, error) {
	cache, err := os.UserCacheDir()
	return filepath.Join(cache, "asyncapi-impl", "ws-"+nodeWS, "node_modules"), err
}

func installNodeModules(ctx context.Context, out io.Writer) error {
	dir, err := NodeModules()
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(dir, "ws")); err == nil {
		return nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return command(ctx, out, "", "npm", "install", "--no-audit", "--no-fund", "--ignore-scripts",
		"--prefix", filepath.Dir(dir), "ws@"+nodeWS)
}

func command(ctx context.Context, out io.Writer, dir string, argv ...string) error {
	if _, err := fmt.Fprintln(out, strings.Join(argv, " ")); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("brokers: %s: %w", argv[0], err)
	}
	return nil
}
