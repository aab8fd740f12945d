// What callers were told beside what sessions read: judge.mjs DIRECTORY
import { existsSync, readFileSync } from 'node:fs'

const directory = process.argv[2]
const read = (name) => JSON.parse(readFileSync(`${directory}/${name}.json`, 'utf8'))
const rooms = Number(process.env.ROOMS)
const { refused, seconds, pushes } = read('callers')
const receivers = ['node1', 'node2', 'python', 'chromium'].filter((name) => existsSync(`${directory}/${name}.json`)).map(read)
const sessions = receivers.flatMap((one) => one.sessions)
let failed = false
const verdict = (good, text, examples = []) => {
  failed ||= !good
  console.log(`${good ? 'ok  ' : 'FAIL'}  ${text}`)
  for (const example of examples.slice(0, 5)) console.log(`        ${example}`)
}
const thousands = (number) => number.toLocaleString('en')
const part = (sorted, share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
const times = (all) => {
  const sorted = all.toSorted((one, other) => one - other)
  return `median ${part(sorted, 0.5)} ms, p99 ${part(sorted, 0.99)} ms, at most ${sorted.at(-1) ?? 0} ms`
}

const got = new Map()
const doubled = []
for (const { session, pushed } of sessions) {
  const keys = new Set()
  for (const [key] of pushed) {
    if (keys.has(key)) doubled.push(`${key} at session ${session}`)
    keys.add(key)
    got.set(key, (got.get(key) ?? 0) + 1)
  }
}
const answered = pushes.filter((one) => one.status === 200)
const unanswered = pushes.filter((one) => one.status !== 200)
const sum = (of) => answered.reduce((total, one) => total + of(one.report), 0)
const queued = sum((report) => report.queued)
const received = answered.reduce((total, { key }) => total + (got.get(key) ?? 0), 0)
console.log(`${thousands(sessions.length)} sessions (${receivers.map((one) => `${one.name} ${thousands(one.sessions.length)}`).join(', ')}), ` +
  `${thousands(pushes.length)} pushes in ${seconds.toFixed(0)} s (${(pushes.length / seconds).toFixed(0)}/s), ${thousands(sessions.reduce((total, one) => total + one.streamed, 0))} messages of backends between them`)
const of = (one) => `${one.key} to ${one.target}: ${JSON.stringify(one.report)}, ${got.get(one.key) ?? 0} received`
const lost = answered.filter((one) => (got.get(one.key) ?? 0) < one.report.queued)
verdict(lost.length === 0, `${thousands(queued)} queued, ${thousands(received)} received: ${lost.length} pushes lost copies`, lost.map(of))
const untold = answered.filter((one) => (got.get(one.key) ?? 0) > one.report.queued)
verdict(untold.length === 0, `${untold.length} pushes came to more sessions than was told`, untold.map(of))
verdict(doubled.length === 0, `${doubled.length} came twice to one session`, doubled)
const faults = sessions.flatMap((one) => one.faults)
verdict(faults.length === 0, `${faults.length} messages inside another, cut, out of order, or for another`, faults)
const size = (target) => target.startsWith('user') ? 1 : sessions.filter((one) => one.session < 1_000_000 && `room:r${one.session % rooms}` === target).length
const sizes = new Map()
const sized = (target) => sizes.get(target) ?? sizes.set(target, size(target)).get(target)
const deaf = answered.filter((one) => one.report.queued < sized(one.target))
verdict(deaf.length === 0, `${deaf.length} pushes did not reach all that have the label`, deaf.map(of))
const unread = answered.filter(({ wait, report }) => (wait === 'read' && report.read !== report.queued) || (wait !== 'queued' && report.written !== report.queued))
const waited = answered.filter((one) => one.wait !== 'queued')
verdict(unread.length === 0, `${waited.length} waited for \`written\` or \`read\`, ${unread.length} were not told so of every copy`, unread.map(of))
verdict(unanswered.length <= 8, `${unanswered.length} were not answered (a connection that closed at the upgrade), ${refused} refused with 503 and asked again`, unanswered.map((one) => `${one.key}: ${one.status} ${one.why}`))
const closed = receivers.flatMap((one) => one.closed.map((how) => `${one.name} ${how}`))
verdict(closed.length === 0, `${closed.length} sessions were closed`, closed)
const log = existsSync(`${directory}/backend.log`) ? readFileSync(`${directory}/backend.log`, 'utf8').split('\n').filter((line) => line.startsWith('FAIL')) : []
verdict(log.length === 0, `${log.length} faults at the backends`, log)
console.log(`      callers waited for \`queued\`: ${times(answered.filter((one) => one.wait === 'queued').map((one) => one.took))}; for \`read\`: ${times(answered.filter((one) => one.wait === 'read').map((one) => one.took))}`)
console.log(`      from the call to the client: ${times(sessions.flatMap((one) => one.pushed.map(([, took]) => took)))}`)
process.exit(failed ? 1 : 0)
