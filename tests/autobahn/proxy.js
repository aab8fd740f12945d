// tidegate as a process between Autobahn and the echo backend: built, configured, started, stopped.
'use strict';

const { execFileSync, spawn, spawnSync } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');

const REPOSITORY = path.resolve(__dirname, '../..');
const START_MS_MAX = 15_000;
const STOP_MS_MAX = 15_000;

/** The binary to test: `$TIDEGATE`, or what cargo builds now, with `flags` like `--release`. */
exports.binary = (flags) => {
  if (process.env.TIDEGATE) return path.resolve(process.env.TIDEGATE);
  const built = spawnSync(
    'cargo',
    ['build', '--locked', '--bin=tidegate', '--message-format=json-render-diagnostics', ...flags],
    { cwd: REPOSITORY, stdio: ['ignore', 'pipe', 'inherit'], maxBuffer: 1 << 28 },
  );
  if (built.error) throw built.error;
  if (built.status !== 0) throw new Error('tidegate does not build');
  const made = String(built.stdout).split('\n').filter(Boolean).map(JSON.parse);
  return made.findLast((message) => message.executable).executable;
};

const makeCertificate = (dir) => execFileSync('openssl', [
  'req', '-x509', '-nodes', '-days', '2', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256',
  '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1',
  '-keyout', path.join(dir, 'site.key'), '-out', path.join(dir, 'site.pem'),
], { stdio: 'ignore' });

/**
 * The least there is to say. A session is held to all it is by default; but it is not pinged, since
 * the suite's client, when it stops in the middle of a frame (6.4.3, 6.4.4), puts its Pong there.
 */
const configuration = (ports, backend) => `
relay.ping_interval = false
drain.delay = "0s"

[listeners.plain]
address = "127.0.0.1:${ports.ws}"

[listeners.secure]
address = "127.0.0.1:${ports.wss}"
tls.certificates = [{ chain = "site.pem", key = "site.key" }]

[pools.echo]
backends = ["127.0.0.1:${backend}"]

[[routes]]
pool = "echo"
`;

const listening = (port) => new Promise((resolve, reject) => {
  const server = net.createServer().once('error', reject);
  server.listen(port, '127.0.0.1', () => resolve(server));
});

/** Ports that were free a moment ago: both are held until both are known. */
const freePorts = async () => {
  const servers = [await listening(0), await listening(0)];
  const [ws, wss] = servers.map((server) => server.address().port);
  await Promise.all(servers.map((server) => once(server.close(), 'close')));
  return { ws, wss };
};

const answers = (port) => new Promise((resolve) => {
  const socket = net.connect(port, '127.0.0.1', () => resolve(true));
  socket.on('error', () => resolve(false)).on('connect', () => socket.destroy());
});

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Starts tidegate before the backend on that port; `dir` takes its configuration and its log. */
exports.start = async (binary, backend, dir) => {
  const ports = await freePorts();
  makeCertificate(dir);
  fs.writeFileSync(path.join(dir, 'tidegate.toml'), configuration(ports, backend));
  const log = fs.openSync(path.join(dir, 'tidegate.log'), 'w');
  const child = spawn(binary, ['run', '--config', 'tidegate.toml'],
    { cwd: dir, stdio: ['ignore', log, log] });
  const ended = new Promise((resolve) => {
    child.on('error', (error) => resolve(error.message));
    child.on('exit', (code, signal) => resolve(signal ?? `status ${code}`));
  });
  let end = null;
  ended.then((how) => { end = how; });
  process.on('exit', () => child.kill('SIGKILL'));

  const limit = Date.now() + START_MS_MAX;
  while (!(await answers(ports.ws) && await answers(ports.wss))) {
    if (end) throw new Error(`tidegate did not start: ${end}; see ${dir}/tidegate.log`);
    if (Date.now() > limit) throw new Error(`tidegate does not listen; see ${dir}/tidegate.log`);
    await sleep(20);
  }
  /** Resolves to how it ended; all sessions are over, so a drain has nothing to wait for. */
  const stop = async () => {
    if (end) return `died: ${end}`;
    child.kill('SIGTERM');
    const patience = setTimeout(() => child.kill('SIGKILL'), STOP_MS_MAX);
    await ended;
    clearTimeout(patience);
    return end;
  };
  return { ports, stop };
};
