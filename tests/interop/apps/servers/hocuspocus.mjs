// Hocuspocus, whose documents are opened with a token: node hocuspocus.mjs PORT
import { Server } from '@hocuspocus/server'

const server = new Server({
  address: '127.0.0.1',
  port: Number(process.argv[2]),
  quiet: true,
  async onAuthenticate({ token }) {
    if (token !== 'secret') throw new Error('not authorized')
  },
})
await server.listen()
