// A server for each library: the real one where npm has it, else one that speaks the protocol. Each
// says something to who has asked for it, five times a second.
//   servers.mjs NAME PORT
import { createServer } from 'node:http'
import { WebSocketServer, createWebSocketStream } from 'ws'

const [name, port] = process.argv.slice(2)
const http = createServer()
const listen = () => http.listen(Number(port), '127.0.0.1', () => console.log('listening'))
let number = 0
/** Says something until the socket is gone. */
const tick = (socket, say) => {
  const timer = setInterval(() => say((number += 1)), 200)
  socket.on('close', () => clearInterval(timer))
}
const webSockets = (options) => new WebSocketServer({ server: http, ...options })

const servers = {
  ws() {
    webSockets().on('connection', (socket) => tick(socket, (n) => socket.send(`${n}`)))
  },
  'ws-confirming'() {
    const server = webSockets()
    server.on('headers', (answer, { headers }) =>
      headers['tidegate-resume'] && answer.push(`Tidegate-Resume: ${headers['tidegate-resume']}`))
    server.on('connection', (socket) => tick(socket, (n) => socket.send(`${n}`)))
  },
  async 'socket.io'() {
    const { Server } = await import('socket.io')
    new Server(http).on('connection', (socket) => {
      const timer = setInterval(() => socket.emit('tick', (number += 1)), 200)
      socket.on('disconnect', () => clearInterval(timer))
    })
  },
  signalr() {
    // https://github.com/dotnet/aspnetcore/blob/main/src/SignalR/docs/specs/HubProtocol.md
    const end = '\x1e'
    webSockets().on('connection', (socket) => {
      let isOpen = false
      const say = (message) => socket.send(JSON.stringify(message) + end)
      socket.on('message', (data) => {
        for (const text of `${data}`.split(end).filter(Boolean)) {
          if (isOpen) continue
          if (JSON.parse(text).protocol !== 'json') {
            say({ type: 7, error: 'no handshake' })
            return socket.close()
          }
          isOpen = true
          say({})
          tick(socket, (n) => say({ type: 1, target: 'tick', arguments: [n] }))
        }
      })
    })
  },
  phoenix() {
    // Version 2.0.0 of its JSON: [join_ref, ref, topic, event, payload].
    webSockets().on('connection', (socket) => {
      const joined = new Set(['phoenix'])
      socket.on('message', (data) => {
        const [join, ref, topic, event] = JSON.parse(data)
        if (event === 'phx_join') {
          joined.add(topic)
          tick(socket, (n) => socket.send(JSON.stringify([null, null, topic, 'tick', { n }])))
        }
        const answer = joined.has(topic) ? { status: 'ok', response: {} } : { status: 'error', response: { reason: 'unmatched topic' } }
        socket.send(JSON.stringify([join, ref, topic, 'phx_reply', answer]))
      })
    })
  },
  async 'graphql-ws'() {
    const { GraphQLObjectType, GraphQLSchema, GraphQLInt } = await import('graphql')
    const { useServer } = await import('graphql-ws/use/ws')
    async function* ticks() {
      for (;;) {
        await new Promise((resolve) => setTimeout(resolve, 200))
        yield { tick: (number += 1) }
      }
    }
    const field = (type, more) => ({ type, ...more })
    const schema = new GraphQLSchema({
      query: new GraphQLObjectType({ name: 'Query', fields: { tick: field(GraphQLInt) } }),
      subscription: new GraphQLObjectType({ name: 'Subscription', fields: { tick: field(GraphQLInt, { subscribe: ticks }) } }),
    })
    useServer({ schema }, webSockets({ path: '/graphql' }))
  },
  async 'y-websocket'() {
    const { setupWSConnection } = await import('y-websocket/bin/utils')
    webSockets().on('connection', (socket, request) => setupWSConnection(socket, request))
    // One that writes into each room.
    const { rooms, write } = await import('./writer.mjs')
    listenThen(() => rooms.forEach((room) => write(`ws://127.0.0.1:${port}`, room)))
  },
  async mqtt() {
    const { Aedes } = await import('aedes')
    const broker = await Aedes.createBroker()
    webSockets().on('connection', (socket, request) => broker.handle(createWebSocketStream(socket), request))
    setInterval(() => broker.publish({ topic: 'ticks', payload: `${(number += 1)}`, qos: 0, retain: false }, () => {}), 200)
  },
  stomp() {
    // https://stomp.github.io/stomp-specification-1.2.html
    webSockets().on('connection', (socket) => {
      let isOpen = false
      socket.on('message', (data) => {
        const [command, ...lines] = `${data}`.split('\n')
        const id = lines.find((line) => line.startsWith('id:'))?.slice(3)
        if (command === 'CONNECT') {
          isOpen = true
          return socket.send('CONNECTED\nversion:1.2\nheart-beat:0,0\n\n\0')
        }
        if (!isOpen) {
          socket.send('ERROR\nmessage:Illegal command\n\n\0')
          return socket.close()
        }
        if (command === 'SUBSCRIBE') {
          tick(socket, (n) => socket.send(`MESSAGE\nsubscription:${id}\nmessage-id:${n}\ndestination:/ticks\n\n${n}\0`))
        }
      })
    })
  },
  actioncable() {
    // https://docs.anycable.io/misc/action_cable_protocol
    const server = webSockets({ handleProtocols: () => 'actioncable-v1-json' })
    server.on('connection', (socket) => {
      const say = (message) => socket.send(JSON.stringify(message))
      say({ type: 'welcome' })
      const pings = setInterval(() => say({ type: 'ping', message: Date.now() }), 3000)
      socket.on('close', () => clearInterval(pings))
      socket.on('message', (data) => {
        const { command, identifier } = JSON.parse(data)
        if (command !== 'subscribe') return
        say({ type: 'confirm_subscription', identifier })
        tick(socket, (n) => say({ identifier, message: n }))
      })
    })
  },
  async sockjs() {
    const { default: sockjs } = await import('sockjs')
    const server = sockjs.createServer({ log: () => {} })
    server.on('connection', (socket) => tick(socket, (n) => socket.write(`${n}`)))
    server.installHandlers(http, { prefix: '/sockjs' })
  },
}

let then = () => {}
function listenThen(what) {
  then = what
}
await servers[name]()
http.on('listening', () => then())
listen()
