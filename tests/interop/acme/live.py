"""WebSockets over TLS that must not notice a renewal, and a backend that echoes; both by hand."""

import asyncio
import base64
import hashlib
import os
import ssl

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


async def head_of(reader):
    return await reader.readuntil(b"\r\n\r\n")


async def frame_of(reader):
    """A short frame's head byte and payload, unmasked."""
    first, second = await reader.readexactly(2)
    length = second & 0x7F
    mask = await reader.readexactly(4) if second & 0x80 else bytes(4)
    payload = await reader.readexactly(length)
    return first, bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))


async def echo(reader, writer):
    try:
        head = await head_of(reader)
        key = next(line.split(b":")[1].strip() for line in head.split(b"\r\n")
                   if line.lower().startswith(b"sec-websocket-key:"))
        accept = base64.b64encode(hashlib.sha1(key + GUID).digest())
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                     b"Connection: Upgrade\r\nSec-WebSocket-Accept: " + accept + b"\r\n\r\n")
        while True:
            first, payload = await frame_of(reader)
            if first & 0x0F == 9:
                first = first & 0xF0 | 10
            writer.write(bytes([first, len(payload)]) + payload)
            if first & 0x0F == 8:
                break
    except (asyncio.CancelledError, asyncio.IncompleteReadError, ConnectionError, StopIteration):
        pass
    writer.close()


class Session:
    async def open(self, port, name):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self.reader, self.writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=context, server_hostname=name)
        key = base64.b64encode(os.urandom(16)).decode()
        self.writer.write(f"GET /chat HTTP/1.1\r\nHost: {name}\r\nUpgrade: websocket\r\n"
                          f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n"
                          f"Sec-WebSocket-Version: 13\r\n\r\n".encode())
        head = await head_of(self.reader)
        assert b" 101 " in head.split(b"\r\n")[0], head
        return self

    async def say(self, word):
        """An echo; pings of the proxy are answered on the way."""
        self.send(0x81, word)
        while True:
            first, payload = await asyncio.wait_for(frame_of(self.reader), 20)
            if first & 0x0F == 9:
                self.send(0x8A, payload)
                continue
            assert (first, payload) == (0x81, word), (first, payload)
            return

    def send(self, first, payload):
        self.writer.write(bytes([first, 0x80 | len(payload)]) + bytes(4) + payload)


async def sessions(count, port, name, until_renewed):
    """Opens them, says something in each, waits for the renewal, and says something again."""
    backend = await asyncio.start_server(echo, "127.0.0.1", int(os.environ["BACKEND"]))
    live = []
    for at in range(0, count, 50):
        more = (Session().open(port, name) for _ in range(min(50, count - at)))
        live += await asyncio.gather(*more)
    said = 0
    await asyncio.gather(*(one.say(b"before") for one in live))
    while not await asyncio.to_thread(until_renewed):
        for at in range(0, count, 100):
            await asyncio.gather(*(one.say(b"%d" % said) for one in live[at:at + 100]))
        said += 1
    await asyncio.gather(*(one.say(b"after") for one in live))
    for one in live:
        one.writer.close()
    backend.close()
    return len(live)
