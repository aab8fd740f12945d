// A backend that needs nothing to go on with a session confirms each resumption.
//   node stateless.mjs PORT
import { WebSocketServer } from 'ws'

const server = new WebSocketServer({ host: '127.0.0.1', port: process.argv[2] })
server.on('headers', (answer, { headers }) =>
  headers['tidegate-resume'] && answer.push(`Tidegate-Resume: ${headers['tidegate-resume']}`))
server.on('connection', (socket) => socket.on('message', (text) => socket.send(`${text}`)))
