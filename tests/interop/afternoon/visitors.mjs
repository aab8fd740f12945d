// Ten socket.io clients and ten sockets of /api/echo, which come back by themselves: visitors.mjs PORT HOST
// PORT is asked by the script:
//   /talk    each is answered
//   /kept    … and none has noticed anything since the question before
//   /held    … and no socket of /api/echo has
//   /codes   how each was closed, when all are
import { createServer } from 'node:http'
import { setTimeout as wait } from 'node:timers/promises'
import { io } from 'socket.io-client'
import WebSocket from 'ws'

const [port, host] = process.argv.slice(2)
const clients = []
let isLeaving = false

class Io {
  kind = 'socket.io'
  noticed = []
  constructor() {
    this.socket = io(`https://${host}`, { forceNew: true, withCredentials: true, reconnectionDelayMax: 1000 })
    this.socket.on('disconnect', (why, details) => this.noticed.push(details?.context?.code ?? details?.description ?? why))
  }
  isReady() {
    return this.socket.connected && this.socket.io.engine.transport.name === 'websocket'
  }
  async say(text) {
    return (await this.socket.timeout(1_000).emitWithAck('say', text)) === text
  }
}

class Plain {
  kind = '/api/echo'
  noticed = []
  constructor() {
    this.open()
  }
  open() {
    this.socket = new WebSocket(`wss://${host}/api/echo`, { origin: `https://${host}` })
    this.socket.on('error', () => {}).on('close', (code) => {
      this.noticed.push(code)
      if (!isLeaving) setTimeout(() => this.open(), 500)
    })
  }
  isReady() {
    return this.socket.readyState === WebSocket.OPEN
  }
  say(text) {
    return new Promise((resolve) => {
      const heard = (data) => {
        if (`${data}` !== text) return
        this.socket.off('message', heard)
        resolve(true)
      }
      this.socket.on('message', heard).send(text)
      setTimeout(resolve, 1_000, false)
    })
  }
}

let number = 0
async function talk(client) {
  for (const end = Date.now() + 30_000; Date.now() < end; await wait(50)) {
    try {
      if (client.isReady() && (await client.say(`${(number += 1)}`))) return
    } catch {}
  }
  throw new Error(`a client of ${client.kind} is not answered`)
}

const questions = {
  async talk(may = () => true) {
    await Promise.all(clients.map(talk))
    const noticed = clients.filter((client) => client.noticed.length)
    const codes = [...new Set(noticed.flatMap((client) => client.noticed))].join(', ')
    const wrong = noticed.find((client) => !may(client))
    if (wrong) throw new Error(`a client of ${wrong.kind} noticed: ${wrong.noticed}`)
    for (const client of clients) client.noticed = []
    return `20 of 20 answered, ${noticed.length} had noticed${codes && `: ${codes}`}`
  },
  kept: () => questions.talk(() => false),
  held: () => questions.talk((client) => client.kind === 'socket.io'),
  async codes() {
    isLeaving = true
    const gone = (client) => client.noticed.length > 0
    for (const end = Date.now() + 40_000; Date.now() < end && !clients.every(gone); await wait(50));
    const codes = clients.filter((client) => client.kind === '/api/echo').map((client) => client.noticed[0])
    if (codes.some((code) => code !== 1012)) throw new Error(`${codes}`)
    return `all closed, the sockets with ${[...new Set(codes)]}`
  },
}

for (let at = 0; at < 10; at += 1) clients.push(new Io(), new Plain())
createServer(async (request, answer) => {
  const question = questions[request.url.slice(1)]
  try {
    answer.end(`${question ? await question() : 'which?'}\n`)
  } catch (error) {
    console.log(error.message)
    answer.writeHead(500).end(`${error.message}\n`)
  }
}).listen(Number(port), '127.0.0.1')
