// Sessions by node's `ws`: the even ones over HTTP/2 (extended CONNECT, RFC 8441), half of each with
// permessage-deflate. SIGUSR2 opens some more; SIGTERM: what they read is written to NAME.json.
//   clients.mjs NAME PORT FIRST COUNT MORE
import { connect } from 'node:http2'
import { writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { WebSocket } from 'ws'
import { BACKEND_PAD, Receipts } from './receipts.mjs'

const [name, ...numbers] = process.argv.slice(2)
const [port, first, count, more] = numbers.map(Number)
const ROOMS = Number(process.env.ROOMS)
const PERIOD = Number(process.env.PERIOD)
const STREAMS = 90
// Its classes for a session whose stream is there already; the package exports no others.
const require = createRequire(import.meta.url)
const PerMessageDeflate = require('./node_modules/ws/lib/permessage-deflate.js')
const { parse } = require('./node_modules/ws/lib/extension.js')
const deflating = { threshold: 0, zlibDeflateOptions: { level: 1, memLevel: 2 } }
const sleep = (time) => new Promise((done) => setTimeout(done, time))
const sessions = []
const closed = []
let [leaves, connection, streams] = [false, undefined, STREAMS]

async function http2() {
  if (streams++ < STREAMS) return connection
  connection = connect(`http://127.0.0.1:${port}`, { settings: { initialWindowSize: 1 << 20 } })
  connection.setMaxListeners(0)
  connection.on('error', (error) => console.log(`FAIL a connection: ${error.message}`))
  streams = 1
  const announced = new Promise((done) => connection.once('remoteSettings', done))
  if (!(await announced).enableConnectProtocol) throw new Error('no extended CONNECT')
  return connection
}

async function overHttp2(path, compressed) {
  const asked = { ':method': 'CONNECT', ':protocol': 'websocket', ':path': path, ':authority': 'localhost', 'sec-websocket-version': '13' }
  if (compressed) asked['sec-websocket-extensions'] = 'permessage-deflate; client_max_window_bits'
  const stream = (await http2()).request(asked, { endStream: false })
  const answer = await new Promise((done, failed) => stream.once('response', done).once('error', failed))
  if (answer[':status'] !== 200) throw new Error(`status ${answer[':status']}`)
  const socket = new WebSocket(null, undefined, { autoPong: true, closeTimeout: 30_000 })
  socket._isServer = false
  if (answer['sec-websocket-extensions']) {
    const deflate = new PerMessageDeflate({ ...deflating, isServer: false })
    deflate.accept(parse(answer['sec-websocket-extensions'])[PerMessageDeflate.extensionName])
    socket._extensions[PerMessageDeflate.extensionName] = deflate
  }
  socket.setSocket(stream, Buffer.alloc(0), { allowSynchronousEvents: true, maxPayload: 1 << 20, skipUTF8Validation: false })
  return socket
}

async function overHttp1(path, compressed) {
  const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, { perMessageDeflate: compressed && deflating })
  await new Promise((done, failed) => socket.once('open', done).once('error', failed))
  return socket
}

async function open(number) {
  const receipts = new Receipts(number, number % ROOMS)
  const path = `/?user=u${number}&room=r${number % ROOMS}`
  const compressed = number % 4 > 1
  const socket = await (number % 2 ? overHttp1 : overHttp2)(path, compressed)
  if (Boolean(socket.extensions) !== compressed) receipts.fault(`extensions are ${socket.extensions}`)
  socket.on('message', (data, isBinary) => receipts.take(data.toString(), isBinary))
  socket.on('error', (error) => receipts.fault(error.message))
  socket.on('close', (code) => leaves || closed.push(`${number}: ${code}`))
  sessions.push(receipts)
  let sent = 0
  setTimeout(function next() {
    if (leaves || socket.readyState !== 1) return
    socket.send(`C|${++sent}|${BACKEND_PAD(sent)}`)
    setTimeout(next, PERIOD * (0.5 + Math.random()))
  }, PERIOD * Math.random())
}

async function openAll(from, to) {
  for (let number = from; number < to; number += 20)
    await Promise.all(Array.from({ length: Math.min(20, to - number) }, (_, index) => open(number + index)))
}

process.on('SIGUSR2', async () => {
  streams = STREAMS
  await openAll(1_000_000 + first, 1_000_000 + first + more)
  console.log(`${name}: ${more} more are there`)
})
process.on('SIGTERM', () => {
  leaves = true
  writeFileSync(`${name}.json`, JSON.stringify({ name, closed, sessions: sessions.map((one) => one.told()) }))
  process.exit(0)
})
await openAll(first, first + count)
console.log(`${count} sessions are open`)
while (true) await sleep(1_000)
