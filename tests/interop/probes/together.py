"""Two backends that are killed and restarted together, behind a route with `hold` whose pool is
probed: after how long all sessions have spoken again, counted from the first backend that takes
connections. `together.py PORT COUNT BACKEND BACKEND`: where tidegate listens, how many sessions, and
the backends' addresses."""

import asyncio
import base64
import hashlib
import os
import signal
import socket
import subprocess
import sys
import time

GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
ROUNDS = 5
BOUND = 1.5


def frame(opcode, payload, is_masked):
    head = bytes([0x80 | opcode, (0x80 if is_masked else 0) | len(payload)])
    if not is_masked:
        return head + payload
    mask = os.urandom(4)
    return head + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))


async def read_frame(reader):
    first, second = await reader.readexactly(2)
    mask = await reader.readexactly(4) if second & 0x80 else bytes(4)
    payload = await reader.readexactly(second & 0x7f)
    return first & 0x0f, bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))


async def echo(reader, writer):
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        keys = [line.split(": ")[1] for line in head.split("\r\n")
                if line.lower().startswith("sec-websocket-key")]
        accept = base64.b64encode(hashlib.sha1((keys[0] + GUID).encode()).digest()).decode()
        writer.write(("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                      "Connection: Upgrade\r\n"
                      f"Sec-WebSocket-Accept: {accept}\r\n\r\n").encode())
        while True:
            opcode, payload = await read_frame(reader)
            if opcode in (8, 9):
                writer.write(frame(opcode if opcode == 8 else 10, payload, False))
            elif opcode != 10:
                writer.write(frame(opcode, payload, False))
            await writer.drain()
            if opcode == 8:
                break
    except (OSError, asyncio.IncompleteReadError, IndexError):
        pass
    writer.close()


async def backend(address):
    host, port = address.split(":")
    await asyncio.start_server(echo, host, int(port), backlog=1024)
    await asyncio.Event().wait()


class Session:
    """Sends the time, ten times a second, and knows the latest that came back."""

    latest = 0.0
    is_closed = False

    async def live(self, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
                     b"Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                     b"Sec-WebSocket-Version: 13\r\n\r\n")
        answer = await reader.readuntil(b"\r\n\r\n")
        assert b" 101 " in answer, answer
        speaking = asyncio.create_task(self.speak(writer))
        try:
            while True:
                opcode, payload = await read_frame(reader)
                if opcode == 8:
                    break
                if opcode == 9:
                    writer.write(frame(10, payload, True))
                elif opcode == 1:
                    self.latest = max(self.latest, float(payload))
        except (OSError, asyncio.IncompleteReadError):
            pass
        self.is_closed = True
        speaking.cancel()

    async def speak(self, writer):
        while True:
            writer.write(frame(1, f"{time.monotonic():.6f}".encode(), True))
            await asyncio.sleep(0.1)


def start(address):
    return subprocess.Popen([sys.executable, __file__, "backend", address])


async def takes(address):
    host, port = address.split(":")
    while True:
        try:
            socket.create_connection((host, int(port)), 1).close()
            return time.monotonic()
        except OSError:
            await asyncio.sleep(0.005)


async def main(port, count, addresses):
    running = [start(address) for address in addresses]
    try:
        for address in addresses:
            await takes(address)
        sessions = [Session() for _ in range(count)]
        tasks = [asyncio.create_task(session.live(port)) for session in sessions]
        while any(session.latest == 0 for session in sessions):
            await asyncio.sleep(0.01)
        worst = 0.0
        for number in range(ROUNDS):
            for one in running:
                one.send_signal(signal.SIGKILL)
                one.wait()
            killed = time.monotonic()
            await asyncio.sleep(1 + number % 3)
            first = number % 2
            running[first] = start(addresses[first])
            back = await takes(addresses[first])
            await asyncio.sleep(0.3)
            running[1 - first] = start(addresses[1 - first])
            # What was said after the kill has come back.
            while any(session.latest <= killed and not session.is_closed for session in sessions):
                await asyncio.sleep(0.005)
            took = time.monotonic() - back
            closed = sum(session.is_closed for session in sessions)
            worst = max(worst, took)
            print(f"away {back - killed:.1f} s: {count - closed} of {count} sessions are back "
                  f"{took:.2f} s after the first backend, {closed} closed", flush=True)
            await asyncio.sleep(2)
        for task in tasks:
            task.cancel()
        closed = sum(session.is_closed for session in sessions)
        is_well = worst <= BOUND and closed == 0
        print(f"VERDICT {'holds' if is_well else 'FAILS'}: two backends restarted together, all "
              f"sessions back within {worst:.2f} s (bound {BOUND} s), {closed} closed")
        return 0 if is_well else 1
    finally:
        for one in running:
            one.kill()
            one.wait()


if __name__ == "__main__":
    if sys.argv[1] == "backend":
        asyncio.run(backend(sys.argv[2]))
    else:
        sys.exit(asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:5])))
