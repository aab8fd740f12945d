// An echo; to "fields" it says what its handshake had, and plain requests are answered: node backend.mjs
import { createServer } from 'node:http'
import { WebSocketServer } from 'ws'

const http = createServer((_, answer) => answer.end('page'))
new WebSocketServer({ server: http }).on('connection', (socket, { headers }) => {
  socket.on('message', (data) => socket.send(`${data}` === 'fields' ? JSON.stringify(headers) : `${data}`))
})
http.listen(3000, '127.0.0.1', () => console.log('listening'))
