// A page, or the WebSockets that it opens at its own path: node two-ports.mjs PORT page|hub
import { createServer } from 'node:http'
import { WebSocketServer } from 'ws'

const PAGE = `<!doctype html><input><p>nothing</p><script>
  let socket
  const open = () => {
    socket = new WebSocket(location.href.replace('http', 'ws'))
    socket.onmessage = ({ data }) => { document.querySelector('p').textContent = data }
    socket.onclose = () => setTimeout(open, 300)
  }
  open()
  document.querySelector('input').onkeydown = ({ key, target }) => key === 'Enter' && socket.send(target.value)
</script>`
const [port, which] = process.argv.slice(2)
const http = createServer((_, answer) => answer.writeHead(which === 'page' ? 200 : 404, { 'Content-Type': 'text/html' }).end(PAGE))
if (which === 'hub') {
  new WebSocketServer({ server: http }).on('connection', (socket) => {
    socket.on('message', (data) => socket.send(`heard ${data.length}: ${`${data}`.slice(0, 40)}`))
  })
}
http.listen(Number(port), '127.0.0.1')
