// Sessions of a page in Chromium, over TLS and HTTP/2. SIGTERM: what they read is written to NAME.json.
//   browser.mjs NAME URL FIRST COUNT PROFILE
import { writeFileSync } from 'node:fs'
import { Page, start } from './chromium.mjs'

const [name, url, first, count, profile] = process.argv.slice(2)
const browser = start(profile)
const page = await Page.open({ url, width: 1440, height: 900, scheme: 'dark' })
await page.until('the page', 'window.ready === true')
await page.value(`open_all(${first}, ${count}, ${process.env.ROOMS}); true`)
await page.until('its sessions', `opened() === ${count}`)
console.log(`${count} sessions are open`)
process.on('SIGTERM', async () => {
  const told = JSON.parse(await page.value('told()'))
  for (const error of page.errors()) told.sessions[0].faults.push(error)
  writeFileSync(`${name}.json`, JSON.stringify({ name, ...told }))
  browser.kill()
  process.exit(0)
})
