// Two backends that echo, and so many sessions to them, of which one in ten says something each
// second: node sessions.mjs PORT COUNT BACKEND_PORT...
import { WebSocket, WebSocketServer } from "ws";

const [port, count, ...backends] = process.argv.slice(2).map(Number);
for (const own of backends) {
  const server = new WebSocketServer({ port: own, host: "127.0.0.1", perMessageDeflate: false });
  server.on("connection", socket => socket.on("message", (data, binary) => socket.send(data, { binary })));
}
const sessions = [];
for (let number = 0; number < count; number++) {
  const path = number % 2 ? "/feed" : `/chat?user=user-${number}`;
  for (let tries = 0; ; tries++) {
    const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, { perMessageDeflate: false });
    socket.on("error", () => {});
    const opened = await new Promise(done => { socket.on("open", () => done(true)); socket.on("close", () => done(false)); });
    if (opened) { sessions.push(socket); break; }
    if (tries > 100) throw new Error("no session opens");
    await new Promise(done => setTimeout(done, 100));
  }
}
console.log(`${sessions.length} sessions are open`);
setInterval(() => {
  for (let number = 0; number < sessions.length; number += 10)
    if (sessions[number].readyState === WebSocket.OPEN) sessions[number].send("what passes, again and again");
}, 1_000);
