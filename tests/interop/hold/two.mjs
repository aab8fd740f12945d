// Clients that never stop speaking, through a proxy with two backends and the defaults: both are
// killed at once, or in turn, and all are back within 1.5 s of the first that answers.
//   two.mjs PROXY_PORT PORT PORT CLIENTS
//   two.mjs backend PORT
import { spawn } from 'node:child_process'
import { setTimeout as wait } from 'node:timers/promises'
import WebSocket, { WebSocketServer } from 'ws'

if (process.argv[2] === 'backend') {
  const server = new WebSocketServer({ port: Number(process.argv[3]), host: '127.0.0.1', backlog: 2048 })
  server.on('listening', () => console.log('listening'))
  server.on('connection', (socket) => socket.on('message', (data) => socket.send(data.toString())))
} else {
  const [proxy, one, two, count] = process.argv.slice(2).map(Number)
  const start = async (port) => {
    const child = spawn('node', [process.argv[1], 'backend', port], { stdio: ['ignore', 'pipe', 'inherit'] })
    await new Promise((resolve) => child.stdout.once('data', resolve))
    return child
  }
  const kill = (child) => new Promise((resolve) => child.once('exit', resolve) && child.kill('SIGKILL'))
  const failures = []
  const clients = []
  for (let i = 0; i < count; i += 1) clients.push({ heard: 0, closed: null })
  const backends = [await start(one), await start(two)]
  const ports = [one, two]
  for (const client of clients) {
    client.socket = new WebSocket(`ws://127.0.0.1:${proxy}/`, { perMessageDeflate: false })
    await new Promise((resolve, reject) => client.socket.once('open', resolve).once('error', reject))
    client.socket.on('close', (code) => (client.closed = code))
    client.socket.on('message', (data) => (client.heard = Number(data)))
    client.timer = setInterval(() => client.socket.readyState === 1 && client.socket.send(String(Date.now())), 50)
  }
  /** Until every client has heard what it said after `since`; how long that took. */
  const back = async (since, what) => {
    const left = () => clients.filter((one) => one.closed === null && one.heard < since)
    while (left().length && Date.now() < since + 20_000) await wait(10)
    const took = Date.now() - since
    const closed = clients.filter((one) => one.closed !== null)
    console.log(`${what}: ${count - closed.length - left().length} of ${count} back after ${took} ms`)
    if (closed.length || left().length) failures.push(`${what}: closed with ${closed.map((one) => one.closed)}`)
    return took
  }
  const within = (took, what) => took <= 1500 || failures.push(`${what}: after ${took} ms`)
  for (const first of [0, 1, 0, 1]) {
    await back(Date.now(), 'before')
    await Promise.all(backends.map(kill))
    await wait(1000)
    backends[first] = await start(ports[first])
    within(await back(Date.now(), `both killed, ${first} first`), 'at once')
    backends[1 - first] = await start(ports[1 - first])
  }
  for (const first of [0, 1]) {
    await kill(backends[first])
    within(await back(Date.now(), `${first} killed`), 'one')
    await kill(backends[1 - first])
    await wait(1000)
    backends[first] = await start(ports[first])
    within(await back(Date.now(), `then the other; ${first} first`), 'in turn')
    backends[1 - first] = await start(ports[1 - first])
  }
  clients.forEach((one) => clearInterval(one.timer))
  backends.forEach((one) => one.kill('SIGKILL'))
  failures.forEach((what) => console.log(`FAILED: ${what}`))
  process.exit(failures.length ? 1 : 0)
}
