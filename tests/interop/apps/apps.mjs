// The applications: the recipe of each, its servers and its client.
//   ports    where the recipe has its servers
//   serve    how one is started: `command`, and perhaps `env` and `cwd`
//   ready    waits for more than an open port
//   visit    a client, whose `say` is answered, or throws
//   large    the bytes of a large message, where the application does not take 1 MB
//   restart  what becomes of its sessions when the servers are killed, under the recipe's `hold`
//   needs    what is not here
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import WebSocket from 'ws'
import { View } from './browser.mjs'
import { free, until } from './gate.mjs'
import { developing, echo, typing } from './visitors.mjs'

const { PYTHON } = process.env
const node = (file, ...words) => ({ command: ['node', file, ...words.map(String)] })
const python = (...words) => ({ command: [PYTHON, ...words.map(String)], env: { PYTHONPATH: resolve('servers') } })
const missing = (...files) => files.find((file) => !existsSync(file))
const chromium = () => missing('/usr/bin/chromium')
const answers = (path) => (_, [port]) => until(path, () => fetch(`http://127.0.0.1:${port}${path}`).then(() => true, () => false))

/** A Jupyter server, and a kernel of it, which is started anew where its server has gone. */
function jupyter(recipe, base, ...more) {
  const headers = { Authorization: 'token secret' }
  return {
    recipe,
    ports: [8888],
    serve: (port, dir) => python('-m', 'jupyter_server', '--allow-root', '--ServerApp.token=secret', `--ServerApp.base_url=${base}/`,
      '--no-browser', `--port=${port}`, '--ip=127.0.0.1', `--ServerApp.root_dir=${resolve(dir)}`, ...more),
    ready: (gate) => until('its API', () => fetch(`${gate.origin}${base}/api`).then((answer) => answer.ok, () => false)),
    restart: ['reconnects'],
    async visit(gate) {
      const api = `${gate.origin}${base}/api`
      const stranger = await fetch(`${api}/kernels`)
      if (stranger.status !== 403) throw new Error(`without a token: ${stranger.status}`)
      let [socket, number] = [undefined, 0]
      const open = async () => {
        const kernel = await (await fetch(`${api}/kernels`, { method: 'POST', headers, body: '{}' })).json()
        socket = new WebSocket(`${api.replace('http', 'ws')}/kernels/${kernel.id}/channels`, { headers, origin: gate.origin })
        await new Promise((done, fail) => socket.once('open', done).once('error', fail))
      }
      return {
        async say(text) {
          if (socket?.readyState !== WebSocket.OPEN) await open()
          const header = { msg_id: `${(number += 1)}`, msg_type: 'execute_request', username: '', session: 's', version: '5.3' }
          const content = { code: `print(len(${JSON.stringify(text)}))`, silent: false }
          const heard = new Promise((done) => socket.on('message', (data) => {
            const { msg_type: type, content, parent_header: parent } = JSON.parse(data)
            if (type === 'stream' && parent.msg_id === header.msg_id && Number(content.text) === text.length) done()
          }))
          socket.send(JSON.stringify({ header, content, parent_header: {}, metadata: {}, channel: 'shell' }))
          await heard
        },
        leave: () => socket.terminate(),
      }
    },
  }
}

export const apps = {
  'socket.io': {
    recipe: 'socket-io.toml',
    ports: [3000, 3001],
    serve: (port) => node('servers/socket.io.mjs', port),
    restart: ['reconnects'],
    /** Eight, since one finds its server by luck: long polling first, then a WebSocket. */
    async visit(gate) {
      const { io } = await import('socket.io-client')
      const clients = Array.from({ length: 8 }, () => io(gate.origin, { forceNew: true, withCredentials: true }))
      await until('WebSockets', () => clients.every((one) => one.io.engine?.transport?.name === 'websocket'))
      return {
        async say(text) {
          const said = await Promise.all(clients.map((one) => one.timeout(4_000).emitWithAck('say', text)))
          if (said.some((one) => one !== text)) throw new Error('another answer')
          // A session of `tidegate sessions` is the WebSocket, which comes after the first answer.
          if (clients.some((one) => one.io.engine.transport.name !== 'websocket')) throw new Error('still polls')
        },
        leave: () => clients.forEach((one) => one.close()),
      }
    },
  },

  fastapi: {
    recipe: 'fastapi.toml',
    ports: [8000],
    serve: (port) => python('-m', 'uvicorn', 'fastapi_app:app', '--port', port, '--root-path', '/api', '--ws-max-size', 4e6),
    restart: ['goes on'],
    async visit(gate) {
      const seen = await (await fetch(`${gate.origin}/api/seen`)).json()
      if (seen.url !== `${gate.origin}/api/seen` || seen.other !== `${gate.origin}/api/items/`) throw new Error(JSON.stringify(seen))
      const items = await fetch(`${gate.origin}/api/items`)
      if (!items.redirected || items.url !== seen.other) throw new Error(`${items.status} ${items.url}`)
      return echo(() => new WebSocket(`${gate.origin.replace('http', 'ws')}/api/echo`, { origin: gate.origin }))
    },
  },

  'django-channels': {
    recipe: 'django-channels.toml',
    ports: [8000],
    large: 500_000, // daphne closes at 1 MiB
    serve: (port) => python('-m', 'daphne', '-b', '127.0.0.1', '-p', port, '--proxy-headers', 'channels_app:application'),
    restart: ['reconnects'],
    async visit(gate) {
      const cookies = (answer) => answer.headers.getSetCookie().map((one) => one.split(';')[0])
      const form = await fetch(`${gate.origin}/login`)
      const [csrf] = cookies(form)
      const body = new URLSearchParams({ user: 'ada', csrfmiddlewaretoken: await form.text() })
      const head = (origin) => ({ method: 'POST', body, headers: { Cookie: csrf, Origin: origin, Referer: `${origin}/login` } })
      const elsewhere = await fetch(`${gate.origin}/login`, head('https://elsewhere.example'))
      const welcome = await fetch(`${gate.origin}/login`, head(gate.origin))
      if (welcome.status !== 200 || elsewhere.status !== 403) throw new Error(`${welcome.status} and ${elsewhere.status}`)
      const cookie = cookies(welcome).join('; ')
      return echo(() => new WebSocket(`${gate.origin.replace('http', 'ws')}/ws/echo`, { origin: gate.origin, headers: { cookie } }))
    },
  },

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

  jupyter: jupyter('jupyter.toml', '/jupyter'),

  'jupyter-tls': jupyter('self-signed-backend.toml', '', '--certfile=certs/backend.pem', '--keyfile=certs/backend.key'),

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

  mqtt: {
    recipe: 'mqtt.toml',
    ports: [9001],
    large: 100_000, // mosquitto 2.0.11 takes seconds for 1 MB, without a proxy as well
    needs: () => missing('/usr/sbin/mosquitto'),
    serve(port, dir) {
      // 2.0.11 does not start without a listener of plain MQTT.
      writeFileSync(`${dir}/mosquitto.conf`, `user root\nlistener 0 ${resolve(dir)}/plain\nlistener ${port} 127.0.0.1\nprotocol websockets\nallow_anonymous true\n`)
      return { command: ['/usr/sbin/mosquitto', '-c', `${dir}/mosquitto.conf`] }
    },
    restart: ['reconnects'],
    /** Keepalive of two minutes: quiet for longer than others' timeouts. */
    async visit(gate) {
      const { default: mqtt } = await import('mqtt')
      const client = mqtt.connect(`${gate.origin.replace('https', 'wss')}/mqtt`, { keepalive: 120, reconnectPeriod: 500, protocolVersion: 5 })
      client.on('error', () => {})
      await new Promise((done) => client.once('connect', done))
      await client.subscribeAsync('said', { qos: 1 })
      return {
        async say(text) {
          if (!client.connected) throw new Error('not connected')
          const heard = new Promise((done) => client.on('message', (_, data) => `${data}` === text && done()))
          await client.publishAsync('said', text, { qos: 1 })
          await heard
        },
        leave: () => client.end(true),
      }
    },
  },

  'y-websocket': {
    recipe: 'yjs.toml',
    ports: [1234],
    serve: (port) => ({ command: ['node', 'node_modules/y-websocket/bin/server.cjs'], env: { HOST: '127.0.0.1', PORT: `${port}` } }),
    restart: ['goes on'],
    /** Two editors of one document; what one writes the other must have. */
    async visit(gate) {
      const { WebsocketProvider } = await import('y-websocket')
      const Y = await import('yjs')
      const [writer, reader] = [new Y.Doc(), new Y.Doc()]
      const url = `${gate.origin.replace('http', 'ws')}/yjs`
      const providers = [writer, reader].map((doc) => new WebsocketProvider(url, 'room', doc, { WebSocketPolyfill: WebSocket, disableBc: true }))
      await until('both', () => providers.every((one) => one.synced))
      return {
        async say(text) {
          writer.getMap('said').set('text', text)
          await until('the other', () => reader.getMap('said').get('text') === text, 4_500)
        },
        leave: () => providers.forEach((one) => one.destroy()),
      }
    },
  },

  'graphql-ws': {
    recipe: 'graphql-ws.toml',
    ports: [4000],
    serve: (port) => node('servers/graphql.mjs', port),
    restart: ['goes on'],
    async visit(gate) {
      const { createClient } = await import('graphql-ws')
      const client = createClient({ url: `${gate.origin.replace('http', 'ws')}/graphql`, webSocketImpl: WebSocket, retryAttempts: 100 })
      let ticks = 0
      client.subscribe({ query: 'subscription { tick }' }, { next: () => (ticks += 1), error() {}, complete() {} })
      await until('a tick', () => ticks)
      return {
        async say(text) {
          const before = ticks
          const query = 'query Say($text: String!) { echo(text: $text) }'
          for await (const { data } of client.iterate({ query, variables: { text } })) if (data.echo !== text) throw new Error('another')
          await until('the subscription to go on', () => ticks > before, 4_000)
        },
        leave: () => client.dispose(),
      }
    },
  },

  colyseus: {
    recipe: 'colyseus.toml',
    ports: [2567, 2568],
    serve: (port) => node('servers/colyseus.mjs', port),
    restart: ['reconnects'],
    /** Eight at once: a room is asked for at one process, and joined there. */
    async visit(gate) {
      const { Client } = await import('colyseus.js')
      const players = Array.from({ length: 8 }, () => ({ room: undefined }))
      const join = async (player) => {
        const room = await new Client(gate.origin).joinOrCreate('echo')
        room.onLeave(() => (player.room = undefined))
        room.onMessage('said', (text) => player.heard?.(text))
        player.room = room
      }
      return {
        async say(text) {
          await Promise.all(players.map(async (player) => {
            if (!player.room) await join(player)
            const heard = new Promise((done) => (player.heard = (said) => said === text && done()))
            player.room.send('say', text)
            await heard
          }))
        },
        leave: () => players.forEach(({ room }) => room?.leave()),
      }
    },
  },

  prosody: {
    recipe: 'xmpp.toml',
    ports: [5280],
    large: 100_000,
    needs: () => missing('/usr/bin/prosody'),
    serve(port, dir) {
      const at = resolve(dir)
      writeFileSync(`${dir}/prosody.cfg.lua`, `run_as_root = true
pidfile = "${at}/pid"; data_path = "${at}"; authentication = "internal_plain"
modules_enabled = { "saslauth", "websocket", "bosh", "disco", "ping" }
http_ports = { ${port} }; http_interfaces = { "127.0.0.1" }; https_ports = {}; c2s_ports = {}; s2s_ports = {}
trusted_proxies = { "127.0.0.1" }
VirtualHost "localhost"
`)
      execFileSync('prosodyctl', ['--root', '--config', `${at}/prosody.cfg.lua`, 'register', 'ada', 'localhost', 'secret'], { stdio: 'ignore' })
      return { command: ['prosody', '-F', '--root', '--config', `${at}/prosody.cfg.lua`] }
    },
    restart: ['reconnects'],
    async visit(gate) {
      globalThis.WebSocket ??= WebSocket // it is written for a page
      const { client, xml } = await import('@xmpp/client')
      const xmpp = client({ service: `${gate.origin.replace('http', 'ws')}/xmpp-websocket`, domain: 'localhost', username: 'ada', password: 'secret' })
      let heard = () => {}
      xmpp.on('error', () => {})
      xmpp.on('stanza', (stanza) => stanza.is('message') && heard(stanza.getChildText('body')))
      xmpp.on('online', () => xmpp.send(xml('presence')))
      const { jid } = await xmpp.start().then((address) => ({ jid: address.bare() }))
      return {
        async say(text) {
          if (xmpp.status !== 'online') throw new Error(xmpp.status)
          const answered = new Promise((done) => (heard = (body) => body === text && done()))
          await xmpp.send(xml('message', { to: jid.toString(), type: 'chat' }, xml('body', {}, text)))
          await answered
        },
        leave: () => xmpp.stop(),
      }
    },
  },

  rabbitmq: {
    recipe: 'stomp.toml',
    ports: [15674],
    needs: () => missing('/usr/lib/rabbitmq/bin/rabbitmq-server'),
    async serve(port, dir) {
      const at = resolve(dir)
      const [names, nodes] = [await free(), await free()]
      writeFileSync(`${at}/plugins`, '[rabbitmq_web_stomp].\n')
      writeFileSync(`${at}/rabbitmq.conf`, `listeners.tcp = none\nstomp.listeners.tcp = none\nweb_stomp.tcp.ip = 127.0.0.1\nweb_stomp.tcp.port = ${port}\n`)
      // Erlang's server of names is one of the group, too, so that none stays.
      const command = ['sh', '-c', 'epmd & exec /usr/lib/rabbitmq/bin/rabbitmq-server']
      return {
        command,
        env: {
          HOME: at, ERL_EPMD_PORT: `${names}`, ERL_EPMD_ADDRESS: '127.0.0.1', RABBITMQ_DIST_PORT: `${nodes}`, RABBITMQ_NODENAME: 'echo@localhost',
          RABBITMQ_CONFIG_FILE: `${at}/rabbitmq`, RABBITMQ_ENABLED_PLUGINS_FILE: `${at}/plugins`, RABBITMQ_CONF_ENV_FILE: '/dev/null',
          RABBITMQ_MNESIA_BASE: at, RABBITMQ_PID_FILE: `${at}/pid`, RABBITMQ_LOGS: '-',
        },
      }
    },
    restart: ['reconnects'],
    async visit(gate) {
      const { Client } = await import('@stomp/stompjs')
      let heard = () => {}
      const client = new Client({ connectHeaders: { login: 'guest', passcode: 'guest' }, reconnectDelay: 500, heartbeatIncoming: 4_000, heartbeatOutgoing: 4_000 })
      client.webSocketFactory = () => new WebSocket(`${gate.origin.replace('http', 'ws')}/ws`, ['v12.stomp'], { origin: gate.origin })
      client.onConnect = () => client.subscribe('/topic/said', ({ body }) => heard(body))
      client.activate()
      return {
        async say(text) {
          if (!client.connected) throw new Error('not connected')
          const answered = new Promise((done) => (heard = (body) => body === text && done()))
          client.publish({ destination: '/topic/said', body: text })
          await answered
        },
        leave: () => client.deactivate({ force: true }),
      }
    },
  },

  rails: {
    recipe: 'rails.toml',
    ports: [3000, 3001],
    needs: () => missing('/usr/bin/puma', '/var/lib/dpkg/info/ruby-actioncable.list'),
    serve: (port) => ({ command: ['puma', '--bind', `tcp://127.0.0.1:${port}`, '--threads', '5', 'servers/rails_app.ru'], env: { RAILS_ENV: 'production' } }),
    restart: ['goes on'],
    async visit(gate) {
      const seen = await (await fetch(gate.origin, { redirect: 'error' })).text()
      if (seen !== `${gate.origin} 127.0.0.1`) throw new Error(seen)
      // It is written for a page.
      globalThis.document ??= { visibilityState: 'visible' }
      globalThis.addEventListener ??= () => {}
      globalThis.removeEventListener ??= () => {}
      const { adapters, createConsumer } = await import('@rails/actioncable')
      adapters.WebSocket = class extends WebSocket {
        constructor(url, protocols) {
          super(url, protocols, { origin: gate.origin })
        }
      }
      const consumer = createConsumer(`${gate.origin.replace('http', 'ws')}/cable`)
      let [heard, isThere] = [() => {}, false]
      const channel = consumer.subscriptions.create('EchoChannel', {
        connected: () => (isThere = true),
        disconnected: () => (isThere = false),
        received: ({ said }) => heard(said),
      })
      return {
        async say(text) {
          if (!isThere) throw new Error('not subscribed')
          const answered = new Promise((done) => (heard = (said) => said === text && done()))
          channel.perform('say', { text })
          await answered
        },
        leave: () => consumer.disconnect(),
      }
    },
  },
}
