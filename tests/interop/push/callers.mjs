// Four callers of the API, each on a connection of its own and one message after another, to random
// users and rooms. What each message was told is written to callers.json.
//   callers.mjs PORT SECONDS SESSIONS
import { Agent, request } from 'node:http'
import { writeFileSync } from 'node:fs'
import { CALLER_PAD } from './receipts.mjs'

const [port, seconds, sessions] = process.argv.slice(2).map(Number)
const [CALLERS, RATE, ROOMS] = [4, Number(process.env.RATE), Number(process.env.ROOMS)]
const begun = Date.now()
const pushes = []
let refused = 0

function post(agent, path, body, isBinary) {
  return new Promise((done) => {
    const headers = { 'content-length': body.length, 'content-type': isBinary ? 'application/octet-stream' : 'text/plain' }
    const asked = request({ host: '127.0.0.1', port, method: 'POST', path, agent, headers }, (answer) => {
      let text = ''
      answer.on('data', (data) => { text += data })
      answer.on('end', () => done([answer.statusCode, text]))
      answer.on('error', (error) => done([0, error.message]))
    })
    asked.on('error', (error) => done([0, error.message]))
    asked.end(body)
  })
}

async function caller(name) {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  for (let number = 0; ; number++) {
    const due = begun + number * 1000 * CALLERS / RATE
    // On a machine that does not keep up there are fewer, and no longer.
    if (Math.max(due, Date.now()) > begun + seconds * 1000) return
    if (due > Date.now()) await new Promise((done) => setTimeout(done, due - Date.now()))
    const random = Math.floor(Math.random() * sessions)
    const target = number % 2 ? `user:u${random}` : `room:r${random % ROOMS}`
    const wait = number % 25 === 7 ? 'read' : number % 10 === 3 ? 'written' : 'queued'
    for (let again = 0; ; again++) {
      const at = Date.now()
      const body = Buffer.from(`P|${name}|${number}|${target}|${at}|${CALLER_PAD(number)}`)
      const [status, text] = await post(agent, `/v1/push?label=${target}&wait=${wait}`, body, number % 5 === 0)
      // Refused whole: it is asked again, and no one has it twice.
      if (status === 503 && again < 100) {
        refused += 1
        await new Promise((done) => setTimeout(done, 50))
        continue
      }
      pushes.push({ key: `${name}.${number}`, target, wait, status, took: Date.now() - at, ...(status === 200 ? { report: JSON.parse(text) } : { why: text }) })
      break
    }
  }
}

await Promise.all(Array.from({ length: CALLERS }, (_, index) => caller(`c${index}`)))
writeFileSync('callers.json', JSON.stringify({ refused, seconds: (Date.now() - begun) / 1000, pushes }))
