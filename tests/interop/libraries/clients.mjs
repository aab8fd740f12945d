// A client of each library, as its manual has it. Each calls `heard` with what its server says to
// it, and `noticed` when the library tells its application that the connection is gone.
import WebSocket from 'ws'

export const clients = {
  async ws(url, { heard, noticed }) {
    const socket = new WebSocket(url)
    socket.on('message', heard).on('close', noticed).on('error', () => {})
  },
  async 'socket.io'(url, { heard, noticed }) {
    const { io } = await import('socket.io-client')
    const socket = io(url, { transports: ['websocket'], forceNew: true })
    socket.on('tick', heard).on('disconnect', noticed)
  },
  async signalr(url, { heard, noticed }) {
    const { HubConnectionBuilder, HttpTransportType, LogLevel } = await import('@microsoft/signalr')
    const options = { skipNegotiation: true, transport: HttpTransportType.WebSockets }
    const connection = new HubConnectionBuilder().withUrl(`${url.replace('ws', 'http')}/hub`, options)
      .withAutomaticReconnect().configureLogging(LogLevel.None).build()
    connection.on('tick', heard)
    connection.onreconnecting(noticed)
    connection.onclose(noticed)
    await connection.start()
  },
  async phoenix(url, { heard, noticed }) {
    const { Socket } = await import('phoenix')
    const sessionStorage = { getItem: () => null, setItem: () => {} }
    const socket = new Socket(`${url}/socket`, { transport: WebSocket, sessionStorage })
    socket.onClose(noticed)
    socket.connect()
    const channel = socket.channel('room:lobby')
    channel.on('tick', heard)
    channel.join()
  },
  async 'graphql-ws'(url, { heard, noticed }) {
    const { createClient } = await import('graphql-ws')
    // It gives up by default where a handshake is refused, as one is while there is no backend; and its own
    // wait doubles with each try.
    const [shouldRetry, retryWait] = [() => true, () => new Promise((done) => setTimeout(done, 1_000))]
    const options = { webSocketImpl: WebSocket, retryAttempts: 100, shouldRetry, retryWait, on: { closed: noticed } }
    const client = createClient({ url: `${url}/graphql`, ...options })
    client.subscribe({ query: 'subscription { tick }' }, { next: heard, error: () => {}, complete: () => {} })
  },
  async 'y-websocket'(url, { heard, noticed }, room) {
    const { WebsocketProvider } = await import('y-websocket')
    const Y = await import('yjs')
    const doc = new Y.Doc()
    const provider = new WebsocketProvider(url, room, doc, { WebSocketPolyfill: WebSocket, disableBc: true })
    provider.on('connection-close', noticed)
    doc.getMap('ticks').observe(heard)
  },
  async mqtt(url, { heard, noticed }) {
    const { default: mqtt } = await import('mqtt')
    const client = mqtt.connect(url)
    client.on('message', heard).on('close', noticed).on('error', () => {})
    client.subscribe('ticks')
  },
  async stomp(url, { heard, noticed }) {
    globalThis.WebSocket ??= WebSocket
    const { Client } = await import('@stomp/stompjs')
    const client = new Client({ brokerURL: url, onWebSocketClose: noticed })
    client.onConnect = () => client.subscribe('/ticks', heard)
    client.activate()
  },
  async actioncable(url, { heard, noticed }) {
    // It is written for a page.
    globalThis.document ??= { visibilityState: 'visible', createElement: () => ({ href: '' }) }
    globalThis.addEventListener ??= () => {}
    globalThis.removeEventListener ??= () => {}
    const { adapters, createConsumer } = await import('@rails/actioncable')
    adapters.WebSocket = WebSocket
    createConsumer(`${url}/cable`).subscriptions.create('Ticks', { received: heard, disconnected: noticed })
  },
  async sockjs(url, { heard, noticed }) {
    const { default: SockJS } = await import('sockjs-client')
    const socket = new SockJS(`${url.replace('ws', 'http')}/sockjs`, null, { transports: 'websocket' })
    socket.onmessage = heard
    socket.onclose = noticed
  },
}
clients['ws-confirming'] = clients.ws
