// tidegate with one recipe, word for word but for its addresses.
import { execFile, spawn } from 'node:child_process'
import { openSync, readFileSync, writeFileSync } from 'node:fs'
import { createConnection, createServer } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import { promisify } from 'node:util'

const { TIDEGATE, RECIPES } = process.env
const run = promisify(execFile)

/** A port of 127.0.0.1 that nothing listens on. */
export const free = () => new Promise((resolve) => {
  const server = createServer().listen(0, '127.0.0.1', () => {
    const { port } = server.address()
    server.close(() => resolve(port))
  })
})

export const listens = (port) => new Promise((resolve) => {
  const socket = createConnection(port, '127.0.0.1')
  socket.once('connect', () => resolve(true) || socket.destroy()).once('error', () => resolve(false))
})

export async function until(what, holds, patience = 30_000) {
  for (const end = Date.now() + patience; Date.now() < end; await wait(50)) if (await holds()) return
  throw new Error(`in vain for ${what}`)
}

export class Gate {
  /** The recipe's file with free ports; `ports` tells them by those of the recipe. */
  static async start(recipe, name) {
    const gate = Object.assign(new Gate(), { ports: {}, name })
    let text = readFileSync(`${RECIPES}/${recipe}`, 'utf8')
    const written = [...text.matchAll(/"(?:0\.0\.0\.0|127\.0\.0\.1):(\d+)"/g)].map(([, port]) => port)
    for (const port of new Set(written)) gate.ports[port] = await free()
    text = text.replace(/"(?:0\.0\.0\.0|127\.0\.0\.1):(\d+)"/g, (_, port) => `"127.0.0.1:${gate.ports[port]}"`)
    text = text.replaceAll('"../www/', `"${RECIPES}/../www/`)
    gate.text = `${text}\n[control]\nsocket = "${name}.sock"\n`
    gate.file = `${name}.toml`
    writeFileSync(gate.file, gate.text)
    const log = openSync(`${name}.log`, 'a')
    // A group of its own: an upgrade leaves processes that nobody here started.
    gate.child = spawn(TIDEGATE, ['run', '--config', gate.file], {
      stdio: ['ignore', log, log], detached: true, env: { ...process.env, STICKY_SECRET: '0123456789'.repeat(4) },
    })
    await until(`tidegate, see ${name}.log`, () => listens(gate.ports[443]))
    return gate
  }

  get origin() {
    return `https://localhost:${this.ports[443]}`
  }

  async command(...words) {
    const { stdout } = await run(TIDEGATE, [...words, '--socket', `${this.name}.sock`], { timeout: 60_000 })
    return stdout
  }

  /** Taken while sessions live: a new route shows that it was. */
  async reload() {
    writeFileSync(this.file, `${this.text}\n[[routes]]\npath = "= /reloaded"\nrespond = "yes"\n`)
    await this.command('reload')
    const answer = await fetch(`${this.origin}/reloaded`)
    if ((await answer.text()) !== 'yes') throw new Error(`reloaded, and answers ${answer.status}`)
  }

  /** The ids of all sessions, which stay the same where a session goes on. */
  async sessions() {
    const { sessions } = JSON.parse(await this.command('sessions', '--json'))
    return sessions.map(({ id }) => id).sort()
  }

  stop() {
    try {
      process.kill(-this.child.pid, 'SIGKILL')
    } catch {}
  }
}
