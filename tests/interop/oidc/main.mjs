// Clients open WebSockets with tokens of an OpenID provider, without a pause, while it rotates its
// keys, is dead for a while, and others make up tokens. Times are a tenth of the defaults.
import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import http from 'node:http'
import readline from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { SignJWT, exportJWK, generateKeyPair } from 'jose'
import WebSocket, { WebSocketServer } from 'ws'

const [proxy, issuer, one, two, keysFile] = process.argv.slice(2)
const REFRESH_MIN = 3_000
const KEYS = []
let faults = 0

function check(what, holds, seen) {
  if (!holds) faults += 1
  console.log(`${holds ? 'ok  ' : 'FAIL'} ${what}: ${seen}`)
}

for (const port of [one, two]) {
  const server = new WebSocketServer({ port: Number(port), host: '127.0.0.1' })
  server.on('connection', socket => socket.on('message', data => socket.send(data)))
}

async function rotate(kid, keep) {
  const { privateKey } = await generateKeyPair('ES256', { extractable: true })
  KEYS.unshift({ ...await exportJWK(privateKey), kid, alg: 'ES256', use: 'sig' })
  KEYS.length = Math.min(KEYS.length, keep)
  writeFileSync(keysFile, JSON.stringify({ keys: KEYS }))
}

const seen = { fetched: 0 }
async function start() {
  const child = spawn('node', ['issuer.mjs', issuer, keysFile], { stdio: ['ignore', 'pipe', 'inherit'] })
  const lines = readline.createInterface({ input: child.stdout })
  const waiting = new Map()
  const line = word => new Promise(done => waiting.set(word, done))
  lines.on('line', word => {
    if (word === 'fetched') seen.fetched += 1
    waiting.get(word)?.()
  })
  await line('ready')
  return { child, line }
}

function token() {
  return new Promise((done, failed) => {
    const body = 'grant_type=client_credentials&scope=talk'
    const request = http.request({
      host: '127.0.0.1', port: issuer, path: '/token', method: 'POST',
      headers: {
        'content-type': 'application/x-www-form-urlencoded',
        authorization: `Basic ${Buffer.from('chat:secret').toString('base64')}`,
      },
    }, async response => {
      let text = ''
      for await (const part of response) text += part
      const token = JSON.parse(text).access_token
      token ? done(token) : failed(new Error(text))
    })
    request.on('error', failed)
    request.end(body)
  })
}

function open(token) {
  return new Promise(done => {
    const socket = new WebSocket(`ws://127.0.0.1:${proxy}/`, { headers: { authorization: `Bearer ${token}` } })
    socket.on('open', () => socket.send('hello'))
    socket.on('message', () => { socket.close(); done(101) })
    socket.on('unexpected-response', (_, response) => { response.resume(); done(response.statusCode) })
    socket.on('error', error => done(error.code ?? error.message))
  })
}

// Whatever is good at the moment, by so many clients at once.
const load = { token: null, on: true, opened: 0, refused: [] }
async function client() {
  while (load.on) {
    const status = await open(load.token)
    status === 101 ? load.opened += 1 : load.refused.push(status)
  }
}
function since() {
  const { opened, refused } = load
  load.opened = 0
  load.refused = []
  return { opened, refused }
}

await rotate('first', 1)
let provider = await start()
load.token = await token()
// The proxy was there before its issuer.
while (await open(load.token) !== 101) await sleep(100)
const clients = Array.from({ length: 8 }, client)
await sleep(REFRESH_MIN + 500)
let { opened, refused } = since()
check('with one key', refused.length === 0 && opened > 0, `${opened} opened, refused: ${refused}`)

// The old key is published still: tokens signed by it live.
await rotate('second', 2)
let done = provider.line('rotated')
provider.child.kill('SIGHUP')
await done
const old = load.token
load.token = await token()
await sleep(REFRESH_MIN + 500)
;({ opened, refused } = since())
const both = [await open(old), await open(load.token)]
check('rotation under load', refused.length === 0 && opened > 0, `${opened} opened, refused: ${refused}`)
check('tokens of both keys', both.every(one => one === 101), both)

provider.child.kill('SIGKILL')
await sleep(6_000)
;({ opened, refused } = since())
check('a minute without its provider', refused.length === 0 && opened > 0, `${opened} opened, refused: ${refused}`)

provider = await start()
const before = seen.fetched
const begun = Date.now()
const { privateKey } = await generateKeyPair('ES256')
const statuses = new Map()
let number = 0
async function forger() {
  while (number < 10_000) {
    const kid = `forged-${number++}`
    const forged = await new SignJWT({ sub: 'eve' }).setProtectedHeader({ alg: 'ES256', kid })
      .setIssuer(`http://127.0.0.1:${issuer}`).setAudience('https://chat.example').setExpirationTime('10m')
      .sign(privateKey)
    const status = await new Promise(done => http.get({
      host: '127.0.0.1', port: proxy, path: '/', agent, headers: { authorization: `Bearer ${forged}` },
    }, response => { response.resume(); response.on('end', () => done(response.statusCode)) }))
    statuses.set(status, (statuses.get(status) ?? 0) + 1)
  }
}
const agent = new http.Agent({ keepAlive: true, maxSockets: 16 })
await Promise.all(Array.from({ length: 16 }, forger))
const most = 1 + Math.ceil((Date.now() - begun) / REFRESH_MIN)
const fetches = seen.fetched - before
;({ opened, refused } = since())
check('10,000 forged tokens', statuses.get(401) === 10_000, JSON.stringify([...statuses]))
check('fetches for them', fetches <= most, `${fetches} in ${Date.now() - begun} ms, ${most} at most`)
check('others meanwhile', refused.length === 0 && opened > 0, `${opened} opened, refused: ${refused}`)

load.on = false
await Promise.all(clients)
provider.child.kill()
process.exit(faults > 0 ? 1 : 0)
