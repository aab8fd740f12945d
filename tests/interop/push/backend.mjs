// A backend that knows nothing of push: it streams numbers, every third message in three frames with
// a pause between, and judges those that it reads. SIGTERM: it ends once no message is open.
//   backend.mjs PORT
import { createServer } from 'node:http'
import { readFileSync } from 'node:fs'
import { WebSocketServer } from 'ws'
import { BACKEND_PAD } from './receipts.mjs'

const port = Number(process.argv[2])
const PERIOD = Number(process.env.PERIOD)
const PAUSE = 40
const files = { '/': ['page.html', 'text/html'], '/receipts.mjs': ['receipts.mjs', 'text/javascript'] }
const http = createServer((request, response) => {
  const [file, type] = files[request.url] ?? []
  if (!file) return response.writeHead(404).end()
  response.writeHead(200, { 'content-type': type }).end(readFileSync(file))
})
// Small windows: a thousand sessions with zlib's own would take a gigabyte.
const perMessageDeflate = { threshold: 0, serverMaxWindowBits: 10, clientMaxWindowBits: 10, zlibDeflateOptions: { level: 1, memLevel: 2 } }
const server = new WebSocketServer({ server: http, perMessageDeflate, clientTracking: false })
let [connections, open, leaves] = [0, 0, false]

server.on('connection', (socket) => {
  const life = `${process.pid}.${++connections}`
  let [sent, read] = [0, undefined]
  const next = () => {
    if (leaves || socket.readyState !== 1) return
    const number = ++sent
    const text = `B|${life}|${number}|${BACKEND_PAD(number)}`
    setTimeout(next, PERIOD * (0.5 + Math.random()))
    if (number % 3) return socket.send(text)
    open += 1
    const cut = [text.length / 3, 2 * text.length / 3].map(Math.floor)
    socket.send(text.slice(0, cut[0]), { fin: false })
    // One timer after the other: node keeps no order between two of different times.
    setTimeout(() => {
      socket.send(text.slice(...cut), { fin: false }, () => {})
      setTimeout(() => socket.send(text.slice(cut[1]), () => { open -= 1 }), PAUSE)
    }, PAUSE)
  }
  setTimeout(next, PERIOD * Math.random())
  socket.on('message', (data) => {
    const [kind, numeral, pad] = data.toString().split('|')
    const number = Number(numeral)
    if (kind !== 'C' || pad !== BACKEND_PAD(number)) console.log(`FAIL a client's message: ${data.slice(0, 80)}`)
    if (read !== undefined && number !== read + 1) console.log(`FAIL a client's ${number} came after ${read}`)
    read = number
  })
  socket.on('error', (error) => console.log(`error ${error.message}`))
})
http.listen(port, '127.0.0.1', 4096, () => console.log('listening'))
process.on('SIGTERM', () => {
  leaves = true
  setInterval(() => open === 0 && process.exit(0), 20)
})
