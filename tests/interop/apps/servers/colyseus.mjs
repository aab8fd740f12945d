// A Colyseus process that knows nothing of others: node colyseus.mjs PORT
import { createServer } from 'node:http'
import { Room, Server } from '@colyseus/core'
import { WebSocketTransport } from '@colyseus/ws-transport'

class Echo extends Room {
  onCreate() {
    this.maxClients = 2
    this.onMessage('say', (client, text) => client.send('said', text))
  }
}
const server = new Server({
  transport: new WebSocketTransport({ server: createServer(), maxPayload: 4e6 }), greet: false,
})
server.define('echo', Echo)
server.listen(Number(process.argv[2]), '127.0.0.1')
