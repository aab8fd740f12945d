// A backend that is killed: node's `ws`, compressing. It writes down every number it reads and
// sends, by the life of a connection that it came in, and every handshake.
//   backend.mjs PORT LOG GENERATION
import { createServer } from 'node:http'
import { openSync, readFileSync, writeSync } from 'node:fs'
import { WebSocketServer } from 'ws'

const [port, logFile, generation] = process.argv.slice(2)
const log = openSync(logFile, 'a')
const lines = []
// One write for each turn of the loop: what it told a client that it read is in the file, however
// it is killed.
const write = (line) => {
  if (lines.length === 0) setImmediate(flush)
  lines.push(line)
}
const flush = () => {
  writeSync(log, lines.join(''))
  lines.length = 0
}

const http = createServer((request, response) => {
  if (!request.url.startsWith('/page')) return response.writeHead(404).end()
  write(`page ${generation}\n`)
  response.writeHead(200, { 'content-type': 'text/html' })
  response.end(readFileSync(new URL('page.html', import.meta.url)))
})
const server = new WebSocketServer({ server: http, perMessageDeflate: { threshold: 0 } })
const padding = 'tidegate '.repeat(8 * 1024).slice(0, 64 * 1024)
let connections = 0

server.on('headers', (answer, { headers }) =>
  headers['tidegate-resume'] && answer.push(`Tidegate-Resume: ${headers['tidegate-resume']}`))
server.on('connection', (socket, request) => {
  const client = new URL(request.url, 'http://x').searchParams.get('client')
  connections += 1
  const life = `${generation}.${connections}`
  const resume = request.headers['tidegate-resume']
  const whose = resume ? `resume ${resume}` : `session ${request.headers['tidegate-session']}`
  const deflate = socket.extensions ? 'deflate' : 'plain'
  write(`handshake ${life} ${client} ${Date.now()} ${deflate} ${whose}\n`)
  let sent = 0
  let read = 0
  const timer = setInterval(() => {
    sent += 1
    write(`sent ${life} ${client} ${sent}\n`)
    const pad = sent % 100 === 50 ? padding : ''
    socket.send(JSON.stringify({ generation: Number(generation), number: sent, read, pad }))
  }, 50)
  socket.on('message', (data) => {
    const { number, pad } = JSON.parse(data)
    read = number
    write(`read ${life} ${client} ${number}\n`)
    if (pad && pad !== padding) write(`error ${life} ${client} another text than was sent\n`)
  })
  socket.on('close', (code, reason) => {
    clearInterval(timer)
    write(`closed ${life} ${client} ${code} ${reason}\n`)
  })
  socket.on('error', (error) => write(`error ${life} ${client} ${error.message}\n`))
})
http.listen(Number(port), '127.0.0.1', () => console.log('listening'))
