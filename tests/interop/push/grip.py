"""Pushpin and its backend: WebSockets over HTTP, each subscribed to one channel (GRIP)."""

import http.client
import json
import pathlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CHANNEL = "all"


class Backend(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        size = self.headers.get("content-length")
        events = self.rfile.read(int(size)) if size else self._chunks()
        answer = b""
        if events.startswith(b"OPEN"):
            control = b'c:{"type":"subscribe","channel":"' + CHANNEL.encode() + b'"}'
            answer = b"OPEN\r\n" + b"TEXT %x\r\n%b\r\n" % (len(control), control)
        self.send_response(200)
        self.send_header("content-type", "application/websocket-events")
        self.send_header("sec-websocket-extensions", 'grip; message-prefix=""')
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def _chunks(self):
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def log_message(self, *_):
        pass


def serve(port):
    """The backend, for ever."""
    ThreadingHTTPServer.request_queue_size = 1024
    ThreadingHTTPServer(("127.0.0.1", port), Backend).serve_forever()


class Publisher:
    """Publishes on one connection."""

    def __init__(self, port):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)

    def publish(self, payload):
        item = {"channel": CHANNEL, "formats": {"ws-message": {"content": payload.decode()}}}
        self.connection.request("POST", "/publish/", json.dumps({"items": [item]}), {"content-type": "application/json"})
        answer = self.connection.getresponse()
        text = answer.read()
        assert answer.status == 200, text


def configuration(work, port, control, others):
    """pushpin.conf; its rate limit would be all that is measured. Debian's leaves the process that asks
    backends (zurl) to a service of its own: here it is one more child."""
    internal = pathlib.Path("/usr/lib/pushpin/internal.conf").read_text()
    (work / "internal.conf").write_text(internal.replace("/var/run/zurl/", "{rundir}/{ipc_prefix}"))
    return f"""
[global]
include={work}/internal.conf
rundir={work}/run
ipc_prefix=p-
[runner]
services=condure,zurl,pushpin-proxy,pushpin-handler
http_port={port}
logdir={work}/log
log_level=1
client_maxconn=4000
condure_bin=condure
zurl_bin=zurl
[proxy]
routesfile={work}/routes
sig_key=changeme
updates_check=off
[handler]
push_in_spec=tcp://127.0.0.1:{others[0]}
push_in_sub_specs=tcp://127.0.0.1:{others[1]}
push_in_http_addr=127.0.0.1
push_in_http_port={control}
stats_spec=ipc://{{rundir}}/p-stats
command_spec=tcp://127.0.0.1:{others[2]}
message_rate=1000000
message_hwm=1000000
"""
