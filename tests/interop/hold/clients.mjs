// Many clients through a proxy whose backend is killed again and again; then every number is
// accounted for.
//   clients.mjs PROXY_PORT BACKEND_PORT DIRECTORY CLIENTS RESTARTS HANDSHAKES_PER_SECOND MODE
// MODE is `held`, or `closed` for a proxy that does not hold.
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { setTimeout as wait } from 'node:timers/promises'
import WebSocket from 'ws'

const [proxy, port, directory, ...rest] = process.argv.slice(2)
const [count, restarts, rate] = rest.slice(0, 3).map(Number)
const held = rest[3] === 'held'
const backendLog = `${directory}/backend.log`
const failures = []
const fail = (what) => failures.push(what)
const padding = 'tidegate '.repeat(8 * 1024).slice(0, 64 * 1024)

let generation = 0
async function backend() {
  generation += 1
  const args = [`${directory}/backend.mjs`, port, backendLog, String(generation)]
  const child = spawn('node', args, { stdio: ['ignore', 'pipe', 'inherit'] })
  await new Promise((resolve) => child.stdout.once('data', resolve))
  return child
}

class Client {
  constructor(name, deflate) {
    Object.assign(this, { name, deflate, sentAt: [0], got: [], closed: null, last: [0, 0] })
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
    if (Boolean(socket.extensions) !== this.deflate) fail(`${this.name}: extensions ${socket.extensions}`)
    socket.on('close', (code) => (this.closed = code))
    socket.on('error', (error) => fail(`${this.name}: ${error.message}`))
    // Clients do not beat together.
    await wait(Math.random() * 50)
    this.timer = setInterval(() => this.send(), 50)
  }

  send() {
    if (this.socket.readyState !== WebSocket.OPEN) return
    const number = this.sentAt.push(Date.now()) - 1
    const pad = number % 100 === 50 ? padding : ''
    this.socket.send(JSON.stringify({ number, pad }))
  }

  read({ generation, number }) {
    const [before, last] = this.last
    // Within one backend's life nothing is left out, doubled or out of order.
    const next = generation === before ? number === last + 1 : generation > before && number === 1
    if (!next && held) fail(`${this.name}: ${before}/${last} was followed by ${generation}/${number}`)
    this.last = [generation, number]
    this.got[generation] = number
  }
}

// What the page in a browser says.
const page = { loaded: 0, opened: 0, closed: 0, disorder: [], generation: 0, extensions: '' }
const reports = createServer((request, response) => {
  const { pathname, searchParams } = new URL(request.url, 'http://x')
  if (pathname === '/alive') page.generation = Number(searchParams.get('generation'))
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

let child = await backend()
const clients = Array.from({ length: count }, (_, i) => new Client(`c${i}`, i % 2 === 0))
for (let i = 0; i < count; i += 20) await Promise.all(clients.slice(i, i + 20).map((one) => one.open()))
const chromium = held ? await browser() : null
await wait(2000)
for (let i = 0; i < restarts; i += 1) {
  child.kill('SIGKILL')
  await new Promise((resolve) => child.once('exit', resolve))
  child = await backend()
  await wait(3000)
}
if (held) {
  // The last one has them all again before it is asked what it read.
  const back = () => clients.every((one) => one.closed !== null || one.last[0] === generation)
  for (let i = 0; i < 300 && !back(); i += 1) await wait(100)
  const pageBack = () => !chromium || page.generation === generation
  for (let i = 0; i < 100 && !pageBack(); i += 1) await wait(100)
  if (chromium && !pageBack()) fail('the page did not come back')
}
clients.forEach((one) => clearInterval(one.timer))
// What is on its way arrives, however slow the machine is.
const arrived = () => {
  const last = new Map()
  for (const line of readFileSync(backendLog, 'utf8').split('\n')) {
    const [what, , client, number] = line.split(' ')
    if (what === 'read') last.set(client, Number(number))
  }
  return clients.every((one) => last.get(one.name) === one.sentAt.length - 1)
}
for (let i = 0; held && i < 60 && !arrived(); i += 1) await wait(2000)
await wait(1000)

const closed = clients.filter((one) => one.closed !== null)
if (!held) {
  const codes = new Map()
  closed.forEach((one) => codes.set(one.closed, (codes.get(one.closed) ?? 0) + 1))
  console.log(`without hold: ${closed.length} of ${count} clients were closed, with`, Object.fromEntries(codes))
  child.kill('SIGKILL')
  process.exit(closed.length === count && codes.get(1006) === count ? 0 : 1)
}
closed.forEach((one) => fail(`${one.name} was closed with ${one.closed}`))

// What the backends wrote down.
const handshakes = []
const read = new Map(clients.map((one) => [one.name, []]))
const sent = new Map(clients.map((one) => [one.name, []]))
for (const line of readFileSync(backendLog, 'utf8').split('\n')) {
  const [what, generation, client, number] = line.split(' ')
  if (what === 'handshake') handshakes.push([Number(generation), Number(number)])
  if (what === 'error') fail(line)
  if (what === 'read') read.get(client)?.push(Number(number))
  if (what === 'sent' && sent.has(client)) sent.get(client)[Number(generation)] = Number(number)
}
// When tidegate saw each loss, by the client's port.
const bySession = new Map()
const losses = new Map(clients.map((one) => [one.port, []]))
for (const line of readFileSync(`${directory}/tidegate.log`, 'utf8').split('\n').filter(Boolean)) {
  const entry = JSON.parse(line)
  const fields = entry.fields ?? entry
  if (fields.event === 'session_opened') bySession.set(fields.session, Number(fields.client.split(':').pop()))
  if (fields.event === 'session_held') {
    losses.get(bySession.get(fields.session))?.push(Date.parse(entry.timestamp ?? fields.timestamp))
  }
}
const lostUp = Array(restarts + 2).fill(0)
const lostDown = Array(restarts + 2).fill(0)
let total = 0
for (const client of clients) {
  const numbers = read.get(client.name)
  for (let i = 1; i < numbers.length; i += 1) {
    if (numbers[i] === numbers[i - 1]) fail(`${client.name}: ${numbers[i]} was read twice`)
    if (numbers[i] < numbers[i - 1]) fail(`${client.name}: ${numbers[i]} was read after ${numbers[i - 1]}`)
  }
  const seen = new Set(numbers)
  total += numbers.length
  const lost = losses.get(client.port)
  if (lost.length < restarts) fail(`${client.name}: ${lost.length} losses were logged`)
  const missing = []
  for (let number = 1; number < client.sentAt.length; number += 1) {
    if (seen.has(number)) continue
    // Lost with a backend: then it was read before the loss was seen, and sent before that.
    const gone = lost.findIndex((at) => client.sentAt[number] <= at)
    if (gone < 0) fail(`${client.name}: ${number} is missing, sent after the last loss was seen`)
    else (missing[gone] ??= []).push(number)
  }
  missing.forEach((numbers, loss) => {
    lostUp[loss + 1] += numbers.length
    // They are the last that the backend was sent: what follows was kept, and all of it came.
    const together = numbers.at(-1) - numbers[0] + 1 === numbers.length
    if (!together) fail(`${client.name}: missing from the midst: ${numbers}`)
  })
  sent.get(client.name).forEach((number, generation) => {
    // The log may be a moment behind what was sent.
    lostDown[generation] += Math.max(0, number - (client.got[generation] ?? 0))
  })
}
for (let one = 1; one <= generation; one += 1) {
  const times = handshakes.filter(([of]) => of === one).map(([, at]) => at).sort((a, b) => a - b)
  let most = 0
  times.forEach((at, i) => (most = Math.max(most, times.filter((t, k) => k >= i && t < at + 1000).length)))
  const took = times.length ? times.at(-1) - times[0] : 0
  const lost = one < generation ? `; lost with its end: ${lostUp[one]} to it, ${lostDown[one]} from it` : ''
  console.log(`backend ${one}: ${times.length} handshakes in ${took} ms, at most ${most} in a second${lost}`)
  // Clocks of two processes: the last of one second may be seen as the first of the next.
  if (one > 1 && most > rate * 1.1 + 2) fail(`backend ${one} saw ${most} handshakes in a second`)
}
console.log(`${count} clients (${Math.ceil(count / 2)} compressed), ${generation - 1} restarts: ` +
  `${closed.length} closed; ${total} messages read by backends`)
if (chromium) {
  console.log('page:', JSON.stringify(page))
  if (page.loaded !== 1 || page.closed || page.disorder.length) fail('the page was disturbed')
  if (!page.extensions.includes('permessage-deflate')) fail('the page is not compressed')
  chromium.kill()
}
child.kill('SIGKILL')
failures.slice(0, 20).forEach((what) => console.log(`FAILED: ${what}`))
if (failures.length > 20) console.log(`FAILED: and ${failures.length - 20} more`)
process.exit(failures.length ? 1 : 0)
