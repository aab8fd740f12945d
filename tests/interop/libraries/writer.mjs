// Writes into rooms of a Yjs server, beside it.
import WebSocket from 'ws'
import { WebsocketProvider } from 'y-websocket'
import * as Y from 'yjs'

export const rooms = ['none', 'defaults', 'always', 'fitting']

export function write(url, room) {
  const doc = new Y.Doc()
  new WebsocketProvider(url, room, doc, { WebSocketPolyfill: WebSocket, disableBc: true })
  let number = Date.now()
  setInterval(() => doc.getMap('ticks').set('n', (number += 1)), 200)
}
