// The parts of the run with Prometheus: traffic until it is killed, the dashboard's queries, an alert.
import { readFileSync } from 'node:fs';
import { WebSocket } from 'ws';

const [what, port, ...rest] = process.argv.slice(2);
const sleep = (time) => new Promise((done) => setTimeout(done, time));
const ask = async (path) => (await fetch(`http://127.0.0.1:${port}/api/v1/${path}`)).json();

// Sessions that stream, sessions that come and go, plain requests.
async function traffic() {
  for (let client = 0; client < 4; client++) {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/`);
    socket.on('open', () => setInterval(() => socket.readyState === 1 && socket.send('tick'), 20));
    socket.on('error', () => {});
  }
  for (;;) {
    await fetch(`http://127.0.0.1:${port}/`).then((answer) => answer.text(), () => {});
    const socket = new WebSocket(`ws://127.0.0.1:${port}/`);
    socket.on('open', () => socket.close(1000));
    await new Promise((done) => socket.on('close', done).on('error', done));
    await sleep(20);
  }
}

// What this run certainly did: these panels must have samples.
const HAPPENED = ['sessions_live', 'sessions_opened', 'messages_total', 'bytes_total', 'backend_up',
  'backend_sessions', 'requests_total{', 'request_seconds', 'handshake_seconds', 'session_seconds',
  'sessions_ended', 'connections_open', 'connections_accepted', 'process_cpu', 'files_open'];

const plainly = (expression) => expression.replaceAll('$__rate_interval', '10s').replaceAll(/\$\w+/g, '.*');

async function queries(file) {
  const panels = JSON.parse(readFileSync(file)).panels.filter((panel) => panel.targets);
  const targets = panels.flatMap((panel) => panel.targets.map(({ expr }) => ({ title: panel.title, expr })));
  const failed = [];
  for (let left = 60; ; left--) {
    failed.length = 0;
    let samples = 0;
    for (const { title, expr } of targets) {
      const answer = await ask(`query?query=${encodeURIComponent(plainly(expr))}`);
      const found = answer.data?.result.filter(({ value }) => value[1] !== 'NaN').length ?? 0;
      samples += found > 0;
      const due = HAPPENED.some((name) => expr.includes(name));
      if (answer.status !== 'success' || (due && !found)) failed.push(`${title}: ${expr}: ${answer.error ?? 'no sample'}`);
    }
    if (!failed.length || !left) {
      console.log(`${panels.length} panels, ${targets.length} queries, ${samples} with samples`);
      break;
    }
    await sleep(500);
  }
  // Prometheus knows each metric that is asked for, counted yet or not.
  const known = (await ask('targets/metadata')).data.map(({ metric }) => metric);
  for (const { title, expr } of targets) {
    for (const [name] of expr.matchAll(/\b(tidegate|process)_\w+/g)) {
      const base = name.replace(/_(bucket|sum|count|total|info)$/, '');
      if (!known.includes(name) && !known.includes(base)) failed.push(`${title}: ${name} was not scraped`);
    }
  }
  if (failed.length) throw new Error(failed.join('\n'));
}

async function alert(name, backend) {
  for (let left = 120; left; left--) {
    const { alerts } = (await ask('alerts')).data;
    const found = alerts.find(({ labels }) => labels.alertname === name && labels.backend === backend);
    if (found) return console.log(`${found.labels.alertname} is ${found.state}: ${found.annotations.summary}`);
    await sleep(500);
  }
  throw new Error(`${name} of ${backend} did not come`);
}

await { traffic, queries, alert }[what](...rest);
