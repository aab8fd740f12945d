"""200 backends that open WebSockets; the first answers 200 instead while the file says `sick`."""

import asyncio
import base64
import hashlib
import sys

GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
SICK = "127.90.0.1"


def answer(head, address):
    keys = [line.split(": ")[1] for line in head.split("\r\n")
            if line.lower().startswith("sec-websocket-key")]
    with open(sys.argv[1]) as mode:
        is_sick = mode.read().strip() == "sick" and address == SICK
    if is_sick or not keys:
        return "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
    accept = base64.b64encode(hashlib.sha1((keys[0] + GUID).encode()).digest()).decode()
    return ("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {accept}\r\n\r\n")


async def serve(reader, writer):
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        writer.write(answer(head, writer.get_extra_info("sockname")[0]).encode())
        # A Close is answered with 1000.
        if await reader.read(100):
            writer.write(b"\x88\x02\x03\xe8")
        await writer.drain()
    except (OSError, asyncio.IncompleteReadError):
        pass
    writer.close()


async def main():
    for number in range(1, 201):
        await asyncio.start_server(serve, f"127.90.0.{number}", 9090)
    await asyncio.Event().wait()


asyncio.run(main())
