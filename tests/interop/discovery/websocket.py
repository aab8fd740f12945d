"""WebSockets as far as the scenes need them: clients, and backends that come and go."""
import asyncio
import base64
import hashlib
import struct

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def frame(opcode, payload, masked):
    """A whole frame. A mask of zeros leaves the payload as it is."""
    size = len(payload)
    head = bytes([0x80 | opcode, (0x80 if masked else 0) | (size if size < 126 else 126)])
    head += struct.pack("!H", size) if size >= 126 else b""
    return head + (bytes(4) if masked else b"") + payload


async def read_frame(reader):
    first, second = await reader.readexactly(2)
    size = second & 0x7F
    if size >= 126:
        kind, width = ("!H", 2) if size == 126 else ("!Q", 8)
        (size,) = struct.unpack(kind, await reader.readexactly(width))
    mask = await reader.readexactly(4) if second & 0x80 else bytes(4)
    payload = await reader.readexactly(size)
    if any(mask):
        payload = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
    return first & 0x0F, payload


class Backend:
    """Echoes each text behind its own address; `stop` closes its sessions with 1012, as a server
    does that is told to end."""

    def __init__(self, ip, port):
        self.ip, self.port, self.opened = ip, port, 0
        self.writers = set()

    async def start(self):
        self.server = await asyncio.start_server(self.serve, self.ip, self.port, backlog=1024)
        return self

    async def stop(self):
        self.server.close()
        for writer in list(self.writers):
            writer.write(frame(8, struct.pack("!H", 1012), False))
        await asyncio.sleep(0.5)
        for writer in list(self.writers):
            writer.close()

    async def serve(self, reader, writer):
        self.writers.add(writer)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            fields = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line)
            key = {name.lower(): value for name, value in fields.items()}[b"sec-websocket-key"]
            accept = base64.b64encode(hashlib.sha1(key + GUID).digest())
            writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                         b"Connection: Upgrade\r\nSec-WebSocket-Accept: " + accept + b"\r\n\r\n")
            self.opened += 1
            while True:
                opcode, payload = await read_frame(reader)
                if opcode == 1:
                    writer.write(frame(1, f"{self.ip} ".encode() + payload, False))
                elif opcode == 9:
                    writer.write(frame(10, payload, False))
                elif opcode == 8:
                    writer.write(frame(8, payload, False))
                    return
        except (asyncio.IncompleteReadError, OSError, KeyError):
            pass
        finally:
            self.writers.discard(writer)
            writer.close()


class Session:
    """A client that talks all the time: where its echo comes from, and how it ended."""

    def __init__(self, port, path, every):
        self.port, self.path, self.every = port, path, every
        self.backend, self.moves, self.ended = None, 0, None
        self.sent = self.echoed = 0

    async def open(self):
        """Whether there was a 101."""
        try:
            self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
            self.writer.write(f"GET {self.path} HTTP/1.1\r\nHost: chat\r\nUpgrade: websocket\r\n"
                              "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                              "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode())
            head = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 15)
        except (OSError, asyncio.IncompleteReadError, asyncio.TimeoutError):
            return False
        if b" 101 " not in head.split(b"\r\n")[0]:
            self.writer.close()
            return False
        self.tasks = [asyncio.create_task(self.talk()), asyncio.create_task(self.listen())]
        return True

    async def talk(self):
        while self.ended is None:
            try:
                self.writer.write(frame(1, str(self.sent).encode(), True))
                self.sent += 1
                await self.writer.drain()
            except OSError:
                return
            await asyncio.sleep(self.every)

    async def listen(self):
        try:
            while True:
                opcode, payload = await read_frame(self.reader)
                if opcode == 1:
                    backend, _ = payload.decode().split(" ")
                    self.moves += self.backend not in (None, backend)
                    self.backend = backend
                    self.echoed += 1
                elif opcode == 9:
                    self.writer.write(frame(10, payload, True))
                elif opcode == 8:
                    code = struct.unpack("!H", payload[:2])[0] if payload else 1005
                    self.ended = self.ended or code
                    self.writer.write(frame(8, payload[:2], True))
                    self.writer.close()
                    return
        except (asyncio.IncompleteReadError, OSError):
            self.ended = self.ended or 1006

    async def close(self):
        self.ended = self.ended or 0
        for task in self.tasks:
            task.cancel()
        self.writer.close()
