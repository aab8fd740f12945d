// Backends behind tidegate: a client that says anything is told its session's token.
import { WebSocketServer } from 'ws';

for (const port of process.argv.slice(2).map(Number)) {
  new WebSocketServer({ host: '127.0.0.1', port }).on('connection', (socket, request) => {
    socket.on('message', () => socket.send(request.headers['tidegate-session']));
    socket.on('error', () => {});
  });
}
