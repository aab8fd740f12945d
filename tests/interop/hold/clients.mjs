// Many clients through a proxy whose backends are killed again and again; then every number is
// accounted for.
//   clients.mjs PROXY_PORT BACKEND_PORT[,BACKEND_PORT] DIRECTORY CLIENTS RESTARTS HANDSHAKES_PER_SECOND MODE
// MODE is `held`, or `closed` for a proxy that does not hold. Two backends are killed at once, and
// either comes first; or in turn, and the second is killed when it has all clients. With no limit
// of handshakes, which is 0, all clients are back within 1.5 s of the first backend.
//
// Every fifth client is silent when its backend is killed and speaks while there is none: of what
// it says nothing may be missing. The others never stop.
import { spawn } from 'node:child_process'
import { closeSync, openSync, readSync, statSync } from 'node:fs'
import { createServer } from 'node:http'
import { setTimeout as wait } from 'node:timers/promises'
import WebSocket from 'ws'
import { judge, livesOf, mostInASecond } from './account.mjs'

const [proxy, list, directory, ...rest] = process.argv.slice(2)
const ports = list.split(',')
const [count, restarts, rate] = rest.slice(0, 3).map(Number)
const held = rest[3] === 'held'
const backendLog = `${directory}/backend.log`
const failures = []
// What others did through this proxy before is not looked at.
const logged = held ? statSync(`${directory}/tidegate.log`).size : 0
const fail = (what) => failures.push(what)
const padding = 'tidegate '.repeat(8 * 1024).slice(0, 64 * 1024)

/** How many backends were started, and those that live by their ports. */
let generation = 0
const backends = new Map()
async function start(port) {
  generation += 1
  const args = [`${directory}/backend.mjs`, port, backendLog, String(generation)]
  const child = spawn('node', args, { stdio: ['ignore', 'pipe', 'inherit'] })
  await new Promise((resolve) => child.stdout.once('data', resolve))
  backends.set(port, { child, generation })
}

async function kill(dying) {
  await Promise.all(dying.map((port) => new Promise((resolve) => {
    backends.get(port).child.once('exit', resolve).kill('SIGKILL')
  })))
}

/** Waits until all of these clients' messages were read, for as long as any are. */
async function untilRead(all) {
  const left = () => all.filter((one) => one.closed === null && one.acknowledged !== one.sent)
  for (let before = -1, quiet = 0; left().length && quiet < 60; await wait(1000)) {
    const read = all.reduce((sum, one) => sum + one.acknowledged, 0)
    quiet = read === before ? quiet + 1 : 0
    before = read
  }
  left().forEach((one) => fail(`${one.name}: of ${one.sent} messages the last backend has read ${one.acknowledged}`))
}

/** Waits until all of them are so, or says which are not. */
async function until(all, isSo, what, seconds) {
  for (let i = 0; i < seconds * 20 && !all.every(isSo); i += 1) await wait(50)
  all.filter((one) => !isSo(one)).forEach((one) => fail(what(one)))
}

class Client {
  constructor(name, index) {
    this.name = name
    this.deflate = index % 2 === 0
    this.isQuiet = index % 5 === 0
    Object.assign(this, { sent: 0, acknowledged: 0, got: [], last: [0, 0], losses: 0, marks: [] })
    Object.assign(this, { closed: null, spoke: 0, answered: 0, on: null, heard: 0 })
  }

  async open() {
    const socket = new WebSocket(`ws://127.0.0.1:${proxy}/?client=${this.name}`, {
      perMessageDeflate: this.deflate && { threshold: 0 },
    })
    this.socket = socket
    // Before it is open: the first message may come in one breath with the 101.
    socket.on('message', (data) => this.read(JSON.parse(data)))
    await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject))
    this.port = socket._socket.localPort
    socket.on('close', (code) => (this.closed = code))
    socket.on('error', (error) => fail(`${this.name}: ${error.message}`))
    socket.on('pong', (payload) => (this.answered = Number(payload)))
    // Clients do not beat together.
    await wait(Math.random() * 50)
    this.timer = setInterval(() => this.isSilent || this.send(), 50)
  }

  send() {
    if (this.socket.readyState !== WebSocket.OPEN) return
    this.sent += 1
    const pad = this.sent % 100 === 50 ? padding : ''
    this.socket.send(JSON.stringify({ number: this.sent, pad }))
  }

  read({ generation, number, read, pad }) {
    const [before, last] = this.last
    // Within one backend's life nothing is left out, doubled or out of order.
    const next = generation === before ? number === last + 1 : number === 1
    if (!next && held) fail(`${this.name}: ${before}/${last} was followed by ${generation}/${number}`)
    if (pad && pad !== padding) fail(`${this.name}: ${generation}/${number} is another text than was sent`)
    this.last = [generation, number]
    this.heard = Date.now()
    this.got[generation] = number
    this.acknowledged = Math.max(this.acknowledged, read)
  }

  /** Its backend is gone, and the proxy knows. */
  lost(generation) {
    this.losses += 1
    this.marks[generation] ??= this.sent
    if (!this.isQuiet) return
    for (let i = 0; i < 3; i += 1) this.send()
    // Answered behind them: then the proxy has read them.
    this.spoke += 1
    this.socket.ping(String(this.spoke))
  }
}

/** Follows the proxy's log, and tells each client of its losses. */
class Losses {
  constructor(clients) {
    Object.assign(this, { rest: '', at: logged, bySession: new Map() })
    this.byPort = new Map(clients.map((one) => [String(one.port), one]))
    this.file = openSync(`${directory}/tidegate.log`)
    this.timer = setInterval(() => this.look(), 20)
  }

  look() {
    const buffer = Buffer.alloc(1 << 20)
    for (let bytes; (bytes = readSync(this.file, buffer, 0, buffer.length, this.at)) > 0; ) {
      this.at += bytes
      const lines = (this.rest + buffer.toString('latin1', 0, bytes)).split('\n')
      this.rest = lines.pop()
      lines.forEach((line) => this.line(JSON.parse(line)))
    }
  }

  line(entry) {
    const { event, session, client, end, cut, backend } = entry.fields ?? entry
    if (event === 'session_opened') this.bySession.set(session, client.split(':').pop())
    const one = this.byPort.get(this.bySession.get(session))
    if (!one) return
    const port = backend?.split(':').pop()
    if (event === 'session_opened' || event === 'session_resumed') one.on = port
    if (event === 'session_ended') one.end = `${end}${cut ? ', cut' : ''}`
    if (event === 'session_held') one.lost(backends.get(port).generation)
  }

  close() {
    clearInterval(this.timer)
    closeSync(this.file)
  }
}

// What the page in a browser says.
const page = { loaded: 0, opened: 0, closed: 0, disorder: [], extensions: '', alive: {} }
const reports = createServer((request, response) => {
  const { pathname, searchParams } = new URL(request.url, 'http://x')
  if (pathname === '/alive') page.alive = Object.fromEntries([...searchParams].map(([k, v]) => [k, Number(v)]))
  else if (pathname === '/disorder') page.disorder.push(request.url)
  else page[pathname.slice(1)] += 1
  if (pathname === '/opened') page.extensions = searchParams.get('extensions')
  response.end()
})

async function browser() {
  if (!process.env.CHROMIUM) return null
  await new Promise((resolve) => reports.listen(0, '127.0.0.1', resolve))
  const flags = ['--headless', '--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-sync',
    '--disable-background-networking', '--disable-component-update', '--disable-quic',
    '--disable-background-timer-throttling', '--disable-renderer-backgrounding',
    `--user-data-dir=${directory}/chromium`]
  const url = `http://127.0.0.1:${proxy}/page#${reports.address().port}`
  const child = spawn(process.env.CHROMIUM, [...flags, url], { stdio: 'ignore' })
  for (let i = 0; i < 600 && page.opened === 0; i += 1) await wait(100)
  if (page.opened === 0) fail('the page did not open its socket')
  return child
}

for (const port of ports) await start(port)
const clients = Array.from({ length: count }, (_, i) => new Client(`c${i}`, i))
const quiet = clients.filter((one) => one.isQuiet)
for (let i = 0; i < count; i += 20) await Promise.all(clients.slice(i, i + 20).map((one) => one.open()))
const chromium = held ? await browser() : null
const losses = held ? new Losses(clients) : null
await wait(2000)

/** Kills these backends at once; until each of their clients' losses is known, and what was said then. */
async function outage(dying, what) {
  if (held) {
    quiet.forEach((one) => (one.isSilent = true))
    await untilRead(quiet)
  }
  const victims = clients.filter((one) => dying.includes(one.on)).map((one) => [one, one.losses])
  await kill(dying)
  if (!held) return
  await until(victims, ([one, before]) => one.losses > before || one.closed, ([one]) => `${one.name}: ${what}: its loss was not logged`, 60)
  await until(quiet, (one) => one.answered === one.spoke || one.closed, (one) => `${one.name}: ${what}: its ping was not answered`, 60)
}

/** Starts the first backend after an outage of all, waits until all clients are there, and starts the others. */
async function recover(first, what) {
  await start(first)
  const since = Date.now()
  quiet.forEach((one) => (one.isSilent = false))
  if (held) {
    await until(clients, (one) => one.heard > since || one.closed, (one) => `${one.name}: ${what}: it is not back`, 60)
    const took = Date.now() - since
    console.log(`${what}: all back ${took} ms after the first backend`)
    if (rate === 0 && took > 1500) fail(`${what}: all were back after ${took} ms`)
  }
  // Longer than `proof_time`: what comes then is another absence.
  await wait(held ? 11_000 : 1000)
  for (const port of ports) if (port !== first) await start(port)
}

for (let restart = 1; restart <= restarts; restart += 1) {
  const first = ports[restart % ports.length]
  const others = ports.filter((port) => port !== first)
  await outage(ports, `outage ${restart}, all at once`)
  await recover(first, `outage ${restart}, all at once`)
  if (!others.length || !held) continue
  const what = `outage ${restart}, in turn`
  await outage([first], what)
  quiet.forEach((one) => (one.isSilent = false))
  await until(clients, (one) => one.on !== first || one.closed, (one) => `${one.name}: ${what}: it is not on the other`, 60)
  await outage(others, what)
  await recover(first, what)
}
const closed = () => clients.filter((one) => one.closed !== null)
if (!held) {
  const codes = new Map()
  closed().forEach((one) => codes.set(one.closed, (codes.get(one.closed) ?? 0) + 1))
  console.log(`without hold: ${closed().length} of ${count} clients were closed, with`, Object.fromEntries(codes))
  await kill(ports)
  process.exit(closed().length === count && codes.get(1006) === count ? 0 : 1)
}

// What is on its way arrives, however slow the machine is.
clients.forEach((one) => clearInterval(one.timer))
await untilRead(clients)
if (chromium) {
  const lives = [...backends.values()].map((backend) => backend.generation)
  const isBack = ({ alive }) => lives.includes(alive.generation) && alive.acknowledged > alive.before
  await until([page], isBack, () => `the page did not come back: ${JSON.stringify(page)}`, 60)
}
losses.close()
await kill(ports)
closed().forEach((one) => failures.unshift(`${one.name} was closed with ${one.closed}: ${one.end}`))

const { clients: lives, errors } = livesOf(backendLog)
errors.forEach(fail)
const lostUp = Array(generation + 1).fill(0)
const lostDown = Array(generation + 1).fill(0)
for (const client of clients) {
  const last = client.closed === null ? client.sent : undefined
  const { wrong, lost } = judge(client.name, lives.get(client.name), { ...client, last })
  wrong.forEach(fail)
  lost.forEach((messages, generation) => (lostUp[generation] += messages))
  if (client.isQuiet && lost.length) fail(`${client.name} was silent at each kill, and messages are missing: ${lost}`)
  // What a backend gave to its library may not have left it; what left it may not be in its log.
  for (const life of lives.get(client.name).slice(0, -1)) {
    lostDown[life.generation] += Math.max(0, life.sent - (client.got[life.generation] ?? 0))
  }
}
const every = [...lives.values()].flat()
for (let one = 1; one <= generation; one += 1) {
  const moments = every.filter((life) => life.generation === one).map((life) => life.at)
  if (!moments.length) continue
  const most = mostInASecond(moments)
  const took = moments.reduce((a, b) => Math.max(a, b), 0) - moments.reduce((a, b) => Math.min(a, b), Infinity)
  const lost = `; lost with its end: ${lostUp[one]} to it, ${lostDown[one]} from it`
  console.log(`backend ${one}: ${moments.length} handshakes in ${took} ms, at most ${most} in a second${lost}`)
  // Clocks of two processes: the last of one second may be seen as the first of the next.
  if (one > 1 && rate && most > rate * 1.1 + 2) fail(`backend ${one} saw ${most} handshakes in a second`)
}
const total = every.reduce((sum, life) => sum + life.read.length, 0)
console.log(`${count} clients (${Math.ceil(count / 2)} compressed, ${quiet.length} silent at each kill), ` +
  `${ports.length} backends, ${generation - ports.length} restarts: ${closed().length} closed; ${total} messages read by backends`)
if (chromium) {
  const pageLives = lives.get('page') ?? []
  const { wrong } = judge('page', pageLives, { deflate: true, marks: Array(generation).fill(Infinity) })
  wrong.forEach(fail)
  console.log('page:', JSON.stringify(page), `${pageLives.length} lives,`,
    `${pageLives.reduce((sum, life) => sum + life.read.length, 0)} messages read by backends`)
  if (page.loaded !== 1 || page.closed || page.disorder.length) fail('the page was disturbed')
  if (!page.extensions.includes('permessage-deflate')) fail('the page is not compressed')
  if (!page.extensions.includes('client_no_context_takeover')) fail('the page compresses as if its backend stayed')
  if (!pageLives.at(-1)?.read.length) fail('the last backend read nothing of the page')
  chromium.kill()
}
failures.slice(0, 20).forEach((what) => console.log(`FAILED: ${what}`))
if (failures.length > 20) console.log(`FAILED: and ${failures.length - 20} more`)
process.exit(failures.length ? 1 : 0)
