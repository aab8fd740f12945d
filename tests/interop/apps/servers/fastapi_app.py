"""FastAPI below /api: an echo, and what it takes the client and its URL for."""

from fastapi import FastAPI, Request, WebSocket, WebSocketDisconnect

app = FastAPI()


@app.get("/seen")
def seen(request: Request):
    return {"url": str(request.url), "other": str(request.url_for("items")), "client": request.client.host}


@app.get("/items/")
def items():
    return ["one"]


@app.websocket("/echo")
async def echo(socket: WebSocket):
    await socket.accept()
    if socket.url.scheme != "wss":
        await socket.close(4000, f"it is {socket.url.scheme} here")
    try:
        while True:
            await socket.send_text(await socket.receive_text())
    except WebSocketDisconnect:
        pass
