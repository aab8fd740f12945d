// The applications: the recipe of each, its servers and its client.
//   ports    where the recipe has its servers
//   serve    how one is started, by its port, a directory and what stands before it: `command`, and perhaps
//            `env` and `cwd`
//   ready    waits for more than an open port
//   visit    a client, whose `say` is answered, or throws; `again` is what its user does after a restart
//   large    the bytes of a large message, where the application does not take 1 MB
//   restart  what becomes of its sessions when the servers are killed, under the recipe's `hold`
//   needs    what is not here
//   isEvents it speaks by server-sent events, which are no sessions
import { execFileSync, spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import WebSocket from 'ws'
import { missing, node, python, pythonOf } from './commands.mjs'
import { free, until } from './gate.mjs'
import { pages } from './pages.mjs'
import { echo } from './visitors.mjs'

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

/** Home Assistant, and the library of its page, which subscribes anew by itself. */
function homeAssistant() {
  let token
  return {
    recipe: 'home-assistant.toml',
    ports: [8123],
    restart: ['reconnects'],
    async serve(port, dir) {
      const at = resolve(dir)
      const command = [pythonOf('home-assistant'), '-m', 'homeassistant', '--config', at, '--skip-pip']
      if (!token) {
        writeFileSync(`${at}/configuration.yaml`, 'frontend:\n' +
          `http: { server_host: 127.0.0.1, server_port: ${port}, use_x_forwarded_for: true, trusted_proxies: [127.0.0.1] }\n`)
        execFileSync(command[0], ['-m', 'homeassistant', '--script', 'auth', '--config', at, 'add', 'ada', 'secret'], { stdio: 'ignore' })
        // What it knows of a login is written minutes later, or as it stops: no `kill -9` may forget it.
        const first = spawn(command[0], command.slice(1), { stdio: 'ignore' })
        const gone = new Promise((done) => first.once('exit', done))
        try {
          await until('its login', async () => (token = await login(`http://127.0.0.1:${port}`).catch(() => undefined)), 60_000)
        } finally {
          first.kill()
          await gone
        }
      }
      return { command }
    },
    ready: (gate) => until('its API', () => fetch(`${gate.origin}/api/`).then(({ status }) => status === 401, () => false), 60_000),
    async visit(gate) {
      globalThis.WebSocket ??= WebSocket // it is written for a page
      const { createConnection, createLongLivedTokenAuth } = await import('home-assistant-js-websocket')
      await login(gate.origin)
      const connection = await createConnection({ auth: createLongLivedTokenAuth(gate.origin, token) })
      let heard = () => {}
      await connection.subscribeEvents(({ data }) => heard(data.text), 'said')
      return {
        async say(text) {
          if (!connection.connected) throw new Error('not connected')
          const answered = new Promise((done) => (heard = (said) => said === text && done()))
          await connection.sendMessagePromise({ type: 'fire_event', event_type: 'said', event_data: { text } })
          await answered
        },
        leave: () => connection.close(),
      }
    },
  }
}

/** A token of Home Assistant, got as its page does. */
async function login(origin) {
  const client_id = `${origin}/`
  const post = async (path, body) => {
    const answer = await fetch(`${origin}${path}`, { method: 'POST', body })
    if (!answer.ok) throw new Error(`${path}: ${answer.status}`)
    return answer.json()
  }
  const { flow_id: flow } = await post('/auth/login_flow', JSON.stringify({ client_id, handler: ['homeassistant', null], redirect_uri: client_id }))
  const { result: code } = await post(`/auth/login_flow/${flow}`, JSON.stringify({ client_id, username: 'ada', password: 'secret' }))
  return (await post('/auth/token', new URLSearchParams({ grant_type: 'authorization_code', code, client_id }))).access_token
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

  jupyter: jupyter('jupyter.toml', '/jupyter'),

  'jupyter-tls': jupyter('self-signed-backend.toml', '', '--certfile=certs/backend.pem', '--keyfile=certs/backend.key'),

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

  hocuspocus: {
    recipe: 'hocuspocus.toml',
    ports: [1234],
    serve: (port) => node('servers/hocuspocus.mjs', port),
    restart: ['reconnects'],
    /** Two editors of one document; and one without a token, who is refused. */
    async visit(gate) {
      const { HocuspocusProvider, HocuspocusProviderWebsocket } = await import('@hocuspocus/provider')
      const Y = await import('yjs')
      const url = `${gate.origin.replace('http', 'ws')}/documents`
      const open = (token, more) => {
        const socket = new HocuspocusProviderWebsocket({ url, WebSocketPolyfill: WebSocket })
        const provider = new HocuspocusProvider({ websocketProvider: socket, name: 'room', document: new Y.Doc(), token, ...more })
        provider.attach()
        return { socket, provider, said: provider.document.getMap('said') }
      }
      const refused = await new Promise((onAuthenticationFailed) => {
        const stranger = open('guess', { onAuthenticationFailed: (why) => onAuthenticationFailed({ stranger, why }) })
      })
      refused.stranger.socket.destroy()
      const [writer, reader] = [open('secret'), open('secret')]
      await until('both', () => [writer, reader].every(({ provider }) => provider.synced))
      return {
        async say(text) {
          writer.said.set('text', text)
          await until('the other', () => reader.said.get('text') === text, 4_500)
        },
        leave: () => [writer, reader].forEach(({ provider, socket }) => { provider.destroy(); socket.destroy() }),
      }
    },
  },

  'home-assistant': homeAssistant(),

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

  ...pages,
}
