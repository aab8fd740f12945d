# Counts a session's messages, and goes on counting after a restart: what it said is in a file
# under its token, in a directory that all backends share.
#   python3 store.py PORT DIRECTORY
import asyncio
import pathlib
import re
import sys

from websockets import ConnectionClosedError
from websockets.asyncio.server import serve


def kept(request):
    field = request.headers.get("Tidegate-Session") or request.headers.get("Tidegate-Resume", "")
    token = re.match("[0-9a-f]{32}", field)
    return token and pathlib.Path(sys.argv[2], token[0])


def confirm(_, request, answer):
    file, resumed = kept(request), request.headers.get("Tidegate-Resume")
    if file and not resumed:
        file.touch()
    elif file and file.exists():
        answer.headers["Tidegate-Resume"] = resumed


async def converse(socket):
    file = kept(socket.request)
    if not file:
        return await socket.close(1008, "through tidegate only")
    count = None  # Of all its lives, from when it speaks: until then another backend may have it.
    try:
        async for text in socket:
            count = len(file.read_text().splitlines()) if count is None else count
            with file.open("a") as store:
                store.write(f"{text}\n")
            count += 1
            await socket.send(f"{count}: {text}")
    except ConnectionClosedError:
        pass  # Its session may be elsewhere.


async def main():
    async with serve(converse, "127.0.0.1", int(sys.argv[1]), process_response=confirm) as server:
        await server.serve_forever()


asyncio.run(main())
