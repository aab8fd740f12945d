// What the backends wrote down, and what is wrong with it. No clock decides here: what one life of
// a connection read has no hole, and a hole between two lives is what a backend's death took along.
import { readFileSync } from 'node:fs'

/** Every life of every client's connection to a backend, in order, by the client's name. */
export function livesOf(log) {
  const clients = new Map()
  const lives = new Map()
  const errors = []
  for (const line of readFileSync(log, 'utf8').split('\n')) {
    const [what, id, name, value, deflate, kind, ...resume] = line.split(' ')
    if (what === 'handshake') {
      const [token, attempt] = resume.join('').split(';')
      const life = { id, generation: parseInt(id, 10), at: Number(value), deflate: deflate === 'deflate',
        kind, token, attempt: Number(attempt?.split('=')[1]), read: [], sent: 0 }
      lives.set(id, life)
      if (!clients.has(name)) clients.set(name, [])
      clients.get(name).push(life)
    }
    if (what === 'read') lives.get(id).read.push(Number(value))
    if (what === 'sent') lives.get(id).sent = Number(value)
    if (what === 'error') errors.push(line)
  }
  return { clients, errors }
}

/**
 * Judges what one client's lives read: `last` is the last number it sent, `marks` by generation
 * the last it had sent when the loss of that backend was known. Returns what is wrong, and by generation
 * how many messages went with a backend.
 */
export function judge(name, lives, { deflate, last, marks }) {
  const wrong = []
  const lost = []
  let before = 0
  lives.forEach((life, index) => {
    const kind = index === 0 ? 'session' : 'resume'
    if (life.kind !== kind) wrong.push(`${name}: handshake ${index + 1} was not a ${kind} but a ${life.kind}`)
    if (!/^[0-9a-f]{32}$/.test(life.token) || life.token !== lives[0].token) wrong.push(`${name}: token ${life.token}`)
    if (index > 0 && !(life.attempt >= 1)) wrong.push(`${name}: attempt ${life.attempt}`)
    if (life.deflate !== deflate) wrong.push(`${name}: compressed ${life.deflate}, not ${deflate}`)
    life.read.forEach((number, at) => {
      const place = `${name}: ${number} was read after ${before}`
      if (number <= before) wrong.push(`${place}, in life ${life.id}: twice or out of order`)
      else if (at > 0 && number !== before + 1) wrong.push(`${place}: a hole in life ${life.id}`)
      else if (number > before + 1) {
        const generation = lives[index - 1]?.generation
        lost[generation] = (lost[generation] ?? 0) + number - before - 1
        // What it sent when the loss was known was read after it: it is never missing.
        if (index === 0 || !(number - 1 <= marks[generation])) {
          wrong.push(`${place}, but up to ${marks[generation]} was sent before the loss was known`)
        }
      }
      before = number
    })
  })
  if (last !== undefined && before !== last) wrong.push(`${name}: ${last} was sent last, ${before} read`)
  return { wrong, lost }
}

/** The most of these moments that fall into one second. */
export function mostInASecond(moments) {
  const times = moments.toSorted((a, b) => a - b)
  let from = 0
  return times.reduce((most, at, to) => {
    while (times[from] <= at - 1000) from += 1
    return Math.max(most, to - from + 1)
  }, 0)
}
