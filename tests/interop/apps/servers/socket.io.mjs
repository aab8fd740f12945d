// socket.io as its manual has it: node socket.io.mjs PORT
import { createServer } from 'node:http'
import { Server } from 'socket.io'

const http = createServer()
const io = new Server(http, { maxHttpBufferSize: 4e6 })
io.on('connection', (socket) => socket.on('say', (text, answer) => answer(text)))
http.listen(Number(process.argv[2]), '127.0.0.1')
