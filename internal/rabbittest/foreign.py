# Another client of RabbitMQ, for the tests: sends or receives one message.
import base64
import json
import sys

import pika

action, url, queue = sys.argv[1:4]
connection = pika.BlockingConnection(pika.URLParameters(url))
channel = connection.channel()
if action == "send":
    message = json.load(sys.stdin)
    channel.confirm_delivery()
    channel.basic_publish(
        "",
        queue,
        base64.b64decode(message["payload"]),
        pika.BasicProperties(headers=message["headers"], delivery_mode=2),
        mandatory=True,
    )
else:
    print("ready", flush=True)
    for method, properties, body in channel.consume(queue, inactivity_timeout=60):
        if method is None:
            sys.exit("no message came")
        channel.basic_ack(method.delivery_tag)
        headers = {k: v for k, v in (properties.headers or {}).items() if isinstance(v, str)}
        print(json.dumps({"payload": base64.b64encode(body).decode(), "headers": headers}), flush=True)
        break
connection.close()
