// What a library's client sees when its server is killed and started again a second later, behind
// four routes: without `hold`, with `hold = {}`, with `resume = "always"`, and with what the manual
// says; compared with the manual's table.
//   main.mjs TIDEGATE MANUAL [NAME…]
import { spawn } from 'node:child_process'
import { createWriteStream, readFileSync, writeFileSync } from 'node:fs'
import { createConnection, createServer } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import { clients } from './clients.mjs'

const [tidegate, manual, ...wanted] = process.argv.slice(2)
/** How long it may take until the server is heard again. Every library here tries again sooner. */
const PATIENCE = 20_000

/** The rows of the table whose last column names a client here. */
const rows = readFileSync(manual, 'utf8').split('\n')
  .filter((line) => line.startsWith('|'))
  .map((line) => line.split('|').slice(1, -1).map((cell) => cell.trim()))
  .filter((cells) => cells.length === 7 && clients[cells[6].replaceAll('`', '')])
  .map(([application, none, defaults, always, write, fitting, name]) =>
    ({ application, write, name: name.replaceAll('`', ''), outcomes: { none, defaults, always, fitting } }))

const children = []
process.on('exit', () => children.forEach((child) => child.kill('SIGKILL')))

const free = () => new Promise((resolve) => {
  const server = createServer().listen(0, '127.0.0.1', () => {
    const { port } = server.address()
    server.close(() => resolve(port))
  })
})
const listens = (port) => new Promise((resolve) => {
  const socket = createConnection(port, '127.0.0.1')
  socket.once('connect', () => resolve(true) || socket.destroy()).once('error', () => resolve(false))
})
async function until(holds, patience = PATIENCE) {
  for (const since = Date.now(); Date.now() < since + patience; await wait(20)) if (await holds()) return true
  return false
}
async function start(name, port) {
  const child = spawn('node', ['servers.mjs', name, port], { stdio: ['ignore', 'pipe', 'inherit'] })
  children.push(child)
  await new Promise((resolve) => child.stdout.once('data', resolve))
  return child
}
const kill = (child) => new Promise((resolve) => child.once('exit', resolve) && child.kill('SIGKILL'))

/** The line of each route; the last as the manual's cell has it, where it says more than a word. */
function holds(write) {
  const keys = write.match(/`([^`{}]*=[^`{}]*)`/)?.[1]
  const [none, defaults, always] = ['', 'hold = {}', 'hold = { resume = "always" }']
  return { none, defaults, always, fitting: keys ? `hold = { ${keys} }` : write === '`{}`' ? defaults : none }
}

/** A proxy with a listener for each route. */
async function proxy(write, backend) {
  const ports = {}
  let toml = `[pools.app]\nbackends = ["127.0.0.1:${backend}"]\n`
  for (const [route, hold] of Object.entries(holds(write))) {
    ports[route] = await free()
    toml += `[listeners.${route}]\naddress = "127.0.0.1:${ports[route]}"\n`
    toml += `[[routes]]\nlistener = "${route}"\npool = "app"\n${hold}\n`
  }
  writeFileSync('tidegate.toml', toml)
  const child = spawn(tidegate, ['run', '--config', 'tidegate.toml'], { stdio: ['ignore', 'ignore', 'pipe'] })
  children.push(child)
  child.stderr.pipe(createWriteStream('tidegate.log', { flags: 'a' }))
  if (!(await until(() => listens(Object.values(ports).at(-1))))) throw new Error('tidegate does not start: see tidegate.log')
  return { child, ports }
}

/** What one client saw, as a word of the table. */
function outcome({ heard, noticed, back }) {
  if (!back) return noticed ? 'ends' : 'dead'
  return noticed ? 'reconnects' : 'goes on'
}

let failed = false
for (const { application, write, name, outcomes } of rows) {
  if (wanted.length && !wanted.includes(name)) continue
  const port = await free()
  let server = await start(name, port)
  const gate = await proxy(write, port)
  const seen = {}
  for (const [route, at] of Object.entries(gate.ports)) {
    const one = (seen[route] = { heard: 0, noticed: false, back: null, armed: null })
    const heard = () => {
      one.heard += 1
      if (one.armed) one.back ??= Date.now() - one.armed
    }
    await clients[name](`ws://127.0.0.1:${at}`, { heard, noticed: () => (one.noticed = true) }, route)
  }
  const all = Object.values(seen)
  const ready = await until(() => all.every((one) => one.heard >= 3))
  if (!ready) console.log(`FAILED: ${name}: heard ${all.map((one) => one.heard)} before anything was done`)
  failed ||= !ready
  all.forEach((one) => (one.noticed = false))
  await kill(server)
  await wait(1000)
  server = await start(name, port)
  all.forEach((one) => (one.armed = Date.now()))
  await until(() => all.every((one) => one.back !== null))
  const said = Object.entries(seen).map(([route, one]) => {
    const word = outcome(one)
    if (word !== outcomes[route]) {
      failed = true
      console.log(`FAILED: ${name}: ${route}: ${word}, and the manual says: ${outcomes[route]}`)
    }
    return one.back === null ? word : `${word} (${(one.back / 1000).toFixed(1)} s)`
  })
  console.log(`| ${application} | ${said.slice(0, 3).join(' | ')} | ${write} | ${said[3]} |`)
  server.kill('SIGKILL')
  gate.child.kill('SIGKILL')
}
process.exit(failed ? 1 : 0)
