// Sessions that go on with a backend which confirms them, over two backends that are killed and
// started again, under the defaults of `hold`.
//   clients.mjs PROXY_PORT PORT PORT NAME DIRECTORY COMMAND…
// The command is given a port and the directory. NAME `stateless` is an echo; the others count each
// session's messages, of which none may be missing or be counted twice.
import { spawn } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { createConnection } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import WebSocket from 'ws'

const [proxy, one, two, name, directory, ...command] = process.argv.slice(2)
const COUNT = 20
const isCounting = name !== 'stateless'
const failures = []
rmSync(directory, { recursive: true, force: true })
mkdirSync(directory)

async function start(port) {
  const child = spawn(command[0], [...command.slice(1), port, directory], { stdio: ['ignore', 'inherit', 'inherit'] })
  child.once('error', (error) => { throw error })
  const listens = () => new Promise((resolve) => {
    const socket = createConnection(Number(port), '127.0.0.1')
    socket.once('connect', () => resolve(true) || socket.destroy()).once('error', () => resolve(false))
  })
  for (let i = 0; i < 600 && !(await listens()); i += 1) await wait(50)
  return child
}
const kill = (child) => new Promise((resolve) => child.once('exit', resolve) && child.kill('SIGKILL'))

let backends = [await start(one), await start(two)]
const clients = Array.from({ length: COUNT }, () => ({ sent: 0, heard: 0, count: 0, closed: null }))
for (const client of clients) {
  client.socket = new WebSocket(`ws://127.0.0.1:${proxy}/`)
  await new Promise((resolve, reject) => client.socket.once('open', resolve).once('error', reject))
  client.socket.on('close', (code) => (client.closed = code))
  client.socket.on('message', (data) => {
    const [count, number] = isCounting ? `${data}`.split(': ').map(Number) : [client.count + 1, Number(data)]
    // What was on its way to a backend that was killed may be lost, or have been counted before.
    if (count <= client.count || number <= client.heard || count > number) failures.push(`${count}: ${number} after ${client.count}: ${client.heard}`)
    Object.assign(client, { count, heard: number })
  })
  client.timer = setInterval(() => client.socket.readyState === 1 && client.socket.send(`${(client.sent += 1)}`), 50)
}
/** Waits until each has heard what it says from now on. */
async function all(what) {
  const marks = clients.map((client) => client.sent + 1)
  const since = Date.now()
  const left = () => clients.filter((client, i) => client.closed === null && client.heard < marks[i]).length
  while (left() && Date.now() < since + 20_000) await wait(10)
  const closed = clients.filter((client) => client.closed !== null)
  console.log(`${name}: ${what}: ${COUNT - closed.length - left()} of ${COUNT} go on, after ${Date.now() - since} ms`)
  if (left() || closed.length) failures.push(`${what}: ${left()} silent, closed with ${closed.map((one) => one.closed)}`)
}
await all('both are there')
for (const _ of [1, 2]) {
  await Promise.all(backends.map(kill))
  await wait(1000)
  backends = [await start(one), await start(two)]
  await all('both were killed')
}
clients.forEach((client) => clearInterval(client.timer))
if (isCounting) {
  for (let i = 0; i < 200 && clients.some((client) => client.heard < client.sent); i += 1) await wait(50)
  const files = readdirSync(directory)
  if (files.length !== COUNT) failures.push(`${files.length} sessions in the store`)
  const counts = files.map((file) => readFileSync(`${directory}/${file}`, 'utf8').split('\n').length - 1)
  const sum = (numbers) => numbers.reduce((all, one) => all + one, 0)
  if (sum(counts) !== sum(clients.map((client) => client.count))) failures.push('the store counts otherwise')
  // A session that the store does not know any more is to come back as a new one.
  await Promise.all(backends.map(kill))
  files.forEach((file) => rmSync(`${directory}/${file}`))
  backends = [await start(one), await start(two)]
  for (let i = 0; i < 400 && clients.some((client) => client.closed === null); i += 1) await wait(50)
  const codes = new Set(clients.map((client) => client.closed))
  console.log(`${name}: the store was emptied: closed with ${[...codes]}`)
  if (codes.size !== 1 || !codes.has(1012)) failures.push(`closed with ${[...codes]}`)
}
backends.forEach((child) => child.kill('SIGKILL'))
failures.slice(0, 10).forEach((what) => console.log(`FAILED: ${name}: ${what}`))
process.exit(failures.length ? 1 : 0)
