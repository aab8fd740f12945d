// The applications whose client is a page in Chromium; what each key is stands in apps.mjs.
import { execFileSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { View } from './browser.mjs'
import { answers, chromium, node, python, pythonOf } from './commands.mjs'
import { until } from './gate.mjs'
import { developing, TEXT, typing, within } from './visitors.mjs'

/** A page that is told /dash, and whose widgets have shadow roots. Its state ends with its server. */
function dashboard(name) {
  return {
    recipe: 'streamlit.toml',
    ports: [8501],
    large: 100_000,
    needs: chromium,
    serve: (port, _, gate) => python('-m', name, 'serve', `servers/${name}_app.py`, '--address', '127.0.0.1', '--port', port,
      '--prefix', '/dash', '--allow-websocket-origin', `localhost:${gate.ports[443]}`, '--use-xheaders'),
    restart: ['reconnects'],
    async visit(gate) {
      const visitor = await typing(`${gate.origin}/dash/${name}_app`, within('input'), TEXT)
      return { ...visitor, again: () => visitor.load() }
    },
  }
}

/** Whether OctoPrint's page is there, and its push socket open. */
const IS_IN = `(location.pathname === '/tool/' && window.OctoPrint?.socket?.socket?.readyState === 1)`

export const pages = {
  streamlit: {
    recipe: 'streamlit.toml',
    ports: [8501],
    large: 100_000,
    needs: chromium,
    serve: (port) => python('-m', 'streamlit', 'run', 'servers/streamlit_app.py', '--server.port', port, '--server.address', '127.0.0.1',
      '--server.headless', 'true', '--browser.gatherUsageStats', 'false', '--server.baseUrlPath', 'dash'),
    ready: answers('/dash/_stcore/health'),
    restart: ['reconnects'],
    visit: (gate) => typing(`${gate.origin}/dash/`, `document.querySelector('input[type=text]')`),
  },

  nicegui: {
    recipe: 'below-a-path.toml',
    ports: [1880],
    large: 100_000,
    needs: chromium,
    serve: (port) => python('servers/nicegui_app.py', port),
    ready: answers('/'),
    restart: ['reconnects'],
    visit: (gate) => typing(`${gate.origin}/tool`, `document.querySelector('input')`),
  },

  'node-red': {
    recipe: 'below-a-path.toml',
    ports: [1880],
    large: 100_000,
    needs: chromium,
    serve(port, dir) {
      writeFileSync(`${dir}/settings.js`, 'module.exports = { uiHost: "127.0.0.1", editorTheme: { tours: false } }\n')
      return { command: ['node', 'node_modules/node-red/red.js', '--userDir', resolve(dir), '--port', `${port}`,
        '--settings', `${dir}/settings.js`, resolve('servers/node-red.json')] }
    },
    ready: answers('/settings'),
    restart: ['reconnects'],
    /** The editor, below /tool, whose debug pane shows what is posted. */
    async visit(gate) {
      const view = await View.open(`${gate.origin}/tool`)
      await view.see('the editor', `!!window.RED?.nodes?.node('debug')`, 60_000)
      await view.look(`RED.sidebar.show('debug')`)
      return {
        async say(text) {
          await fetch(`${gate.origin}/tool/say`, { method: 'POST', body: text, headers: { 'Content-Type': 'text/plain' } })
          const shown = JSON.stringify(text.slice(0, 40))
          await view.see('the debug pane', `document.querySelector('.red-ui-debug-content-list')?.textContent.includes(${shown})`, 2_000)
        },
        leave: () => view.leave(),
      }
    },
  },

  /** Its answers are server-sent events, of which no session comes. */
  gradio: {
    recipe: 'below-a-path.toml',
    ports: [1880],
    large: 100_000,
    needs: chromium,
    serve: (port) => python('servers/gradio_app.py', port),
    restart: [],
    isEvents: true,
    visit: (gate) => typing(`${gate.origin}/tool`, `document.querySelector('textarea, input[type=text]')`),
  },

  octoprint: {
    recipe: 'below-a-path.toml',
    ports: [1880],
    large: 100_000, // what its API takes, but for uploads
    needs: chromium,
    serve(port, dir) {
      const at = resolve(dir)
      const command = [`${dirname(pythonOf('octoprint'))}/octoprint`, '--basedir', at]
      if (!existsSync(`${at}/config.yaml`)) {
        mkdirSync(`${at}/plugins`)
        copyFileSync('servers/octoprint_echo.py', `${at}/plugins/echo.py`)
        writeFileSync(`${at}/config.yaml`, 'server: { firstRun: false, onlineCheck: { enabled: false }, pluginBlacklist: { enabled: false } }\n' +
          'plugins: { _disabled: [softwareupdate, pluginmanager, tracking, announcements, discovery] }\n')
        execFileSync(command[0], [...command.slice(1), 'user', 'add', '--admin', '--password', 'secret', 'ada'], { stdio: 'ignore' })
      }
      return { command: [...command, 'serve', '--iknowwhatimdoing', '--host', '127.0.0.1', '--port', `${port}`] }
    },
    ready: (_, [port]) => until('its page', () => fetch(`http://127.0.0.1:${port}/online.txt`).then((answer) => answer.ok, () => false), 90_000),
    restart: ['reconnects'],
    /** Logs in below /tool, and says things to a plugin, which sends them to each page. */
    async visit(gate) {
      const view = await View.open(`${gate.origin}/tool`)
      const enter = async () => {
        // Its button is there before it does something.
        const tries = `(() => {
          if (!document.querySelector('#login-user') || Date.now() < (window.triedAt ?? 0) + 2000) return
          window.triedAt = Date.now()
          document.querySelector('#login-user').value = 'ada'
          document.querySelector('#login-password').value = 'secret'
          document.querySelector('#login-button').click()
        })()`
        await view.see('the page', `${tries}, ${IS_IN}`, 60_000)
        await view.look(`OctoPrint.socket.onMessage('plugin', ({ data }) => { if (data.plugin === 'echo') window.said = data.data.said })`)
      }
      await enter()
      return {
        async say(text) {
          await view.look(`void OctoPrint.simpleApiCommand('echo', 'say', { text: ${JSON.stringify(text)} })`)
          await view.see('what was said', `window.said === ${JSON.stringify(text)}`, 4_000)
        },
        // It asks for that itself: the server's plugins may be others now.
        again: () => view.look('location.reload()').then(enter),
        leave: () => view.leave(),
      }
    },
  },

  bokeh: dashboard('bokeh'),

  panel: dashboard('panel'),

  vite: {
    recipe: 'below-a-path.toml',
    ports: [8080],
    large: 100_000,
    needs: chromium,
    serve(port, dir) {
      mkdirSync('vite-page', { recursive: true })
      writeFileSync('vite-page/index.html', '<body><script type="module" src="/main.js"></script></body>\n')
      writeFileSync('vite-page/main.js', "import { said } from './said.js'\n" +
        "document.body.dataset.said = said\nimport.meta.hot.accept('./said.js', ({ said }) => { document.body.dataset.said = said })\n")
      if (!existsSync('vite-page/said.js')) writeFileSync('vite-page/said.js', "export const said = ''\n")
      return { command: ['node', resolve('node_modules/vite/bin/vite.js'), '--host', '127.0.0.1', '--port', `${port}`, '--strictPort'], cwd: 'vite-page' }
    },
    restart: ['reconnects'],
    visit: developing('vite-page/said.js', (text) => `export const said = ${JSON.stringify(text)}\n`),
  },

  'webpack-dev-server': {
    recipe: 'below-a-path.toml',
    ports: [8080],
    large: 100_000,
    needs: chromium,
    serve(port) {
      mkdirSync('webpack-page/src', { recursive: true })
      writeFileSync('webpack-page/index.html', '<body><script src="/main.js"></script></body>\n')
      writeFileSync('webpack-page/webpack.config.js',
        "module.exports = { mode: 'development', devServer: { static: { directory: '.', watch: false }, client: { webSocketURL: 'auto://0.0.0.0:0/ws' } } }\n")
      writeFileSync('webpack-page/src/index.js', "import { said } from './said.js'\n" +
        "const show = () => { document.body.dataset.said = said }\nshow()\nmodule.hot.accept('./said.js', show)\n")
      if (!existsSync('webpack-page/src/said.js')) writeFileSync('webpack-page/src/said.js', "export const said = ''\n")
      return { command: ['node', resolve('node_modules/webpack/bin/webpack.js'), 'serve', '--host', '127.0.0.1', '--port', `${port}`], cwd: 'webpack-page' }
    },
    restart: ['reconnects'],
    visit: developing('webpack-page/src/said.js', (text) => `export const said = ${JSON.stringify(text)}\n`),
  },

  'two-ports': {
    recipe: 'two-ports.toml',
    ports: [3012, 8000],
    large: 100_000,
    needs: chromium,
    serve: (port, dir) => node('servers/two-ports.mjs', port, dir.endsWith('0') ? 'hub' : 'page'),
    restart: ['reconnects'],
    /** A page over HTTP/2, whose WebSocket has the path of the page. */
    visit: (gate) => typing(`${gate.origin}/notifications/hub`, `document.querySelector('input')`),
  },

  marimo: {
    recipe: 'streamlit.toml',
    ports: [8501],
    large: 100_000,
    needs: chromium,
    serve: (port) => python('-m', 'marimo', 'run', 'servers/marimo_app.py', '--headless', '--no-token', '--no-skew-protection', '--host', '127.0.0.1', '--port', port, '--base-url', '/dash'),
    ready: answers('/dash/health'),
    restart: ['reconnects'],
    visit: (gate) => typing(`${gate.origin}/dash/`, `document.querySelector('marimo-text')?.shadowRoot.querySelector('input')`),
  },
}
