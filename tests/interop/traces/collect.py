"""A collector, a backend and clients: python collect.py PROXY_PORT BACKEND_PORT COLLECTOR_PORT"""

import asyncio
import base64
import json
import sys
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve

proxy, backend, collector = map(int, sys.argv[1:4])
SESSIONS, REQUESTS = 20, 40
batches, faults = [], []
IDS = ("traceId", "spanId", "parentSpanId")


def with_bytes(told):
    """OTLP writes ids in hexadecimal digits, where protobuf's JSON has base64."""
    if isinstance(told, list):
        return [with_bytes(one) for one in told]
    if not isinstance(told, dict):
        return told
    text = lambda digits: base64.b64encode(bytes.fromhex(digits)).decode()
    return {key: text(value) if key in IDS else with_bytes(value) for key, value in told.items()}


class Collector(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        try:
            assert (self.path, self.headers["content-type"]) == ("/v1/traces", "application/json")
            batch = ExportTraceServiceRequest()
            json_format.ParseDict(with_bytes(json.loads(body)), batch, ignore_unknown_fields=False)
            batches.append(batch)
        except Exception as fault:
            faults.append(f"{fault!r}: {body[:300]}")
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_):
        pass


def spans():
    return [span for batch in batches for of in batch.resource_spans for scope in of.scope_spans for span in scope.spans]


async def echo(socket):
    assert socket.request.headers["traceparent"].endswith("-01")
    async for message in socket:
        await socket.send(message)


async def traffic():
    async with serve(echo, "127.0.0.1", backend):
        for _ in range(SESSIONS):
            async with connect(f"ws://127.0.0.1:{proxy}/ws") as socket:
                await socket.send("hello")
                assert await socket.recv() == "hello"
        for _ in range(REQUESTS):
            await asyncio.to_thread(lambda: urllib.request.urlopen(f"http://127.0.0.1:{proxy}/page").read())


server = ThreadingHTTPServer(("127.0.0.1", collector), Collector)
threading.Thread(target=server.serve_forever, daemon=True).start()
for _ in range(200):
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{proxy}/ready").read()
        break
    except OSError:
        time.sleep(0.05)
asyncio.run(traffic())
for _ in range(100):
    if len(spans()) >= 2 * SESSIONS + REQUESTS + 1:
        break
    time.sleep(0.1)

assert not faults, faults[0]
by = lambda name: [span for span in spans() if span.name == name]
opened, ended, asked = by("session open"), by("session end"), by("GET")
assert (len(opened), len(ended), len(asked)) == (SESSIONS, SESSIONS, REQUESTS + 1), (len(opened), len(ended), len(asked))
for span in spans():
    assert len(span.trace_id) == 16 and len(span.span_id) == 8, span
    assert 0 < span.start_time_unix_nano <= span.end_time_unix_nano, span
    assert span.end_time_unix_nano - span.start_time_unix_nano < 5e9, f"a span is short: {span}"
assert {(link.trace_id, link.span_id) for span in ended for link in span.links} == {(span.trace_id, span.span_id) for span in opened}
ids = [(span.trace_id, span.span_id) for span in spans()]
assert len(set(ids)) == len(ids)
print(f"{len(batches)} batches, {len(ids)} spans: all are read strictly; {len(opened)} sessions with two linked spans each")
