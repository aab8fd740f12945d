"""Sessions by Python's `websockets`, every second one with permessage-deflate. SIGTERM: what they
read is written to NAME.json. python clients.py NAME PORT FIRST COUNT"""

import asyncio
import json
import os
import random
import signal
import sys
import time

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

name, port, first, count = sys.argv[1], *map(int, sys.argv[2:5])
TEXT = "0123456789abcdefghijklmnopqrstuvwxyz" * 600
ROOMS, PERIOD = int(os.environ["ROOMS"]), int(os.environ["PERIOD"]) / 1000


def caller_pad(number):
    return "p" * (number * 7919 % 3001)


def backend_pad(number):
    return TEXT[: 20_000 if number % 10 == 0 else number * 31 % 300]


class Receipts:
    """What a session reads, judged as receipts.mjs does."""

    def __init__(self, session):
        self.session, self.pushed, self.faults, self.streamed = session, [], [], 0
        self.targets = (f"user:u{session}", f"room:r{session % ROOMS}")
        self.last, self.life, self.number = {}, None, 0

    def fault(self, what):
        if len(self.faults) < 5:
            self.faults.append(f"{self.session}: {what}")

    def take(self, data):
        text = data if isinstance(data, str) else data.decode()
        kind, *parts = text.split("|")
        if kind == "P" and len(parts) == 5:
            caller, number, target, sent, pad = parts
            number = int(number)
            if pad != caller_pad(number) or target not in self.targets:
                self.fault(f"push {caller}.{number} for {target} has {len(pad)} bytes of padding")
            if isinstance(data, bytes) != (number % 5 == 0):
                self.fault(f"push {caller}.{number} changed its opcode")
            if number <= self.last.get(caller, -1):
                self.fault(f"push {caller}.{number} came after {self.last[caller]}")
            self.last[caller] = number
            self.pushed.append((f"{caller}.{number}", int(time.time() * 1000) - int(sent)))
        elif kind == "B" and len(parts) == 3:
            life, number, pad = parts[0], int(parts[1]), parts[2]
            if pad != backend_pad(number) or isinstance(data, bytes):
                self.fault(f"the backend's {number} has {len(pad)} bytes of padding")
            if life == self.life and number != self.number + 1:
                self.fault(f"the backend's {number} came after {self.number}")
            self.life, self.number, self.streamed = life, number, self.streamed + 1
        else:
            self.fault(f"neither a push nor the backend's: {len(text)} bytes: {text[:80]}")


sessions, closed = [], []


async def speak(socket):
    sent = 0
    await asyncio.sleep(PERIOD * random.random())
    while True:
        sent += 1
        await socket.send(f"C|{sent}|{backend_pad(sent)}")
        await asyncio.sleep(PERIOD * (0.5 + random.random()))


async def session(number, opened):
    receipts = Receipts(number)
    compression = "deflate" if number % 2 else None
    # It pings as it does by default, but bears a machine on which the answer takes long.
    async with connect(f"ws://127.0.0.1:{port}/?user=u{number}&room=r{number % ROOMS}", compression=compression, ping_timeout=None) as socket:
        sessions.append(receipts)
        opened.set_result(None)
        speaking = asyncio.create_task(speak(socket))
        try:
            async for data in socket:
                receipts.take(data)
        except ConnectionClosed:
            pass
        speaking.cancel()
        closed.append(f"{number}: {socket.close_code}")


async def main():
    ended = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set_result, None)
    tasks = []
    for number in range(first, first + count):
        opened = asyncio.get_running_loop().create_future()
        tasks.append(asyncio.create_task(session(number, opened)))
        await opened
    print(f"{count} sessions are open", flush=True)
    await ended
    told = [{key: getattr(one, key) for key in ("session", "pushed", "faults", "streamed")} for one in sessions]
    with open(f"{name}.json", "w") as file:
        json.dump({"name": name, "closed": closed, "sessions": told}, file)
    os._exit(0)


asyncio.run(main())
