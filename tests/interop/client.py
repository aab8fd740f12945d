"""Python's `websockets` through tidegate: sizes, kinds, fragments, compression, close codes."""

import asyncio
import os
import ssl
import sys
from urllib.parse import urlsplit

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

SIZES = [0, 1, 125, 126, 65535, 65536, 16 << 20]


def tls(url):
    if not url.startswith("wss:"):
        return None
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def run(base, deflate):
    path = "/deflate" if deflate else "/plain"
    options = {"ssl": tls(base), "max_size": None, "proxy": None,
               "compression": "deflate" if deflate else None,
               "subprotocols": ["chat", "superchat"], "origin": f"http{'s' if tls(base) else ''}://{urlsplit(base).netloc}"}
    async with connect(base + path, **options) as socket:
        assert socket.subprotocol == "superchat", socket.subprotocol
        for size in SIZES:
            data = os.urandom(size)
            await socket.send(data)
            assert await socket.recv() == data, f"binary {size}"
            text = "ü" * (size // 2) + "x" * (size % 2)
            await socket.send(text)
            assert await socket.recv() == text, f"text {size}"
        pieces = [os.urandom(1), os.urandom(70000), os.urandom(126)]
        await socket.send(pieces)
        assert await socket.recv() == b"".join(pieces), "fragments"
        await socket.send("close me 4321|so long, ü")
        try:
            await socket.recv()
            raise AssertionError("the backend did not close")
        except ConnectionClosed as closed:
            assert (closed.rcvd.code, closed.rcvd.reason) == (4321, "so long, ü"), closed
    async with connect(base + path, **options) as socket:
        await socket.close(4568, "python says bye")
        assert socket.close_code == 4568, socket.close_code
    print(f"python websockets: {base} deflate={deflate}: ok")


async def main():
    for base in sys.argv[1:]:
        for deflate in (False, True):
            await run(base, deflate)


asyncio.run(main())
