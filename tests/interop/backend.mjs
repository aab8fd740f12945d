// The backend of the interoperability run: echoes WebSockets, answers plain HTTP, serves the page
// the browser runs, and prints what the page found.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { WebSocketServer } from 'ws';

const port = Number(process.argv[2]);
const page = readFileSync(new URL('page.html', import.meta.url));

const server = createServer((request, response) => {
  if (request.url.endsWith('/page')) {
    response.setHeader('content-type', 'text/html').end(page);
  } else if (request.url.endsWith('/found')) {
    let text = '';
    request.on('data', (part) => (text += part));
    request.on('end', () => { console.log(`browser: ${text}`); response.end(); });
  } else {
    response.end(`plain ${request.method} ${request.url}`);
  }
});

// A path with `deflate` in it negotiates permessage-deflate, others do not.
const kinds = [true, false].map((perMessageDeflate) =>
  new WebSocketServer({ noServer: true, perMessageDeflate, maxPayload: 64 << 20, maxFragments: 0,
    handleProtocols: (offered) => (offered.has('superchat') ? 'superchat' : false) }));

server.on('upgrade', (request, socket, head) => {
  const kind = kinds[request.url.includes('deflate') ? 0 : 1];
  kind.handleUpgrade(request, socket, head, (ws) => {
    ws.on('message', (data, binary) => {
      const text = binary ? '' : data.toString();
      if (text.startsWith('close me ')) {
        const [code, reason] = text.slice('close me '.length).split('|');
        ws.close(Number(code), reason);
      } else {
        ws.send(data, { binary });
      }
    });
    ws.on('close', (code, reason) => console.log(`closed: ${code} ${reason}`));
    ws.on('error', (error) => console.log(`backend error: ${error.message}`));
  });
});
server.listen(port, '127.0.0.1', () => console.log('listening'));
