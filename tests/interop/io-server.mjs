// A socket.io server as its guide has it: long polling first, then a WebSocket. It echoes.
import { createServer } from 'node:http';
import { Server } from 'socket.io';

const port = Number(process.argv[2]);
const http = createServer();
const io = new Server(http);
io.on('connection', (socket) => {
  socket.on('echo', (said, answer) => answer({ said, by: port, over: socket.conn.transport.name }));
});
http.listen(port, '127.0.0.1', () => console.log(`listening on ${port}`));
