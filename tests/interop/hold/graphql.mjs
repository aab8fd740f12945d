// A graphql-ws subscription over a server that is killed and comes back; its login and its
// subscription are said again by the proxy.
//   graphql.mjs server PORT GENERATION | graphql.mjs client PROXY_PORT SERVER_PORT
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { setTimeout as wait } from 'node:timers/promises'

const [role, port, other] = process.argv.slice(2)
if (role === 'server') await serve()
else await subscribe()

async function serve() {
  const { GraphQLObjectType, GraphQLSchema, GraphQLString } = await import('graphql')
  const { useServer } = await import('graphql-ws/use/ws')
  const { WebSocketServer } = await import('ws')
  const ticks = async function* () {
    for (let number = 1; ; number += 1) {
      yield { ticks: `${other}/${number}` }
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
  const server = new WebSocketServer({ port: Number(port), host: '127.0.0.1', path: '/graphql' })
  const onConnect = ({ connectionParams }) => connectionParams?.token === 'secret'
  useServer({ schema, onConnect }, server)
  server.on('listening', () => console.log('listening'))
}

async function subscribe() {
  const { createClient } = await import('graphql-ws')
  const { default: WebSocket } = await import('ws')
  const start = async (generation) => {
    const args = [fileURLToPath(import.meta.url), 'server', other, String(generation)]
    const child = spawn('node', args, { stdio: ['ignore', 'pipe', 'inherit'] })
    await new Promise((resolve) => child.stdout.once('data', resolve))
    return child
  }
  let child = await start(1)
  const events = []
  const seen = { connecting: 0, connected: 0, closed: [], errors: [] }
  const client = createClient({
    url: `ws://127.0.0.1:${port}/graphql`,
    webSocketImpl: WebSocket,
    connectionParams: { token: 'secret' },
    retryAttempts: 0,
    on: {
      connecting: () => (seen.connecting += 1),
      connected: () => (seen.connected += 1),
      closed: ({ code, reason }) => seen.closed.push(`${code} ${reason}`),
      error: (error) => seen.errors.push(String(error)),
    },
  })
  client.subscribe(
    { query: 'subscription { ticks }' },
    {
      next: ({ data }) => events.push(data.ticks),
      error: (error) => seen.errors.push(JSON.stringify(error)),
      complete: () => seen.errors.push('complete'),
    },
  )
  const until = async (generation) => {
    for (let i = 0; i < 150 && !seen.errors.length; i += 1) {
      if (events.filter((one) => one.startsWith(`${generation}/`)).length >= 5) return true
      await wait(100)
    }
    return false
  }
  let fine = await until(1)
  for (let generation = 2; fine && generation <= 4; generation += 1) {
    child.kill('SIGKILL')
    await new Promise((resolve) => child.once('exit', resolve))
    child = await start(generation)
    fine = await until(generation)
  }
  console.log(`graphql-ws: ${events.length} events of ${new Set(events.map((one) => one[0])).size} servers;`,
    `the library saw ${JSON.stringify(seen)}`)
  fine &&= seen.connecting === 1 && seen.connected === 1 && !seen.closed.length && !seen.errors.length
  child.kill('SIGKILL')
  process.exit(fine ? 0 : 1)
}
