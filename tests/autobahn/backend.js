// The echo backend: node's `ws` with permessage-deflate, whose answers are the baseline.
'use strict';

const followText = require('./early.js');

/** Starts the backend on a free port; resolves to `{ port, stop }`. */
module.exports = ({ WebSocketServer }) => new Promise((resolve, reject) => {
  const server = new WebSocketServer({
    host: '127.0.0.1',
    port: 0,
    // Everything is deflated where the client offers it, also what is too short to gain by it.
    perMessageDeflate: { threshold: 0 },
    // Cases 9.3 and 9.4 cut messages into more fragments than the library takes by itself.
    maxFragments: 0,
    maxBufferedChunks: 0,
  });
  server.on('connection', (socket, { socket: transport }) => {
    socket.on('message', (data, binary) => socket.send(data, { binary }));
    // The suite breaks the protocol on purpose; the library has answered by then.
    socket.on('error', () => {});
    const isText = followText();
    // Before the library, which unmasks the bytes where they lie; but it has the first word.
    transport.prependListener('data', (chunk) => {
      if (!isText(chunk)) setImmediate(() => socket.close(1007));
    });
  });
  server.once('error', reject);
  server.once('listening', () => {
    resolve({ port: server.address().port, stop: () => server.close() });
  });
});
