"""Sends what it reads, or prints the first message that comes."""

import asyncio
import base64
import json
import sys

import nats
from nats.js.api import DeliverPolicy

jetstream, action, url, subject, headers = sys.argv[1:]
jetstream = jetstream == "true"


async def send(nc):
    publish = nc.jetstream().publish if jetstream else nc.publish
    await publish(subject, sys.stdin.buffer.read(), headers=json.loads(headers))
    await nc.flush()


async def receive(nc):
    if jetstream:
        sub = await nc.jetstream().subscribe(subject, deliver_policy=DeliverPolicy.NEW)
    else:
        sub = await nc.subscribe(subject)
    await nc.flush()
    print("ready", flush=True)
    message = await sub.next_msg(timeout=60)
    print(json.dumps({"payload": base64.b64encode(message.data).decode(), "headers": dict(message.headers or {})}), flush=True)


async def main():
    nc = await nats.connect(url)
    await (send if action == "send" else receive)(nc)
    await nc.close()


asyncio.run(main())
