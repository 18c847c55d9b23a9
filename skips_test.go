package asyncapiimpl_test

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/asyncapi-impl/asyncapi-impl/internal/matrix"
)

// skips are the checks of the conformance suite that are left out, for each
// driver and server. A check that is left out without standing here goes
// unseen; one that stands here and runs makes the table a lie.
var skips = map[string]string{
	"amqp/rabbitmq@rabbitmq": `
		content-type-refused error-answered error-survived group-changes groups headers-refused
		listener-restart order-per-key payload-too-large stress`,
	"amqp/streadway@rabbitmq": `
		content-type-refused error-answered error-survived group-changes groups headers-refused
		listener-restart order-per-key payload-too-large stress`,
	"http/std": `
		address-deleted address-missing before-receive cancel-with-backlog content-type-refused
		crash-returns credentials-revoked error-keeps-order error-paused error-redelivers fan-out
		foreign-receives graceful-stop group-changes group-offline groups headers-refused idle-subscriber
		no-password order order-per-key outage-logged password received-payload-apart send-refused
		server-killed server-killed-idle settled-stays stale-settlement stress tls-mutual tls-server
		unsettled-hole unsettled-returns wrong-password`,
	"ip/std": `
		address-deleted address-missing all-arrive backpressure batch batch-partial-failure before-receive
		black-hole cancel-in-handler cancel-with-backlog close-bounded close-during-receive
		close-during-send close-in-handler close-waits close-while-down concurrency concurrent-publishers
		concurrent-send content-type-values crash-returns credentials-revoked cut down-at-start
		error-answered error-keeps-order error-paused error-redelivers error-survived failed-opens fan-out
		foreign-receives graceful-stop group-changes group-offline groups handler-sends header-binary
		header-keys header-repeated header-types header-values headers-apart idle-subscriber
		listener-restart long-outage many-addresses many-sends no-password one-handler one-receive order
		order-per-key outage-logged panic password receive-again received-payload-apart reject
		request-deadline request-reply reset reset-often send-cancel send-confirmed send-deadline
		send-outage-deadline send-refused send-timeout send-waits server-killed server-killed-idle
		settled-stays silent-at-start slow-handler slow-neighbour slow-network stale-settlement stall stress
		tls tls-client-certificate tls-mutual tls-refused tls-server tls-to-plain unsettled-hole
		unsettled-returns wrong-password`,
	"ip/std@without loss": `
		address-deleted address-missing black-hole close-while-down content-type-values crash-returns
		credentials-revoked cut down-at-start error-answered error-keeps-order error-paused error-redelivers
		failed-opens fan-out foreign-receives graceful-stop group-changes group-offline groups header-binary
		header-keys header-repeated header-types header-values headers-apart idle-subscriber
		listener-restart long-outage many-addresses many-sends no-password order order-per-key outage-logged
		password received-payload-apart request-deadline request-reply reset reset-often send-cancel
		send-confirmed send-deadline send-outage-deadline send-refused send-timeout send-waits server-killed
		server-killed-idle settled-stays silent-at-start slow-neighbour slow-network stale-settlement stall
		stress tls tls-client-certificate tls-mutual tls-refused tls-server tls-to-plain unsettled-hole
		unsettled-returns wrong-password`,
	"kafka/franz@kafka 4.4.0": `
		content-type-refused error-answered error-survived headers-refused listener-restart request-deadline
		request-reply stress`,
	"kafka/franz@kfake": `
		content-type-refused credentials-revoked error-answered error-survived headers-refused
		listener-restart request-deadline request-reply send-refused stress`,
	"kafka/segmentio@kafka 4.4.0": `
		content-type-refused error-answered error-survived headers-refused listener-restart request-deadline
		request-reply stress`,
	"kafka/segmentio@kfake": `
		content-type-refused credentials-revoked error-answered error-survived headers-refused
		listener-restart request-deadline request-reply send-refused stress`,
	"mqtt/paho@mosquitto": `
		address-deleted address-missing content-type-values error-answered error-survived group-changes
		header-binary header-keys header-repeated header-types header-values headers-apart listener-restart
		order-per-key payload-too-large request-deadline request-reply send-refused stress`,
	"mqtt5/paho@mosquitto": `
		address-deleted address-missing content-type-refused error-answered error-survived group-changes
		headers-refused listener-restart order-per-key payload-too-large stress`,
	"nats/jetstream@nats-server": `
		content-type-refused error-answered error-keeps-order error-survived headers-refused
		listener-restart order-per-key request-deadline request-reply stress`,
	"nats/jetstream@nats-server in process": `
		content-type-refused error-answered error-keeps-order error-survived headers-refused
		listener-restart order-per-key request-deadline request-reply stress`,
	"nats/natsgo@nats-server": `
		address-deleted address-missing content-type-refused crash-returns error-answered error-keeps-order
		error-paused error-redelivers graceful-stop group-changes group-offline headers-refused
		listener-restart order-per-key received-payload-apart settled-stays stale-settlement stress
		unsettled-hole unsettled-returns`,
	"nats/natsgo@nats-server in process": `
		address-deleted address-missing content-type-refused crash-returns error-answered error-keeps-order
		error-paused error-redelivers graceful-stop group-changes group-offline headers-refused
		listener-restart order-per-key received-payload-apart settled-stays stale-settlement stress
		unsettled-hole unsettled-returns`,
	"redis/goredis@miniredis": `
		address-deleted address-missing content-type-values crash-returns error-answered error-keeps-order
		error-paused error-redelivers graceful-stop group-changes group-offline groups header-binary
		header-keys header-repeated header-types header-values headers-apart listener-restart order-per-key
		received-payload-apart request-deadline request-reply settled-stays stale-settlement stress
		unsettled-hole unsettled-returns`,
	"redis/goredis@redis": `
		address-deleted address-missing content-type-values crash-returns error-answered error-keeps-order
		error-paused error-redelivers graceful-stop group-changes group-offline groups header-binary
		header-keys header-repeated header-types header-values headers-apart listener-restart order-per-key
		received-payload-apart request-deadline request-reply settled-stays stale-settlement stress
		unsettled-hole unsettled-returns`,
	"redis/streams@miniredis": `
		content-type-refused error-answered error-survived headers-refused listener-restart order-per-key
		request-deadline request-reply stress`,
	"redis/streams@redis": `
		content-type-refused error-answered error-survived headers-refused listener-restart order-per-key
		request-deadline request-reply stress`,
	"tcp/std": `
		address-deleted address-missing black-hole content-type-values crash-returns credentials-revoked
		error-answered error-keeps-order error-paused error-redelivers fan-out foreign-receives
		graceful-stop group-changes group-offline groups header-binary header-keys header-repeated
		header-types header-values headers-apart idle-subscriber many-addresses no-password order-per-key
		outage-logged password received-payload-apart request-deadline request-reply send-confirmed
		send-outage-deadline send-refused send-timeout send-waits server-killed server-killed-idle
		settled-stays silent-at-start slow-neighbour stale-settlement stress tls-mutual tls-server
		unsettled-hole unsettled-returns wrong-password`,
	"udp/std": `
		address-deleted address-missing all-arrive backpressure batch batch-partial-failure before-receive
		black-hole cancel-in-handler cancel-with-backlog close-bounded close-during-receive
		close-during-send close-in-handler close-waits close-while-down concurrency concurrent-publishers
		concurrent-send content-type-values crash-returns credentials-revoked cut down-at-start
		error-answered error-keeps-order error-paused error-redelivers error-survived failed-opens fan-out
		foreign-receives graceful-stop group-changes group-offline groups handler-sends header-binary
		header-keys header-repeated header-types header-values headers-apart idle-subscriber
		listener-restart long-outage many-addresses many-sends no-password one-handler one-receive order
		order-per-key outage-logged panic password receive-again received-payload-apart reject
		request-deadline request-reply reset reset-often send-cancel send-confirmed send-deadline
		send-outage-deadline send-refused send-timeout send-waits server-killed server-killed-idle
		settled-stays silent-at-start slow-handler slow-neighbour slow-network stale-settlement stall stress
		tls tls-client-certificate tls-mutual tls-refused tls-server tls-to-plain unsettled-hole
		unsettled-returns wrong-password`,
	"udp/std@without loss": `
		address-deleted address-missing black-hole close-while-down content-type-values crash-returns
		credentials-revoked cut down-at-start error-answered error-keeps-order error-paused error-redelivers
		failed-opens fan-out foreign-receives graceful-stop group-changes group-offline groups header-binary
		header-keys header-repeated header-types header-values headers-apart idle-subscriber
		listener-restart long-outage many-addresses many-sends no-password order order-per-key outage-logged
		password received-payload-apart request-deadline request-reply reset reset-often send-cancel
		send-confirmed send-deadline send-outage-deadline send-refused send-timeout send-waits server-killed
		server-killed-idle settled-stays silent-at-start slow-neighbour slow-network stale-settlement stall
		stress tls tls-client-certificate tls-mutual tls-refused tls-server tls-to-plain unsettled-hole
		unsettled-returns wrong-password`,
	"ws/coder@its own": `
		address-deleted address-missing content-type-values crash-returns credentials-revoked error-answered
		error-keeps-order error-paused error-redelivers fan-out foreign-receives graceful-stop group-changes
		group-offline groups header-binary header-keys header-repeated header-types header-values
		headers-apart order-per-key outage-logged received-payload-apart request-deadline request-reply
		send-confirmed send-outage-deadline send-refused send-timeout send-waits server-killed
		server-killed-idle settled-stays silent-at-start stale-settlement stress tls-mutual tls-server
		unsettled-hole unsettled-returns`,
	"ws/gobwas@its own": `
		address-deleted address-missing content-type-values crash-returns credentials-revoked error-answered
		error-keeps-order error-paused error-redelivers fan-out foreign-receives graceful-stop group-changes
		group-offline groups header-binary header-keys header-repeated header-types header-values
		headers-apart order-per-key outage-logged received-payload-apart request-deadline request-reply
		send-confirmed send-outage-deadline send-refused send-timeout send-waits server-killed
		server-killed-idle settled-stays silent-at-start stale-settlement stress tls-mutual tls-server
		unsettled-hole unsettled-returns`,
}

func TestSkips(t *testing.T) {
	results, err := matrix.Read(os.DirFS(results))
	if err != nil {
		t.Fatal(err)
	}
	left := matrix.Skips(results)
	for run := range skips {
		if left[run] == nil {
			t.Errorf("%s has no results", run)
		}
	}
	for run, checks := range left {
		want := strings.Fields(skips[run])
		slices.Sort(want)
		if got := slices.Sorted(maps.Keys(checks)); !slices.Equal(got, want) {
			t.Errorf("%s leaves out\n%v, expected is\n%v", run, got, want)
		}
	}
}
