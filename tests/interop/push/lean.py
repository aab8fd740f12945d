"""Clients, a backend and a caller that cost little beside what is measured: raw sockets, no library."""

import base64
import hashlib
import http.client
import json
import os
import re
import select
import socket
import time

HANDSHAKE = (
    "GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
GRANTED = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def masked(body, opcode=1):
    """A message of a client of at most 64 KiB; its mask is zero, so that a backend need not undo it."""
    size = bytes([0x80 | len(body)]) if len(body) < 126 else b"\xfe" + len(body).to_bytes(2, "big")
    return bytes([0x80 | opcode]) + size + bytes(4) + body


def frames(data):
    """The whole frames of a server in `data`, as (opcode, payload), and what is left of it."""
    found, at = [], 0
    while len(data) - at >= 2:
        size, head = data[at + 1] & 127, 2
        if size == 126:
            size, head = int.from_bytes(data[at + 2 : at + 4], "big"), 4
        elif size == 127:
            size, head = int.from_bytes(data[at + 2 : at + 10], "big"), 10
        if len(data) - at < head + size:
            break
        found.append((data[at] & 15, data[at + head : at + head + size]))
        at += head + size
    return found, data[at:]


def echo(listener):
    """A backend that sends back what comes; all its sessions in one process."""
    poll, streams, kept = select.epoll(), {}, {}
    poll.register(listener, select.EPOLLIN)
    while True:
        for number, _ in poll.poll():
            if number == listener.fileno():
                stream, _ = listener.accept()
                stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                streams[stream.fileno()], kept[stream.fileno()] = stream, None
                poll.register(stream, select.EPOLLIN)
                continue
            stream = streams[number]
            try:
                data = stream.recv(65536)
            except ConnectionResetError:
                data = b""
            if not data:
                poll.unregister(stream)
                streams.pop(number).close()
            elif kept[number] is None:
                # A handshake comes in one piece here.
                key = re.search(rb"(?i)\r\nsec-websocket-key: *(\S+)", data)[1]
                stream.sendall(GRANTED + base64.b64encode(hashlib.sha1(key + GUID).digest()) + b"\r\n\r\n")
                kept[number] = b""
            else:
                kept[number] = answer(stream, kept[number] + data)


def answer(stream, data):
    """Sends messages back; their masks are zero."""
    while len(data) >= 6:
        size, head = data[1] & 127, 2
        if size == 126:
            size, head = int.from_bytes(data[2:4], "big"), 4
        if len(data) < head + 4 + size:
            break
        body, opcode = data[head + 4 : head + 4 + size], data[0] & 15
        if opcode < 8:
            stream.sendall(bytes([data[0]]) + data[1:head].replace(bytes([data[1]]), bytes([data[1] & 127]), 1) + body)
        elif opcode == 9:
            stream.sendall(bytes([0x8A, size]) + body)
        data = data[head + 4 + size :]
    return data


def listener():
    """A socket on a port of its own."""
    sock = socket.create_server(("127.0.0.1", 0), backlog=4096)
    return sock, sock.getsockname()[1]


def opened(port, path, buffer=None, tries=200):
    """A session: its socket, whose system keeps `buffer` bytes that are not read."""
    for left in range(tries, 0, -1):
        sock = socket.socket()
        if buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        sock.connect(("127.0.0.1", port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.sendall(HANDSHAKE.format(path=path).encode())
        text = b""
        while b"\r\n\r\n" not in text:
            data = sock.recv(4096)
            if not data:
                break
            text += data
        if b" 101 " in text[:20]:
            assert text.endswith(b"\r\n\r\n"), text
            return sock
        sock.close()
        time.sleep(0.05)
    raise SystemExit(f"no session opens: {text[:200]}")


class Http2:
    """A connection with sessions on its streams; what the server sends in DATA is all that is read."""

    def __init__(self, port):
        self.sock = socket.create_connection(("127.0.0.1", port))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # SETTINGS_INITIAL_WINDOW_SIZE, and the connection's window.
        self.sock.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, b"\0\4\x3f\xff\xff\xff") + frame(8, 0, 0, b"\x3f\0\0\0"))
        self.rest, self.streams, self.granted = b"", 0, 0

    def open(self, path):
        """Asks for a session; gives the stream."""
        self.streams += 1
        number = 2 * self.streams - 1
        fields = [(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"), (":path", path),
                  (":authority", "localhost"), ("sec-websocket-version", "13")]
        # Literal fields that are not indexed (RFC 7541 §6.2.2).
        block = b"".join(b"\0" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode() for name, value in fields)
        self.sock.sendall(frame(1, 4, number, block))
        return number

    def read(self):
        """What has come: (stream, bytes) of each DATA frame; None at the end."""
        data = self.sock.recv(1 << 18)
        if not data:
            return None
        data, at, found = self.rest + data, 0, []
        while len(data) - at >= 9:
            size = int.from_bytes(data[at : at + 3], "big")
            if len(data) - at < 9 + size:
                break
            kind, flags, stream = data[at + 3], data[at + 4], int.from_bytes(data[at + 5 : at + 9], "big")
            body = data[at + 9 : at + 9 + size]
            at += 9 + size
            if kind == 0:
                found.append((stream, body))
            elif kind == 1:
                assert body[:1] == b"\x88", f"not 200: {body[:40]}"
                self.granted += 1
            elif kind == 4 and not flags & 1:
                self.sock.sendall(frame(4, 1, 0, b""))
            elif kind == 6 and not flags & 1:
                self.sock.sendall(frame(6, 1, 0, body))
        self.rest = data[at:]
        return found


def frame(kind, flags, stream, body):
    """One of HTTP/2 (RFC 9113 §4.1)."""
    return len(body).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + body


class Caller:
    """Asks the API on one connection."""

    def __init__(self, port):
        self.port, self.connection = port, None

    def ask(self, method, path, body=b"", headers=None):
        """Status and JSON."""
        for again in (True, False):
            try:
                self.connection = self.connection or http.client.HTTPConnection("127.0.0.1", self.port, timeout=90)
                self.connection.request(method, path, body, headers or {})
                answered = self.connection.getresponse()
                text = answered.read()
                return answered.status, json.loads(text) if text.startswith(b"{") else text.decode()
            except (ConnectionError, http.client.RemoteDisconnected):
                self.connection = None
                if not again:
                    raise

    def push(self, query, body):
        """The report of a push."""
        return self.ask("POST", f"/v1/push?{query}", body)


def cpu(pids):
    """Seconds of processor that these processes have used, to the nanosecond."""
    total = 0
    for pid in pids:
        for task in os.listdir(f"/proc/{pid}/task"):
            try:
                total += int(open(f"/proc/{pid}/task/{task}/schedstat").read().split()[0])
            except FileNotFoundError:
                pass
    return total / 1e9


def memory(pid):
    """KiB of a process that are in memory."""
    status = open(f"/proc/{pid}/status").read()
    return int(status.split("VmRSS:")[1].split()[0])


def part(values, share):
    """A quantile."""
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * share))]


class Verdicts:
    """One line for each thing that is shown."""

    def __init__(self):
        self.failed = False

    def say(self, good, text):
        self.failed |= not good
        print(f"{'ok  ' if good else 'FAIL'}  {text}", flush=True)

    def leave(self):
        raise SystemExit(self.failed)
