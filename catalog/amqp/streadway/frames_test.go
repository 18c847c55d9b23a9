package streadway_test

import (
	"reflect"
	"testing"

	amqp091 "github.com/rabbitmq/amqp091-go"
	amqp "github.com/streadway/amqp"

	driver "github.com/asyncapi-impl/asyncapi-impl/catalog/amqp/streadway"
)

// TestFieldsOfNewerLibraries: the library would close the connection over a
// message that has one of these, and again whenever it is delivered.
func TestFieldsOfNewerLibraries(t *testing.T) {
	s := managed(t)
	queue := newName()
	sub := subscriber(t, consumer(t, s.URL, nil), queue, nil)
	conn, err := amqp091.Dial(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	channel, err := conn.Channel()
	if err != nil {
		t.Fatal(err)
	}
	fields := func(more amqp091.Table) amqp091.Table {
		table := amqp091.Table{
			"u8": uint8(200), "i8": int8(-7), "u16": uint16(65535), "u32": uint32(1<<32 - 1), "i64": int64(-1), "text": "t",
			"bytes": []byte{1}, "nil": nil, "decimal": amqp091.Decimal{Scale: 1, Value: 5},
			"list": []any{uint8(1), "x", amqp091.Table{"u16": uint16(2)}},
		}
		for key, value := range more {
			table[key] = value
		}
		return table
	}
	err = channel.Publish("", queue, true, false, amqp091.Publishing{
		ContentType: "text/plain", ContentEncoding: "none", MessageId: "id", Body: []byte("x"),
		Headers: fields(amqp091.Table{"table": fields(nil)}),
	})
	if err != nil {
		t.Fatal(err)
	}
	want := func(more driver.Headers) driver.Headers {
		headers := driver.Headers{
			"u8": int16(200), "i8": int16(-7), "u16": int32(65535), "u32": int64(1<<32 - 1), "i64": int64(-1), "text": "t",
			"bytes": []byte{1}, "nil": nil, "decimal": amqp.Decimal{Scale: 1, Value: 5},
			"list": []any{int16(1), "x", driver.Headers{"u16": int32(2)}},
		}
		for key, value := range more {
			headers[key] = value
		}
		return headers
	}
	got := receive(t, sub, 1)[0]
	if have := got.Headers(); !reflect.DeepEqual(have, want(driver.Headers{"table": want(nil)})) {
		t.Errorf("the headers are %#v", have)
	}
	if got.ContentType() != "text/plain" || got.ContentEncoding() != "none" || got.MessageID() != "id" || string(got.Payload()) != "x" {
		t.Errorf("the message is %+v", got.Native())
	}
}
