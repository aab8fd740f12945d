// Runs the applications of apps.mjs, one after another: main.mjs [NAME…]
import { spawn } from 'node:child_process'
import { mkdirSync, openSync, readFileSync } from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'
import { apps } from './apps.mjs'
import { close } from './browser.mjs'
import { NO_SESSIONS } from './commands.mjs'
import { Gate, listens, until } from './gate.mjs'

const wanted = process.argv.slice(2)
/** How long a page or a library may take to come back. */
const PATIENCE = 30_000
const IS_FULL = process.env.TIDEGATE_SCALE === 'full'

const children = new Set()
const end = () => children.forEach((child) => child.stop())
process.on('exit', end)
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1))
// A library whose connection is gone says so where nobody listens.
process.on('unhandledRejection', (reason) => console.error(`  ${reason?.message ?? reason}`))

/** One server process, and its group: a development server has children. */
class Server {
  /** Starts the application's server of this number. */
  static async start(app, name, gate, port, number) {
    const dir = `${name}-${number}`
    mkdirSync(dir, { recursive: true })
    return new Server(name, await app.serve(port, dir, gate))
  }

  constructor(name, { command, env, cwd }) {
    const log = openSync(`${name}-server.log`, 'a')
    this.child = spawn(command[0], command.slice(1), {
      cwd, detached: true, stdio: ['ignore', log, log], env: { ...process.env, ...env },
    })
    this.gone = new Promise((resolve) => this.child.once('exit', resolve).once('error', resolve))
    children.add(this)
  }

  stop() {
    try {
      process.kill(-this.child.pid, 'SIGKILL')
    } catch {}
  }

  async kill() {
    this.stop()
    await this.gone
    children.delete(this)
  }
}

async function serve(app, name, gate) {
  const ports = app.ports.map((port) => gate.ports[port])
  const servers = await Promise.all(ports.map((port, number) => Server.start(app, name, gate, port, number)))
  await Promise.all(ports.map((port) => until(`a server, see ${name}-server.log`, () => listens(port), 60_000)))
  await app.ready?.(gate, ports)
  return servers
}

/** Says it until it is answered: a connection may be gone and not be noticed yet. */
async function speak(visitor, text) {
  const end = Date.now() + PATIENCE
  for (let last; ; await wait(50)) {
    if (Date.now() > end) throw new Error(`not answered: ${last?.message}`)
    try {
      const timeout = Math.min(5_000, end - Date.now())
      return await Promise.race([visitor.say(text), wait(timeout).then(() => Promise.reject(new Error('silent')))])
    } catch (error) {
      last = error
    }
  }
}

/** What one application goes through; `told` has a word for each step. */
async function play(app, name, told) {
  const gate = await Gate.start(app.recipe, name)
  children.add(gate)
  let servers = await serve(app, name, gate)
  let number = 0
  const step = async (what, act) => {
    const since = Date.now()
    try {
      const word = await act()
      told.push(`${what} ${((Date.now() - since) / 1000).toFixed(1)}${word ? ` (${word})` : ''}`)
    } catch (error) {
      throw new Error(`${what}: ${error.message}`)
    }
  }
  const greet = () => speak(visitor, `hello ${(number += 1)}`)
  /** Whether the sessions that were there before are those that are there after. */
  const followed = async (act) => {
    const before = await gate.sessions()
    await act()
    const after = await gate.sessions()
    if (app.isEvents && !before.length && !after.length) return NO_SESSIONS
    const same = before.filter((id) => after.includes(id)).length
    return same === before.length ? 'goes on' : same === 0 ? 'reconnects' : `${same} of ${before.length} go on`
  }
  const expect = (wanted, word) => {
    if (app.isEvents) wanted = [NO_SESSIONS]
    if (!wanted.includes(word)) throw new Error(`${word}, where it ${wanted.join(' or ')}`)
    return word
  }

  let visitor
  await step('open', async () => {
    visitor = await app.visit(gate)
    await greet()
  })
  await step('large', () => speak(visitor, 'x'.repeat(app.large ?? 1_000_000)))
  if (IS_FULL) await step('silent', async () => expect(['goes on'], await followed(() => wait(70_000).then(greet))))
  await step('reload', async () => expect(['goes on'], await followed(() => gate.reload().then(greet))))
  await step('upgrade', async () => expect(['goes on'], await followed(() => gate.command('upgrade').then(greet))))
  await step('restart', async () => expect(app.restart, await followed(async () => {
    await Promise.all(servers.map((server) => server.kill()))
    await wait(1_000)
    servers = await serve(app, name, gate)
    await visitor.again?.()
    await greet()
  })))
  await step('drain', async () => expect(['reconnects'], await followed(async () => {
    await gate.command('drain', '--all', '--window', '500ms', '--wait')
    await greet()
  })))
  await visitor.leave?.()
  await Promise.all(servers.map((server) => server.kill()))
  gate.stop()
  children.delete(gate)
}

let failed = 0
for (const [name, app] of Object.entries(apps)) {
  if (wanted.length && !wanted.includes(name)) continue
  const needs = app.needs?.()
  if (needs) {
    console.log(`left  ${name.padEnd(19)} ${needs} is not here`)
    continue
  }
  const [since, told] = [Date.now(), []]
  let error
  try {
    await play(app, name, told)
  } catch (caught) {
    error = caught
    end()
    children.clear()
    failed += 1
  }
  const seconds = ((Date.now() - since) / 1000).toFixed(1)
  console.log(`${error ? 'FAIL' : 'ok  '}  ${name.padEnd(19)} ${seconds.padStart(5)} s  ${app.recipe}: ${told.join(', ')}${error ? `; ${error.message}` : ''}`)
}
for (const name of wanted) if (!apps[name]) console.log(`FAIL  ${name}: there is ${Object.keys(apps).join(', ')}`), failed += 1
await close()
process.exit(failed ? 1 : 0)
