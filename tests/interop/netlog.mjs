// Reads a net log of Chromium's: the page and its WebSockets must share one HTTP/2 connection, each
// WebSocket an extended CONNECT that was answered with 200 (RFC 8441).
import { readFileSync } from 'node:fs';

let text = readFileSync(process.argv[2], 'utf8');
let log;
try {
  log = JSON.parse(text);
} catch {
  // A browser that is stopped leaves its list of events open.
  log = JSON.parse(text.trimEnd().replace(/,$/, '') + ']}');
}
const types = Object.fromEntries(Object.entries(log.constants.logEventTypes).map(([name, id]) => [id, name]));

const connections = new Map();
const of = (event) => {
  const id = event.source.id;
  if (!connections.has(id)) connections.set(id, { page: false, offered: false, asked: new Map(), answered: new Map(), http1: 0 });
  return connections.get(id);
};
const field = (params, name) => {
  const line = (params.headers ?? []).find((line) => line.startsWith(`${name}: `));
  return line?.slice(name.length + 2);
};
let upgrades = 0;
for (const { type, source, params = {} } of log.events) {
  switch (types[type]) {
    case 'HTTP2_SESSION_RECV_SETTING':
      if (/^8\b/.test(String(params.id)) && params.value === 1) of({ source }).offered = true;
      break;
    case 'HTTP2_SESSION_SEND_HEADERS':
      if (field(params, ':path')?.endsWith('/page')) of({ source }).page = true;
      if (field(params, ':protocol')) of({ source }).asked.set(params.stream_id, params);
      break;
    case 'HTTP2_SESSION_RECV_HEADERS':
      of({ source }).answered.set(params.stream_id, field(params, ':status'));
      break;
    case 'HTTP_TRANSACTION_SEND_REQUEST_HEADERS':
      // An upgrade over HTTP/1.1 is what must not happen.
      if (field(params, 'Upgrade')) upgrades += 1;
      break;
  }
}
const fail = (what) => { console.error(`net log: ${what}`); process.exit(1); };
const pages = [...connections.values()].filter(({ page }) => page);
if (pages.length !== 1) fail(`${pages.length} connections brought the page`);
const [connection] = pages;
if (!connection.offered) fail('SETTINGS_ENABLE_CONNECT_PROTOCOL was not announced');
if (connection.asked.size === 0) fail('no extended CONNECT on the connection that brought the page');
for (const [stream, params] of connection.asked) {
  const [method, protocol, path] = [':method', ':protocol', ':path'].map((name) => field(params, name));
  const status = connection.answered.get(stream);
  console.log(`net log: stream ${stream}: :method ${method}, :protocol ${protocol}, :path ${path}, :status ${status}`);
  if (method !== 'CONNECT' || protocol !== 'websocket' || status !== '200') fail('that is no WebSocket');
}
if (upgrades > 0) fail(`${upgrades} WebSockets went over HTTP/1.1`);
console.log(`net log: ${connection.asked.size} WebSockets on the page's own HTTP/2 connection`);
