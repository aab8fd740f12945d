// What a session reads, judged: read by node's clients and by the page.
//
// Pushed: `P|CALLER|NUMBER|TARGET|MILLISECONDS|PAD`. Of a backend: `B|LIFE|NUMBER|PAD`. A pad is as
// long as the number says, so that what stands inside another message, or lacks a part, is seen.

export const CALLER_PAD = (number) => 'p'.repeat((number * 7919) % 3001)
// A part that is missing shows by what stands at its place.
const TEXT = '0123456789abcdefghijklmnopqrstuvwxyz'.repeat(600)
export const BACKEND_PAD = (number) => TEXT.slice(0, number % 10 === 0 ? 20_000 : (number * 31) % 300)

export class Receipts {
  constructor(session, room) {
    Object.assign(this, { session, targets: [`user:u${session}`, `room:r${room}`], pushed: [], faults: [], late: 0, streamed: 0 })
    this.last = new Map()
    this.life = undefined
    this.number = 0
  }

  fault(what) {
    if (this.faults.length < 5) this.faults.push(`${this.session}: ${what}`)
  }

  take(text, isBinary) {
    const [kind, ...parts] = text.split('|')
    if (kind === 'P' && parts.length === 5) return this.push(parts, isBinary)
    if (kind === 'B' && parts.length === 3) return this.stream(parts, isBinary)
    this.fault(`neither a push nor the backend's: ${text.length} bytes: ${text.slice(0, 80)}`)
  }

  push([caller, numeral, target, sent, pad], isBinary) {
    const number = Number(numeral)
    if (pad !== CALLER_PAD(number)) this.fault(`push ${caller}.${number} has ${pad.length} bytes of padding`)
    if (isBinary !== (number % 5 === 0)) this.fault(`push ${caller}.${number} changed its opcode`)
    if (!this.targets.includes(target)) this.fault(`push ${caller}.${number} was for ${target}`)
    if (number <= (this.last.get(caller) ?? -1)) this.fault(`push ${caller}.${number} came after ${this.last.get(caller)}`)
    this.last.set(caller, number)
    this.pushed.push([`${caller}.${number}`, Date.now() - Number(sent)])
  }

  stream([life, numeral, pad], isBinary) {
    const number = Number(numeral)
    if (pad !== BACKEND_PAD(number) || isBinary) this.fault(`the backend's ${number} has ${pad.length} bytes of padding: ${pad.slice(0, 200)}`)
    if (life === this.life && number !== this.number + 1) this.fault(`the backend's ${number} came after ${this.number}`)
    ;[this.life, this.number] = [life, number]
    this.streamed += 1
  }

  told() {
    const { session, pushed, faults, streamed } = this
    return { session, pushed, faults, streamed }
  }
}
