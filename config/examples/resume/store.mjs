// Counts a session's messages, and goes on counting after a restart: what it said is in a file
// under its token, in a directory that all backends share.
//   node store.mjs PORT DIRECTORY
import { appendFileSync, existsSync, readFileSync } from 'node:fs'
import { WebSocketServer } from 'ws'

const [port, directory] = process.argv.slice(2)
const server = new WebSocketServer({ host: '127.0.0.1', port })
const kept = ({ headers }) => {
  const token = /^[0-9a-f]{32}/.exec(headers['tidegate-session'] ?? headers['tidegate-resume'])
  return token && `${directory}/${token}`
}
server.on('headers', (answer, request) => {
  const resumed = request.headers['tidegate-resume']
  if (!kept(request)) return
  if (!resumed) appendFileSync(kept(request), '')
  else if (existsSync(kept(request))) answer.push(`Tidegate-Resume: ${resumed}`)
})
server.on('connection', (socket, request) => {
  const file = kept(request)
  if (!file) return socket.close(1008, 'through tidegate only')
  let count // Of all its lives, from when it speaks: until then another backend may have it.
  socket.on('message', (text) => {
    count ??= readFileSync(file, 'utf8').split('\n').length - 1
    appendFileSync(file, `${text}\n`)
    socket.send(`${(count += 1)}: ${text}`)
  })
})
