"""An echo that confirms whatever is resumed on it: `server.py KIND PORT`."""

import asyncio
import sys

RESUME = "Tidegate-Resume"


async def websockets_echo(port):
    from websockets.asyncio.server import serve

    def confirm(_connection, request, response):
        if RESUME in request.headers:
            response.headers[RESUME] = request.headers[RESUME]

    async def echo(websocket):
        async for message in websocket:
            await websocket.send(message)

    async with serve(echo, "127.0.0.1", port, process_response=confirm):
        await asyncio.Future()


async def application(scope, receive, send):
    if scope["type"] != "websocket":
        return
    await receive()
    resumed = [(name, value) for name, value in scope["headers"] if name == RESUME.lower().encode()]
    await send({"type": "websocket.accept", "headers": resumed})
    while (event := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": event["text"]})


kind, port = sys.argv[1], int(sys.argv[2])
if kind == "websockets":
    asyncio.run(websockets_echo(port))
else:
    import uvicorn

    uvicorn.run(application, port=port, ws=kind.removeprefix("uvicorn-"), log_level="critical")
