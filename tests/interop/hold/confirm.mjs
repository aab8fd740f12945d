// Two backends that confirm a resumption, as the manual shows it: one needs nothing, the other keeps
// its sessions in a store; and a client of each that goes on over a restart, or reads 1012.
//   confirm.mjs PROXY_PORT PORT
import { createServer } from 'node:http'
import { setTimeout as wait } from 'node:timers/promises'
import WebSocket, { WebSocketServer } from 'ws'

const [proxy, port] = process.argv.slice(2).map(Number)
const store = new Map()

/** Confirms whatever is resumed. */
const stateless = (server) =>
  server.on('headers', (fields, { headers }) =>
    headers['tidegate-resume'] && fields.push(`Tidegate-Resume: ${headers['tidegate-resume']}`))

/** Confirms what it finds under the session's token, which `store` outlives the process with. */
const stateful = (server) => {
  const token = ({ headers }) => headers['tidegate-session'] ?? headers['tidegate-resume']?.split(';')[0]
  server.on('headers', (fields, request) => {
    if (store.has(token(request))) fields.push(`Tidegate-Resume: ${token(request)}`)
  })
  server.on('connection', (socket, request) => {
    const session = store.get(token(request)) ?? { said: 0 }
    store.set(token(request), session)
    socket.on('message', () => socket.send(String((session.said += 1))))
  })
}

async function backend(kind) {
  const http = createServer()
  const server = new WebSocketServer({ server: http })
  kind?.(server)
  if (kind !== stateful) server.on('connection', (socket) => socket.on('message', (data) => socket.send(data.toString())))
  await new Promise((resolve) => http.listen(port, '127.0.0.1', resolve))
  return async () => {
    server.clients.forEach((one) => one._socket.resetAndDestroy())
    await new Promise((resolve) => http.close(resolve))
  }
}

const next = (socket) => new Promise((resolve) => {
  socket.once('message', (data) => resolve(data.toString())).once('close', (code) => resolve(`closed ${code}`))
})
let failed = false
const rows = [[stateless, stateless, 'again'], [stateful, stateful, '2'], [null, null, 'closed 1012']]
for (const [before, after, expected] of rows) {
  let stop = await backend(before)
  const socket = new WebSocket(`ws://127.0.0.1:${proxy}/`)
  await new Promise((resolve) => socket.once('open', resolve))
  socket.send('first')
  await next(socket)
  await stop()
  await wait(500)
  stop = await backend(after)
  socket.send('again')
  const got = await next(socket)
  console.log(`${before?.name ?? 'unaware'}: ${got}`)
  failed ||= got !== expected
  socket.terminate()
  await stop()
}
process.exit(failed ? 1 : 0)
