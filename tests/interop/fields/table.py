"""Sends the same requests through both proxies, and prints what is different behind them."""

import base64
import hashlib
import json
import socket
import sys
import threading
import time

BACKEND, NGINX, TIDEGATE = map(int, sys.argv[1:4])
seen = []

# Why tidegate does otherwise, by the request ("*": all of them) and the field.
REASONS = {
    ("*", "via"): "a proxy names itself (RFC 9110 §7.6.3)",
    ("*", "x-request-id"): "each request has an id, in log, backend and answer",
    ("*", "forwarded"): "RFC 7239 beside the older fields",
    ("*", "server"): "tidegate does not say who it is",
    ("*", "connection"): "of this hop, in letters of its own",
    ("lies", "x-forwarded-for"): "a stranger's chain is not believed; nginx appends to it",
    ("smuggled", "x-rewrite-url"): "speaks for a proxy: not from strangers",
    ("smuggled", "proxy"): "becomes HTTP_PROXY of a CGI program (CVE-2016-5385)",
    ("smuggled", "tidegate-session"): "only tidegate may say it",
    ("named", "x-secret"): "named by Connection: ends here (RFC 9110 §7.6.1)",
    ("named", "proxy-connection"): "of this hop",
    ("absolute", "location"): "the same place: the host stays as the backend wrote it",
    ("content location", "content-location"): "nginx leaves it",
    ("no slash", "content-length"): "nginx answers with a page, too",
    ("no slash", "content-type"): "nginx answers with a page, too",
    ("compressed", "content-encoding"): "brotli before gzip, where the client takes both",
    ("away", "first line"): "the reason phrase, which means nothing (RFC 9112 §4)",
    ("away", "content-type"): "text has its charset",
    ("away", "etag"): "an error has no tag",
    ("away", "last-modified"): "an error has no date",
    ("away", "retry-after"): "goes with the error; nginx drops it",
}


def head(wire):
    data = b""
    while b"\r\n\r\n" not in data:
        more = wire.recv(65536)
        if not more:
            return None, b""
        data += more
    text, rest = data.split(b"\r\n\r\n", 1)
    first, *lines = text.decode("latin-1").split("\r\n")
    return (first, [tuple(line.split(": ", 1)) if ": " in line else (line, "") for line in lines]), rest


ANSWERS = {
    "/redirect": ("302 Found", ["Location: /home", "Set-Cookie: id=7; Path=/; HttpOnly", "Set-Cookie: deep=8; Path=/admin"], ""),
    "/absolute": ("302 Found", ["Location: http://localhost/home"], ""),
    "/elsewhere": ("302 Found", ["Location: https://elsewhere.example/x"], ""),
    "/refresh": ("200 OK", ["Refresh: 5; url=/later", "Content-Type: text/plain"], "x"),
    "/content-location": ("200 OK", ["Content-Location: /page", "Content-Type: text/plain"], "x"),
    "/json": ("200 OK", ["Content-Type: application/json", 'ETag: "x"'], json.dumps(["again"] * 2000)),
    "/small": ("200 OK", ["Content-Type: application/json", 'ETag: "x"'], "{}"),
    "/away": ("503 Service Unavailable", ["Retry-After: 7", "Content-Type: text/plain"], "mine"),
}


def serve(wire):
    with wire:
        request, _ = head(wire)
        if request is None:
            return
        seen.append(request)
        fields = {name.lower(): value for name, value in request[1]}
        if "websocket" in fields.get("upgrade", ""):
            key = fields["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
            accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
            wire.sendall(f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\nSet-Cookie: id=7; Path=/\r\n\r\n".encode())
            return
        path = request[0].split(" ")[1].split("?")[0]
        status, lines, body = ANSWERS.get(path, ("200 OK", ["Content-Type: text/plain"], "hello"))
        answer = [f"HTTP/1.1 {status}", *lines, f"Content-Length: {len(body)}", "Connection: close", "", body]
        wire.sendall("\r\n".join(answer).encode())


def listen():
    listening = socket.create_server(("127.0.0.1", BACKEND))
    while True:
        threading.Thread(target=serve, args=(listening.accept()[0],), daemon=True).start()


def ask(port, path, fields):
    before = len(seen)
    with socket.create_connection(("127.0.0.1", port)) as wire:
        wire.settimeout(20)
        lines = [f"GET {path} HTTP/1.1", "Host: localhost", *fields]
        if not any(field.lower().startswith("connection") for field in fields):
            lines.append("Connection: close")
        wire.sendall("\r\n".join([*lines, "", ""]).encode("latin-1"))
        answer, _ = head(wire)
    came = seen[before] if len(seen) > before else None
    return came, answer


HONEST = ["User-Agent: table", "Accept: */*", "Cookie: a=b"]
UPGRADE = ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Protocol: chat", "Origin: http://localhost"]
REQUESTS = [
    ("plain", "/tool/page?a=/b", HONEST),
    ("websocket", "/tool/ws", [*HONEST, *UPGRADE]),
    ("lies", "/tool/page", [*HONEST, "X-Forwarded-For: 6.6.6.6", "X-Forwarded-Proto: https", "X-Forwarded-Host: evil", "X-Forwarded-Prefix: /evil", "X-Real-IP: 6.6.6.6", "X-Debug: 1", "X-Client: 6.6.6.6"]),
    ("smuggled", "/tool/page", [*HONEST, "X_Real_IP: 6.6.6.6", "X-Rewrite-URL: /admin", "Proxy: http://evil", "Tidegate-Session: 1"]),
    ("named", "/tool/page", [*HONEST, "Connection: close, X-Secret", "X-Secret: 1", "Keep-Alive: timeout=5", "Proxy-Connection: close"]),
    ("redirect", "/tool/redirect", HONEST),
    ("absolute", "/tool/absolute", HONEST),
    ("elsewhere", "/tool/elsewhere", HONEST),
    ("refresh", "/tool/refresh", HONEST),
    ("content location", "/tool/content-location", HONEST),
    ("no slash", "/tool", HONEST),
    ("compressed", "/tool/json", [*HONEST, "Accept-Encoding: gzip, br"]),
    ("small", "/tool/small", [*HONEST, "Accept-Encoding: gzip"]),
    ("away", "/tool/away", HONEST),
    ("rewritten", "/other/u/17?q", HONEST),
]


def by_name(message):
    fields = {}
    for name, value in message[1] if message else []:
        fields.setdefault(name.lower(), []).append(value)
    return fields


def main():
    threading.Thread(target=listen, daemon=True).start()
    for port in (NGINX, TIDEGATE):
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                time.sleep(0.05)
    rows = same = unexplained = 0
    told = set()
    for name, path, fields in REQUESTS:
        sides = [ask(port, path, fields) for port in (NGINX, TIDEGATE)]
        for what, at in (("request", 0), ("answer", 1)):
            nginx, tidegate = (side[at] for side in sides)
            table = [("first line", nginx and [nginx[0]], tidegate and [tidegate[0]])]
            theirs, ours = by_name(nginx), by_name(tidegate)
            for field in sorted({*theirs, *ours}):
                table.append((field, theirs.get(field), ours.get(field)))
            for field, there, here in table:
                rows += 1
                if there == here:
                    same += 1
                    continue
                everywhere = REASONS.get(("*", field))
                reason = REASONS.get((name, field)) or everywhere
                unexplained += reason is None
                if everywhere and (what, field) in told:
                    continue
                told.add((what, field))
                print(f"{name:16} {what:8} {field:22} nginx {there}  tidegate {here}  ({reason or 'NO REASON'})")
    print(f"{len(REQUESTS)} requests, {rows} fields and first lines: {same} the same, {rows - same - unexplained} other with a reason, {unexplained} without")
    sys.exit(unexplained > 0)


main()
