// Starts each proxy with the file beside this, and looks at one WebSocket through its life.
import { spawn } from 'node:child_process'
import { readFileSync, readdirSync, openSync, writeFileSync } from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'
import WebSocket from 'ws'

const { TIDEGATE, NGINX, HAPROXY, CADDY, TRAEFIK, SILENCE } = process.env
/** The same change in the words of each: one more field in answers. */
const PROXIES = {
  tidegate: {
    port: 8441, files: ['tidegate.toml'], command: [TIDEGATE, 'run', '--config', 'tidegate.toml'],
    change: ['"same"', '"same"\nresponse_headers.set = { X-New = "yes" }'],
    reload: 'SIGHUP',
  },
  Caddy: {
    port: 8444, files: ['Caddyfile'], command: [CADDY, 'run', '--config', 'Caddyfile', '--adapter', 'caddyfile'],
    change: ['    reverse_proxy', '    header X-New yes\n    reverse_proxy'], reload: [CADDY, 'reload', '--config', 'Caddyfile', '--adapter', 'caddyfile'],
  },
  HAProxy: {
    port: 8443, files: ['haproxy.cfg'], command: [HAPROXY, '-W', '-f', 'haproxy.cfg'],
    change: ['backend app\n', 'backend app\n    http-response set-header X-New yes\n'], reload: 'SIGUSR2',
  },
  nginx: {
    port: 8442, files: ['nginx.conf'],
    command: [NGINX, '-p', '.', '-c', 'nginx.conf', '-e', 'stderr', '-g', 'daemon off; pid nginx.pid;'],
    change: ['proxy_pass', 'add_header X-New yes;\n            proxy_pass'], reload: 'SIGHUP',
  },
  Traefik: {
    port: 8445, files: ['traefik.yml', 'traefik-dynamic.yml'], command: [TRAEFIK, '--configFile=traefik.yml'],
    change: ['      service: app\n      tls', '      service: app\n      middlewares: [new]\n      tls',
      '  services:', '  middlewares:\n    new:\n      headers:\n        customResponseHeaders: { X-New: "yes" }\n  services:'],
  },
}

const children = []
process.on('exit', () => children.forEach((child) => child.kill('SIGKILL')))
function start(name, [file, ...words]) {
  const log = openSync(`${name}.log`, 'a')
  const child = spawn(file, words, { stdio: ['ignore', log, log] })
  children.push(child)
  child.gone = new Promise((resolve) => child.once('exit', resolve))
  return child
}
const seconds = (since) => `${((Date.now() - since) / 1000).toFixed(1)} s`
async function until(what, holds, patience = 20_000) {
  for (const end = Date.now() + patience; Date.now() < end; await wait(20)) if (await holds()) return
  throw new Error(`in vain for ${what}`)
}

/** A WebSocket whose end is remembered. */
class Client {
  static open(port, origin = `https://localhost:${port}`) {
    const client = new Client()
    client.socket = new WebSocket(`wss://localhost:${port}/echo`, { origin })
    client.socket.on('error', () => {}).on('close', (code) => (client.code = code))
    return new Promise((resolve) => {
      client.socket.once('open', () => resolve(client))
      client.socket.once('close', () => resolve(null))
    })
  }

  /** The answer, or null where there will be none. */
  say(text) {
    const { socket } = this
    return new Promise((resolve) => {
      if (socket.readyState !== WebSocket.OPEN) return resolve(null)
      socket.once('message', (data) => resolve(`${data}`)).once('close', () => resolve(null))
      socket.send(text)
      setTimeout(resolve, 5_000, null).unref()
    })
  }

  async lives() {
    return (await this.say('hello')) === 'hello'
  }
}

/** How many processes there are below this one, itself included. */
function family(pid) {
  const parents = readdirSync('/proc').filter((name) => /^\d+$/.test(name)).flatMap((name) => {
    try {
      return [[name, readFileSync(`/proc/${name}/stat`, 'utf8').split(') ')[1].split(' ')[1]]]
    } catch {
      return []
    }
  })
  const below = (one) => 1 + parents.filter(([, parent]) => parent === `${one}`).reduce((sum, [child]) => sum + below(child), 0)
  return below(pid)
}

/** Lines that say something. */
const lines = (files) => files.flatMap((file) => readFileSync(file, 'utf8').split('\n')).filter((line) => line.trim() && !line.trim().startsWith('#')).length

let backend = start('backend', ['node', 'backend.mjs'])
const rows = {}
const wrong = []
for (const [name, proxy] of Object.entries(PROXIES)) {
  const row = (rows[name] = { lines: lines(proxy.files) })
  const since = Date.now()
  proxy.child = start(name, proxy.command)
  await until(`${name}'s echo, see ${name}.log`, async () => {
    proxy.client = await Client.open(proxy.port)
    return proxy.client?.lives()
  })
  row.echo = seconds(since)
  const fields = JSON.parse(await proxy.client.say('fields'))
  const wants = { host: `localhost:${proxy.port}`, 'x-forwarded-for': '127.0.0.1', 'x-forwarded-proto': /^(https|wss)$/ }
  const missing = Object.entries(wants).filter(([field, want]) => !(want.test ? want.test(fields[field]) : want === fields[field]))
  row.fields = missing.length ? missing.map(([field]) => `${field}: ${fields[field]}`).join(', ') : 'right'
  if (fields['x-forwarded-proto'] === 'wss') row.fields = '`X-Forwarded-Proto: wss`'
  row.elsewhere = (await Client.open(proxy.port, 'https://elsewhere.example')) ? 'taken' : 'refused'
}

const all = Object.entries(PROXIES)
await wait(Number(SILENCE) * 1000)
for (const [name, { client }] of all) rows[name].silence = (await client.lives()) ? 'open' : `cut, ${client.code}`

for (const [name, proxy] of all) {
  proxy.client = (await proxy.client.lives()) ? proxy.client : await Client.open(proxy.port)
  const file = proxy.files.at(-1)
  let text = readFileSync(file, 'utf8')
  for (let at = 0; at < proxy.change.length; at += 2) text = text.replace(proxy.change[at], proxy.change[at + 1])
  const before = family(proxy.child.pid)
  writeFileSync(file, text)
  if (typeof proxy.reload === 'string') proxy.child.kill(proxy.reload)
  else if (proxy.reload) await start(`${name}-reload`, proxy.reload).gone
  const isNew = () => fetch(`https://localhost:${proxy.port}/`, { headers: { Connection: 'close' } }).then((answer) => answer.headers.get('x-new') === 'yes', () => false)
  await until(`${name}'s new field`, isNew)
  await wait(3_000)
  const more = family(proxy.child.pid) - before
  rows[name].reload = (await proxy.client.lives()) ? (more > 0 ? 'open, in the old process' : 'open') : `closed, ${proxy.client.code}`
}

for (const [, proxy] of all) if (!(await proxy.client.lives())) proxy.client = await Client.open(proxy.port)
backend.kill('SIGKILL')
await backend.gone
await wait(2_000)
for (const [name, { client }] of all) rows[name].backend = client.code ? `${client.code}` : 'open'

backend = start('backend', ['node', 'backend.mjs'])
for (const [name, proxy] of all) {
  await until(`${name}'s backend`, async () => {
    proxy.client = await Client.open(proxy.port)
    return proxy.client?.lives()
  }, 40_000)
  proxy.child.kill('SIGTERM')
  const told = await until('a stop', () => proxy.client.code).then(() => `${proxy.client.code}`, () => 'not within 20 s')
  rows[name].stop = told
}

const COLUMNS = {
  lines: 'lines', echo: 'first echo', fields: 'fields at the backend', elsewhere: "another site's page",
  silence: `${SILENCE} s without a message`, reload: 'reload', backend: 'the backend dies', stop: 'SIGTERM',
}
console.log(`| | ${Object.values(COLUMNS).join(' | ')} |\n|---|${Object.keys(COLUMNS).map(() => '---|').join('')}`)
for (const [name, row] of Object.entries(rows)) console.log(`| ${name} | ${Object.keys(COLUMNS).map((column) => row[column]).join(' | ')} |`)
// What this page promises of tidegate.
const { lines: _, echo: __, ...kept } = rows.tidegate
const promised = { fields: 'right', elsewhere: 'refused', silence: 'open', reload: 'open', backend: '1012', stop: '1012' }
if (JSON.stringify(kept) !== JSON.stringify(promised)) wrong.push(JSON.stringify(kept))
for (const one of wrong) console.log(`FAIL: ${one}`)
process.exit(wrong.length ? 1 : 0)
