"""Counts what passes of each pattern, by each proxy; fails where tidegate's is further than 5 % from
another's."""

import socket
import sys
import time

NAMES = ("nginx", "haproxy", "tidegate")
PORTS = dict(zip(NAMES, map(int, sys.argv[1:4])))
REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


def connect(port):
    for _ in range(200):
        try:
            wire = socket.create_connection(("127.0.0.1", port))
            wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return wire
        except OSError:
            time.sleep(0.05)
    raise SystemExit(f"nothing listens on {port}")


class Client:
    """One connection, opened again where the proxy has closed it."""

    def __init__(self, port):
        self.port = port
        self.wire = connect(port)

    def passes(self):
        try:
            self.wire.sendall(REQUEST)
            return self.answer()
        except OSError:
            self.wire = connect(self.port)
            self.wire.sendall(REQUEST)
            return self.answer()

    def answer(self):
        data = b""
        while b"\r\n\r\n" not in data:
            more = self.wire.recv(65536)
            if not more:
                raise ConnectionResetError
            data += more
        head, body = data.split(b"\r\n\r\n", 1)
        lines = head.lower().split(b"\r\n")
        length = next(int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length:"))
        while len(body) < length:
            body += self.wire.recv(65536)
        if b"connection: close" in lines:
            self.wire.close()
            self.wire = connect(self.port)
        return lines[0].split(b" ")[1] == b"200"


def ticks(seconds, pattern):
    """When requests are sent: a second and how many at once."""
    if pattern == "below the rate":
        return [(at / 15, 1) for at in range(15 * seconds)]
    if pattern == "five times the rate":
        return [(at / 100, 1) for at in range(100 * seconds)]
    return [(at, 60) for at in range(0, seconds, 5)]


def main():
    worst = 0.0
    for pattern, seconds in (("below the rate", 10), ("five times the rate", 30), ("60 each 5 s", 30)):
        time.sleep(3)
        clients = {name: Client(port) for name, port in PORTS.items()}
        passed = dict.fromkeys(NAMES, 0)
        sent = 0
        began = time.monotonic()
        for at, count in ticks(seconds, pattern):
            time.sleep(max(0.0, began + at - time.monotonic()))
            sent += count
            for name, client in clients.items():
                passed[name] += sum(client.passes() for _ in range(count))
        away = {name: passed["tidegate"] / passed[name] - 1 for name in NAMES}
        worst = max(worst, *(abs(one) for one in away.values()))
        counts = ", ".join(f"{name} {passed[name]} ({100 * away[name]:+.1f} %)" for name in NAMES[:2])
        print(f"{pattern}: of {sent} sent tidegate lets pass {passed['tidegate']}; {counts}", flush=True)
    print(f"at most {100 * worst:.1f} % away from another")
    sys.exit(worst > 0.05)


main()
