// Pages of applications in one Chromium, which finds dev.example.com here.
import { Page, start } from './chromium.mjs'
import { setTimeout as wait } from 'node:timers/promises'

let browser

/** Ends it, and waits until its files are at rest. */
export async function close() {
  if (!browser) return
  const gone = new Promise((resolve) => browser.once('exit', resolve))
  browser.kill()
  await gone
}

/** A page that is asked again while it loads anew. */
export class View {
  static async open(url) {
    browser ??= start('chromium', '--host-resolver-rules=MAP dev.example.com 127.0.0.1')
    const page = await Page.open({ url, width: 1200, height: 800, scheme: 'light' })
    return Object.assign(new View(), { page })
  }

  /** What an expression comes to; nothing while the page is between two documents. */
  async look(expression) {
    try {
      return await this.page.value(expression)
    } catch {
      return undefined
    }
  }

  async see(what, expression, patience = 20_000) {
    for (const end = Date.now() + patience; Date.now() < end; await wait(50)) if (await this.look(expression)) return
    throw new Error(`in vain for ${what}: ${(await this.look('document.body.innerText'))?.replace(/\s+/g, ' ').slice(0, 200)}`)
  }

  /** Text into an input, which this expression finds, and Enter. */
  async type(input, text) {
    await this.see(input, `!!(${input})`)
    await this.look(`(input => (input.focus(), input.select()))(${input})`)
    await this.page.ask('Input.insertText', { text })
    await this.page.press('Enter', '\r')
  }

  leave() {
    return this.page.ask('Page.close')
  }
}
