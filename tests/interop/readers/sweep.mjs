// Sends every spelling to every reader over HTTP/1.1 and HTTP/2, and compares what tidegate's route
// saw (it says so in `X-Route`) with what the reader's router matched.
import http2 from 'node:http2';
import net from 'node:net';

const port = Number(process.argv[2]);
const sites = ['express', 'nginx', 'wsgi'];
const faults = [];

// One connection of HTTP/1.1, raw, so that nothing is put right on the way.
class Http1 {
  protocol = 'HTTP/1.1';
  #socket;

  async send(path, host, fields = []) {
    const lines = [`GET ${path} HTTP/1.1`, ...host.map((one) => `Host: ${one}`)];
    for (const [name, value] of fields) lines.push(`${name}: ${value}`);
    return this.#exchange(`${lines.join('\r\n')}\r\n\r\n`);
  }

  #exchange(head) {
    return new Promise((resolve, reject) => {
      const socket = this.#socket ??= net.connect(port, '127.0.0.1');
      let read = Buffer.alloc(0);
      const done = (answer) => {
        socket.removeAllListeners();
        socket.on('error', () => {});
        if (!answer || answer.closes) { socket.destroy(); this.#socket = undefined; }
        resolve(answer ?? { status: 0 });
      };
      socket.on('data', (data) => {
        read = Buffer.concat([read, data]);
        const answer = parse(read.toString('latin1'));
        if (answer) done(answer);
      });
      socket.on('close', () => done());
      socket.on('error', reject);
      socket.write(head, 'latin1');
    });
  }

  close() { this.#socket?.destroy(); }
}

// A whole answer, or nothing yet.
function parse(text) {
  const end = text.indexOf('\r\n\r\n');
  if (end < 0) return undefined;
  const head = text.slice(0, end).toLowerCase();
  let body = text.slice(end + 4);
  const length = /\r\ncontent-length: (\d+)/.exec(head);
  if (length) {
    if (body.length < Number(length[1])) return undefined;
    body = body.slice(0, Number(length[1]));
  } else if (head.includes('chunked')) {
    if (!body.endsWith('0\r\n\r\n')) return undefined;
    body = body.split('\r\n').filter((_, index) => index % 2).join('');
  }
  return { status: Number(head.slice(9, 12)), body, closes: head.includes('connection: close') };
}

// One connection of HTTP/2.
class Http2 {
  protocol = 'HTTP/2';
  #session;

  async send(path, host, fields = []) {
    const headers = { ':path': path, ':authority': host[0] };
    if (host.length > 1) headers.host = host[1];
    for (const [name, value] of fields) headers[name.toLowerCase()] = value;
    if (!this.#session || this.#session.closed || this.#session.destroyed) {
      this.#session = http2.connect(`http://127.0.0.1:${port}`);
      this.#session.on('error', () => {});
    }
    return new Promise((resolve) => {
      let stream;
      try { stream = this.#session.request(headers); } catch { return resolve({ status: 0 }); }
      let [status, body] = [0, ''];
      stream.on('response', (head) => { status = head[':status']; });
      stream.setEncoding('latin1').on('data', (data) => { body += data; });
      stream.on('error', () => {});
      stream.on('close', () => resolve({ status, body }));
    });
  }

  close() { this.#session?.close(); }
}

// What the reader saw, when the request reached it.
function seen(answer) {
  return answer.status === 200 ? JSON.parse(answer.body) : undefined;
}

const PARTS = [
  '/', '//', '/admin', '/public', '/x', '/..', '/.', '/%2e%2e', '/..%2f', '%2F', '%2fadmin', ';v',
  '/;', '/..;', '%5c..%5cadmin', '\\..\\admin', '%0aadmin', '/%61dmin', '/ADMIN', '/%41dmin',
  '/%70ublic', '/%c0%ae%c0%ae', '/...', '%3b/admin', '/%252e%252e', '%00', '/\x7fadmin', '/adm%20in',
  '/admin.', '/admin%20', '/admin%2e', '/admin?', '/public?x=/../admin', '/admin#', '/%E2%80%AEadmin',
];
const ENDS = ['', '/', '/admin', '/../x', '/../admin'];

// Where a route reads a name that a reader behind it does not: `//`, an escaped slash, parameters,
// and, before Express, whose router sees letters as they are escaped, any escaped letter. There a
// route is the stricter one; it must never be the laxer.
const stricter = (path, site) => /\/\/|%2f|;|%3b/i.test(path) || (site === 'express' && path.includes('%'));

async function paths(client, site) {
  const counts = { reached: 0, denied: 0, refused: 0 };
  const all = PARTS.flatMap((one) => PARTS.flatMap((two) => ENDS.map((end) => one + two + end)));
  for (const path of new Set(all.filter((path) => path.startsWith('/')))) {
    const answer = await client.send(path, [`${site}.test`]);
    const saw = seen(answer);
    if (!saw) {
      counts[answer.status === 403 ? 'denied' : 'refused'] += 1;
      if (![0, 400, 403, 404].includes(answer.status)) faults.push(`${site} ${path}: ${answer.status}`);
      continue;
    }
    counts.reached += 1;
    const is_same = saw.matched === saw.route;
    if (saw.matched === 'admin' || !(is_same || (stricter(path, site) && saw.matched === 'other'))) {
      faults.push(`${site} ${client.protocol} ${JSON.stringify(path)}: the route saw ${saw.route}, the reader ${saw.matched}`);
    }
  }
  return counts;
}

// A reader's own words for a host, as a name.
const name = (host) => host.toLowerCase().replace(/:\d*$/, '').replace(/\.$/, '');

async function hosts(client, site) {
  const own = `${site}.test`;
  const other = `${sites.find((one) => one !== site)}.test`;
  const spellings = [
    [own], [own.toUpperCase()], [`${own}.`], [`${own}:80`], [`${own}:`], [`${own}:${port}`],
    [own, other], [own, own], [`${own},${other}`], [`${own}@${other}`], [`${own}/`], [`${own}%00`],
    [`${own}:80:80`], [`${own} `], [`${own}\\`], [`x.${own}`], [''],
  ];
  const targets = ['/public', `http://${own}/public`, `http://${own.toUpperCase()}:80/public`, `http://${other}/public`];
  let reached = 0;
  for (const host of spellings) {
    for (const target of client instanceof Http1 ? targets : ['/public']) {
      const saw = seen(await client.send(target, host));
      if (!saw) continue;
      reached += 1;
      if (name(saw.host) !== saw.site) {
        faults.push(`${client.protocol} ${target} Host ${JSON.stringify(host)}: the route was of ${saw.site}, the reader saw ${saw.host}`);
      }
    }
  }
  if (reached < 3) faults.push(`${site}: only ${reached} hosts reached it`);
  return reached;
}

async function fields(client, site) {
  const names = ['X-User', 'x-user', 'X_User', 'x_user', 'X-USER', 'X_USER', 'x-User', 'x.user', 'X-User '];
  const dropped = ['Proxy', 'X-Original-URL', 'X_Original_URL', 'X-Rewrite-URL', 'Transfer_Encoding', 'Content_Length'];
  let reached = 0;
  for (const one of [...names, ...dropped]) {
    for (const more of [[], [['X-User', 'second']], [['x_user', 'second']]]) {
      const answer = await client.send('/public', [`${site}.test`], [[one, 'evil'], ...more]);
      const saw = seen(answer);
      if (!saw) continue;
      reached += 1;
      const said = `${site} ${client.protocol} ${one}`;
      if (saw.user !== 'route') faults.push(`${said}: the reader saw X-User: ${saw.user}`);
      const plain = (text) => text.toLowerCase().replace(/^http_/, '').replaceAll('_', '-');
      const kept = dropped.includes(one) && (saw.names ?? []).some((name) => plain(name) === plain(one));
      // CGI's own variable of that name stands in every environment.
      if (kept && !(site === 'wsgi' && plain(one) === 'content-length')) faults.push(`${said} reached it`);
    }
  }
  if (reached < 20) faults.push(`${site}: only ${reached} requests with fields reached it`);
  return reached;
}

for (const protocol of [Http1, Http2]) {
  for (const site of sites) {
    const client = new protocol();
    const { reached, denied, refused } = await paths(client, site);
    console.log(`${client.protocol} ${site}: of ${reached + denied + refused} paths ${reached} reached it, `
      + `${denied} were denied, ${refused} refused; `
      + `${await hosts(client, site)} hosts and ${await fields(client, site)} sets of fields reached it`);
    if (reached < 300 || denied < 300) faults.push(`${site}: the sweep shows too little`);
    client.close();
  }
}
for (const fault of faults.slice(0, 40)) console.log(`FAILED: ${fault}`);
console.log(faults.length ? `${faults.length} faults` : 'done: no reader saw what its route did not');
process.exit(faults.length ? 1 : 0);
