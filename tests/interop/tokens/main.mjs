// The servers, and the clients whose tokens expire. Prints what each client saw; fails where one
// did not come back by itself, lost its work, or read another code.
import { createHmac } from 'node:crypto'
import { createServer } from 'node:http'
import { setTimeout as wait } from 'node:timers/promises'
import { GraphQLObjectType, GraphQLSchema, GraphQLString } from 'graphql'
import { createClient } from 'graphql-ws'
import { useServer } from 'graphql-ws/use/ws'
import { Server } from 'socket.io'
import { io } from 'socket.io-client'
import WebSocket, { WebSocketServer } from 'ws'

const [proxy, ...backends] = process.argv.slice(2).map(Number)
const SECRET = 'a secret that both sides know, and nobody else'
const SHORT = 3
const RUN_MS = 13_000

// A token that is good for so many seconds, made when it is asked for.
function token(seconds) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const exp = Math.floor(Date.now() / 1000) + seconds
  const signed = `${part({ alg: 'HS256', typ: 'JWT' })}.${part({ sub: 'ada', exp })}`
  return `${signed}.${createHmac('sha256', SECRET).update(signed).digest('base64url')}`
}

async function serve(port) {
  const ticks = async function* () {
    for (let number = 1; ; number += 1) {
      yield { ticks: `${number}` }
      await wait(100)
    }
  }
  const schema = new GraphQLSchema({
    query: new GraphQLObjectType({ name: 'Query', fields: { hello: { type: GraphQLString } } }),
    subscription: new GraphQLObjectType({
      name: 'Subscription',
      fields: { ticks: { type: GraphQLString, subscribe: ticks } },
    }),
  })
  const server = createServer()
  const graphql = new WebSocketServer({ noServer: true })
  const echo = new WebSocketServer({ noServer: true })
  useServer({ schema }, graphql)
  echo.on('connection', (socket) => socket.on('message', (said) => socket.send(String(said))))
  const sockets = new Server(server, { transports: ['websocket'], destroyUpgrade: false })
  sockets.on('connection', (socket) => socket.on('echo', (said, answer) => answer(said)))
  server.on('upgrade', (request, socket, head) => {
    const { pathname } = new URL(request.url, 'http://localhost')
    const to = { '/graphql': graphql, '/echo': echo }[pathname]
    to?.handleUpgrade(request, socket, head, (opened) => to.emit('connection', opened, request))
  })
  await new Promise((listening) => server.listen(port, '127.0.0.1', listening))
}

const seen = {}
function client(name) {
  seen[name] = { opened: 0, messages: 0, afterLastOpen: 0, closed: {}, errors: [] }
  const one = seen[name]
  return {
    opened: () => ((one.opened += 1), (one.afterLastOpen = 0)),
    message: () => ((one.messages += 1), (one.afterLastOpen += 1)),
    closed: (code) => (one.closed[code] = (one.closed[code] ?? 0) + 1),
    error: (error) => one.errors.push(String(error?.message ?? error)),
  }
}

const url = (path, seconds) => `ws://127.0.0.1:${proxy}${path}?access_token=${token(seconds)}`

function overGraphql(seconds) {
  const saw = client('graphql-ws')
  const client_ = createClient({
    url: () => url('/graphql', seconds),
    webSocketImpl: WebSocket,
    retryAttempts: 10,
    retryWait: () => wait(50),
    on: { connected: saw.opened, closed: ({ code }) => saw.closed(code) },
  })
  const sink = { next: saw.message, error: saw.error, complete: () => saw.error('complete') }
  client_.subscribe({ query: 'subscription { ticks }' }, sink)
}

function overSocketIo(seconds) {
  const saw = client('socket.io')
  const socket = io(`http://127.0.0.1:${proxy}`, {
    transports: ['websocket'],
    query: { access_token: token(seconds) },
    reconnectionDelay: 50,
  })
  socket.io.on('reconnect_attempt', () => (socket.io.opts.query = { access_token: token(seconds) }))
  socket.on('connect', async () => {
    saw.opened()
    // The code is told by its transport.
    socket.io.engine.transport.ws.addEventListener('close', ({ code }) => saw.closed(code))
    const { id } = socket
    while (socket.connected && socket.id === id) {
      const answer = await socket.timeout(2000).emitWithAck('echo', 'x').catch(() => undefined)
      if (answer === 'x') saw.message()
      await wait(100)
    }
  })
  socket.on('connect_error', saw.error)
}

function plain(name, seconds) {
  const saw = client(name)
  const open = () => {
    const socket = new WebSocket(url('/echo', seconds))
    let beat
    socket.on('open', () => {
      saw.opened()
      beat = setInterval(() => socket.send('x'), 100)
    })
    socket.on('message', saw.message)
    socket.on('error', saw.error)
    socket.on('close', (code) => {
      clearInterval(beat)
      saw.closed(code)
      if (code === 4403) setTimeout(open, 50)
    })
  }
  open()
}

await Promise.all(backends.map(serve))
// Until the proxy listens.
for (let i = 0; i < 100; i += 1) {
  const up = await fetch(`http://127.0.0.1:${proxy}/`).then(() => true, () => false)
  if (up) break
  await wait(100)
}
overGraphql(SHORT)
overSocketIo(SHORT)
plain('plain', SHORT)
plain('long token', 600)
await wait(RUN_MS)

let failed = false
for (const [name, { opened, messages, afterLastOpen, closed, errors }] of Object.entries(seen)) {
  const times = name === 'long token' ? [1, 1] : [4, 7]
  const good =
    opened >= times[0] &&
    opened <= times[1] &&
    afterLastOpen > 0 &&
    errors.length === 0 &&
    Object.keys(closed).every((code) => code === '4403')
  failed ||= !good
  const codes = JSON.stringify(closed)
  console.log(`${good ? 'ok ' : 'BAD'} ${name}: opened ${opened}, closed ${codes}, messages ${messages}`, errors)
}
process.exit(failed ? 1 : 0)
