// Clients that several applications share: each has `say`, which is answered or throws, and `leave`.
import { writeFileSync } from 'node:fs'
import WebSocket from 'ws'
import { View } from './browser.mjs'

/** An echo over node's `ws`, which comes back by itself as a page's script would. */
export function echo(open) {
  let socket
  return {
    async say(text) {
      if (socket?.readyState !== WebSocket.OPEN) {
        socket = await open()
        await new Promise((done, fail) => {
          socket.once('open', done).once('error', fail).once('unexpected-response', (_, answer) => fail(new Error(answer.statusCode)))
        })
        socket.on('error', () => {})
      }
      await new Promise((done, fail) => {
        const closed = (code, reason) => fail(new Error(`closed: ${code} ${reason}`))
        const heard = (data) => {
          if (`${data}` !== text) return
          socket.off('message', heard).off('close', closed)
          done()
        }
        socket.on('message', heard).once('close', closed).send(text)
      })
    },
    leave: () => socket.terminate(),
  }
}

/** Expressions for a page whose parts have shadow roots: its first element of this selector, and its text. */
export const within = (selector) => `(function find(root) {
  for (const one of root.querySelectorAll('*')) {
    if (one.matches('${selector}')) return one
    const inner = one.shadowRoot && find(one.shadowRoot)
    if (inner) return inner
  }
})(document)`
export const TEXT = `(function read(root) {
  return root.textContent + [...root.querySelectorAll('*')].map((one) => one.shadowRoot ? read(one.shadowRoot) : '').join(' ')
})(document.body)`

/** A page that tells how much it heard. */
export async function typing(url, input, shown = 'document.body.innerText') {
  const view = await View.open(url)
  let tries = 0
  return {
    // Another text at each try: a page does not send again what it has sent, though it was away then.
    async say(text) {
      const said = `${(tries += 1)} ${text}`
      await view.type(input, said)
      await view.see('what was heard', `${shown}.includes(${JSON.stringify(`heard ${said.length}: ${said.slice(0, 40)}`)})`, 4_000)
    },
    load: () => view.look('location.reload()'),
    leave: () => view.leave(),
  }
}

/** A development server's page, to which a file is changed. */
export function developing(file, write) {
  return async (gate) => {
    const port = gate.ports[443]
    const view = await View.open(`https://dev.example.com:${port}/`)
    return {
      async say(text) {
        writeFileSync(file, write(text))
        await view.see('the new text', `document.body.dataset.said === ${JSON.stringify(text)}`, 4_500)
        await view.see('no overlay', `!document.querySelector('vite-error-overlay, #webpack-dev-server-client-overlay')`)
      },
      leave: () => view.leave(),
    }
  }
}
