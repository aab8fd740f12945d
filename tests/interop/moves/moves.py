"""Moves twenty talking sessions to and fro: `moves.py TIDEGATE SERVER DIRECTORY ROUNDS`."""

import asyncio
import pathlib
import socket
import subprocess
import sys
import time

import websockets

CLIENTS = 20
PATIENCE = 20
# An answer that takes longer than this is lost: none of them takes a tenth of it.
LOST = 5


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Site:
    def __init__(self, tidegate, server, directory):
        self.tidegate = tidegate
        self.directory = pathlib.Path(directory) / server
        self.directory.mkdir()
        self.port, *ports = (free_port() for _ in range(3))
        self.backends = [f"127.0.0.1:{port}" for port in ports]
        self.write(self.backends)
        script = pathlib.Path(__file__).with_name("server.py")
        commands = [[sys.executable, script, server, str(port)] for port in ports]
        commands.append([tidegate, "run"])
        self.log = open(self.directory / "log", "w")
        self.processes = [
            subprocess.Popen(one, cwd=self.directory, stdout=self.log, stderr=self.log)
            for one in commands
        ]
        for port in [*ports, self.port]:
            self.until_open(port)

    def write(self, backends):
        listed = ", ".join(f'"{one}"' for one in backends)
        (self.directory / "tidegate.toml").write_text(
            f'workers = 2\n[listeners.plain]\naddress = "127.0.0.1:{self.port}"\n'
            '[control]\nsocket = "control.sock"\n[drain]\ndelay = "0s"\nwindow = "0s"\n'
            f'[pools.echo]\nbackends = [{listed}]\n'
            '[[routes]]\npool = "echo"\nallowed_origins = "any"\nhold = {}\n'
        )

    def until_open(self, port):
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return
            time.sleep(0.05)
        sys.exit((self.directory / "log").read_text())

    async def order(self, *words):
        process = await asyncio.create_subprocess_exec(
            self.tidegate, *words, cwd=self.directory,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )
        said, _ = await process.communicate()
        if process.returncode:
            sys.exit(f"{words}: {said.decode()}")
        return said.decode()

    async def until_all_on(self, backend):
        listed = f"listed: {CLIENTS} of {CLIENTS} matched"
        while listed not in await self.order("sessions", "--backend", backend):
            await asyncio.sleep(0.05)

    def stop(self):
        for process in reversed(self.processes):
            process.terminate()
        for process in self.processes:
            process.wait()


class Talk:
    """What the clients asked, and how long they waited."""

    def __init__(self):
        self.is_over = False
        self.waits, self.lost, self.closed = [], 0, 0

    async def client(self, port, number):
        async with websockets.connect(f"ws://127.0.0.1:{port}/") as websocket:
            count = 0
            while not self.is_over:
                count += 1
                text, begin = f"{number} {count}", time.monotonic()
                try:
                    await websocket.send(text)
                    await asyncio.wait_for(self.answer(websocket, text), LOST)
                    self.waits.append(time.monotonic() - begin)
                except TimeoutError:
                    self.lost += 1
                except websockets.ConnectionClosed:
                    self.closed += 1
                    return
                await asyncio.sleep(0.002)

    async def answer(self, websocket, text):
        while await websocket.recv() != text:
            pass


async def move(site, rounds):
    moves = 0
    for _ in range(rounds):
        one, two = site.backends
        for words in (["move", "--from", one], ["drain", "--backend", two]):
            await site.order(*words, "--wait")
            await site.order("enable", "--backend", words[-1])
        site.write([two])
        await site.order("reload")
        await site.until_all_on(two)
        site.write([one, two])
        await site.order("reload")
        moves += 3
    return moves


async def main(tidegate, server, directory, rounds):
    site, talk = Site(tidegate, server, directory), Talk()
    try:
        clients = [asyncio.create_task(talk.client(site.port, n)) for n in range(CLIENTS)]
        moves = await move(site, rounds)
        talk.is_over = True
        await asyncio.gather(*clients)
    finally:
        site.stop()
    waits = sorted(talk.waits)
    print(
        f"{server}: {moves} moves of {CLIENTS} sessions, {len(waits)} answers, {talk.lost} lost, "
        f"{talk.closed} clients closed; the longest wait {waits[-1] * 1000:.0f} ms, "
        f"of 99 % {waits[len(waits) * 99 // 100] * 1000:.1f} ms"
    )
    return talk.lost + talk.closed


sys.exit(min(1, asyncio.run(main(*sys.argv[1:4], int(sys.argv[4])))))
