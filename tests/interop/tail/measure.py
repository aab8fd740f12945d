"""One session that is never idle, with sixteen tails and without: python measure.py TIDEGATE PID PORT BACKEND_PORT"""

import multiprocessing
import os
import socket
import statistics
import subprocess
import sys
import time

tidegate, pid, port, backend = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
FULL = os.environ.get("TIDEGATE_SCALE") == "full"
ROUNDS, SECONDS, TAPS = int(os.environ.get("ROUNDS", 25 if FULL else 7)), float(os.environ.get("SECONDS", 3)), 16
# What sixteen of them may take of a session's rate.
SHARE = 0.03
RATE = 50_000
PAYLOAD = b"x" * 64
UP = b"\x82\xc0\0\0\0\0" + PAYLOAD
DOWN = b"\x82\x40" + PAYLOAD
BATCH, WINDOW = 32, 256
GRANTED = (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
           b"Sec-WebSocket-Accept: %s\r\n\r\n")


def head(sock):
    text = b""
    while b"\r\n\r\n" not in text:
        text += sock.recv(4096)
    return text


def accept_key(text):
    import base64, hashlib
    key = next(line.split(b":", 1)[1].strip() for line in text.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key:"))
    return base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())


def echo():
    """Answers each message by one as long, whatever it says; pings go unanswered."""
    listening = socket.create_server(("127.0.0.1", backend))
    while True:
        sock, _ = listening.accept()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.sendall(GRANTED % accept_key(head(sock)))
        had = 0
        while data := sock.recv(1 << 16):
            had += len(data)
            whole, had = divmod(had, len(UP))
            sock.sendall(DOWN * whole)


def connect():
    for _ in range(200):
        try:
            sock = socket.create_connection(("127.0.0.1", port))
            break
        except OSError:
            time.sleep(0.05)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                 b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n")
    assert b" 101 " in head(sock)
    return sock


def cpu():
    fields = open(f"/proc/{pid}/stat").read().split(") ")[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def round_of(sock, rate):
    """Messages there and back in a second, and the proxy's CPU for each; as many as `rate`, or as go."""
    begun, used, sent, came, rest = time.monotonic(), cpu(), 0, 0, 0
    while (now := time.monotonic() - begun) < SECONDS:
        due = int(now * rate) if rate else sent + BATCH
        if sent - came <= WINDOW - BATCH and due >= sent + BATCH:
            sock.sendall(UP * BATCH)
            sent += BATCH
        elif sent == came:
            time.sleep(0.0002)
            continue
        if sent - came > WINDOW - BATCH or rate:
            if sent > came:
                rest += len(sock.recv(1 << 16))
                whole, rest = divmod(rest, len(DOWN))
                came += whole
    while came < sent:
        rest += len(sock.recv(1 << 16))
        whole, rest = divmod(rest, len(DOWN))
        came += whole
    took = time.monotonic() - begun
    return came / took, (cpu() - used) / came * 1e6


def tails():
    words = [tidegate, "tail", "--all", "--payload", "--json"]
    running = [subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) for _ in range(TAPS)]
    for one in running:
        line = one.stderr.readline()
        assert line.startswith(b"watching"), line
    return running


multiprocessing.Process(target=echo, daemon=True).start()
time.sleep(0.2)
sock = connect()
round_of(sock, 0)
failed = False
for rate, name in ((RATE, f"paced at {RATE:,} messages a second"), (0, "as fast as it goes")):
    ratios, costs = [], []
    for number in range(ROUNDS):
        pair = {}
        for tapped in ((False, True), (True, False))[number % 2]:
            running = tails() if tapped else []
            pair[tapped] = round_of(sock, rate)
            for one in running:
                one.terminate()
                one.wait()
            time.sleep(0.2)
        ratios.append(pair[True][0] / pair[False][0])
        costs.append((pair[False][0], pair[True][0], pair[False][1], pair[True][1]))
    median = [statistics.median(column) for column in zip(*costs)]
    ratio = statistics.median(ratios)
    # Nothing is promised to a session that takes all there is: it shares a core with its watchers.
    good = not rate or ratio >= 1 - SHARE
    failed |= not good
    print(f"{'ok  ' if good else 'FAIL'}  {name}, {ROUNDS} rounds: {median[0]:,.0f} messages/s without, {median[1]:,.0f} with {TAPS} tails: "
          f"ratio {ratio:.3f} ({min(ratios):.3f} to {max(ratios):.3f}); "
          f"proxy's CPU {median[2]:.2f} and {median[3]:.2f} us a message", flush=True)
sys.exit(failed)
