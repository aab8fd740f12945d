'use strict';
const $ = (id) => document.getElementById(id);
const element = (name, text, of = {}) => Object.assign(document.createElement(name), { textContent: text }, of);

const count = (number) => Number(number || 0).toLocaleString('en');
const rate = (number) => count(number < 10 ? Math.round(number * 10) / 10 : Math.round(number)) + '/s';
const bytes = (number) => {
  let of = number || 0;
  for (const unit of ['B', 'kB', 'MB', 'GB']) {
    if (of < 999.5) return (of < 9.95 && unit !== 'B' ? of.toFixed(1) : Math.round(of)) + ' ' + unit;
    of /= 1000;
  }
  return of.toFixed(1) + ' TB';
};
const age = (seconds) => {
  const of = Math.floor(seconds || 0);
  if (of < 60) return of + 's';
  if (of < 3600) return Math.floor(of / 60) + 'm' + String(of % 60).padStart(2, '0') + 's';
  if (of < 86400) return Math.floor(of / 3600) + 'h' + String(Math.floor(of / 60) % 60).padStart(2, '0') + 'm';
  return Math.floor(of / 86400) + 'd' + String(Math.floor(of / 3600) % 24).padStart(2, '0') + 'h';
};

// A cell is text, or [text, class, state], or { deeds }, or { done, of }.
function put(cell, value) {
  if (value && value.deeds) {
    const names = value.deeds.map(([name]) => name).join();
    if (cell.dataset.names !== names) {
      cell.dataset.names = names;
      cell.replaceChildren(...value.deeds.map(([name, of]) => element('button', name, { type: 'button', ariaLabel: name + ' ' + of })));
    }
    value.deeds.forEach(([, , deed], at) => { cell.children[at].onclick = deed; });
    return;
  }
  if (value && value.of !== undefined) {
    const bar = cell.firstElementChild || cell.appendChild(document.createElement('progress'));
    bar.max = Math.max(value.of, 1);
    bar.value = value.done;
    bar.ariaLabel = value.done + ' of ' + value.of;
    return;
  }
  const [text, kind, state] = Array.isArray(value) ? value : [value];
  if (cell.firstChild?.data !== text) cell.textContent = text;
  if (kind && cell.className !== kind) cell.className = kind;
  if (state && cell.dataset.is !== state) cell.dataset.is = state;
}

// Rows stay the same elements while their key does, so that focus and selection stay where they are.
function fill(table, columns, rows) {
  const [head, body] = [table.tHead, table.tBodies[0]];
  const names = columns.join();
  if (head.dataset.names !== names) {
    head.dataset.names = names;
    body.replaceChildren();
    const row = document.createElement('tr');
    row.append(...columns.map((name) => {
      const number = name.startsWith('#');
      return element(name ? 'th' : 'td', name.replace('#', ''), name ? { scope: 'col', className: number ? 'number' : '' } : {});
    }));
    head.replaceChildren(row);
  }
  const known = new Map([...body.rows].map((row) => [row.dataset.key, row]));
  rows.forEach(([key, ...cells], at) => {
    let row = known.get(key);
    known.delete(key);
    if (!row) {
      row = document.createElement('tr');
      row.dataset.key = key;
      row.append(...cells.map((_, column) => element('td', '', { className: columns[column].startsWith('#') ? 'number' : '' })));
    }
    if (body.rows[at] !== row) body.insertBefore(row, body.rows[at] || null);
    cells.forEach((value, column) => put(row.cells[column], value));
  });
  known.forEach((row) => row.remove());
}

let last = null;
let operators = false;
const deeds = (list) => (operators ? [{ deeds: list }] : []);
const deedColumn = () => (operators ? [''] : []);
const filled = (id, columns, rows) => {
  $(id).hidden = rows.length === 0;
  fill($(id).querySelector('table'), columns, rows);
};

function show(told) {
  const now = performance.now();
  const seconds = last ? (now - last.at) / 1000 : 0;
  const before = new Map((last && last.pid === told.pid ? last.routes : []).map((route) => [route.route, route]));
  const since = (route, keys) => {
    const old = before.get(route.route);
    const sum = (of) => keys.reduce((all, key) => all + of[key], 0);
    return old && seconds > 0 ? Math.max(sum(route) - sum(old), 0) / seconds : 0;
  };
  const routes = told.routes.map((route) => ({
    ...route,
    messages: since(route, ['client_messages', 'upstream_messages']),
    bytes: since(route, ['client_bytes', 'upstream_bytes']),
  }));
  const all = (key) => routes.reduce((sum, route) => sum + route[key], 0);
  last = { at: now, pid: told.pid, routes: told.routes };
  if (operators !== told.operators) {
    operators = told.operators;
    $('sign').hidden = !operators;
  }
  put($('process'), `${told.version}, ${told.phase}, process ${told.pid}, up ${age(told.uptime_seconds)}; ${told.configuration}, generation ${told.generation}`);
  totals([
    ['sessions', count(told.sessions)], ['held', count(told.held)], ['connections', count(told.connections)],
    ['messages', rate(all('messages'))], ['bytes', bytes(all('bytes')) + '/s'],
    ['backends up', `${told.backends.filter((one) => one.up).length} of ${told.backends.length}`],
  ]);
  filled('drains', ['of', 'reason', 'process', 'progress', '#left', '#moved', '#stayed', '#age', 'then'], told.drains.map((one) => [
    one.pid + ' ' + one.drain, one.of, one.reason, String(one.pid), { done: one.sessions - one.left, of: one.sessions }, count(one.left),
    count(one.moved), count(one.stayed), age(one.age_seconds), `${one.cuts ? 'cut' : 'given up'} in ${age(one.cut_in_seconds)}`,
  ]));
  filled('older', ['process', '#sessions', '#up', 'version'], told.older.map((one) => {
    const here = one.here || {};
    return [String(one.pid), String(one.pid), count(here.sessions ?? one.sessions), here.uptime_seconds ? age(here.uptime_seconds) : '–', here.version || one.why || '–'];
  }));
  filled('routes', ['route', '#sessions', '#held', '#opened', '#messages', '#bytes', ...deedColumn()], routes.map((route) => [
    route.route, [route.route, 'id'], count(route.sessions), count(route.held), count(route.opened), rate(route.messages), bytes(route.bytes) + '/s',
    ...deeds([
      ['Push', route.route, () => push({ route: route.route }, `route ${route.route}`)],
      ['Drain', route.route, () => act('/drain', { who: { route: route.route } }, `Drain route ${route.route}`)],
    ]),
  ]));
  filled('backends', ['backend', 'pool', 'state', '#sessions', '#requests', '#waiting', ...deedColumn()], told.backends.map((one) => {
    const who = { backend: one.backend, pool: one.pool };
    const name = `${one.backend} of ${one.pool}`;
    const enable = ['Enable', name, () => act('/enable', who, `Enable ${name}`, one.sessions)];
    const off = [
      ['Move', name, () => act('/move', { from: one.backend, pool: one.pool }, `Move the sessions of ${name} to others`)],
      ['Drain', name, () => act('/drain', { who }, `Drain ${name}`)],
    ];
    return [
      one.pool + ' ' + one.backend, [one.backend, 'id'], one.pool, [one.state, 'state', one.state], count(one.sessions), count(one.requests),
      count(one.handshakes_waiting), ...deeds(one.state === 'disabled' ? [enable] : off),
    ];
  }));
  fill($('busiest').querySelector('table'), sessionColumns(), told.busiest.map(sessionRow));
}

function totals(list) {
  const box = $('totals');
  if (box.childElementCount !== list.length) {
    box.replaceChildren(...list.map(([name]) => {
      const one = document.createElement('div');
      one.append(element('dt', name), element('dd', ''));
      return one;
    }));
  }
  list.forEach(([, value], at) => put(box.children[at].lastElementChild, value));
}

const sessionColumns = () => ['session', 'client', 'route', 'backend', '#age', '#messages', '#bytes', '#now', '#rtt', 'labels', ...deedColumn()];

function sessionRow(one) {
  const labels = Object.entries(one.labels).map((pair) => pair.join('=')).join(' ');
  const both = (what) => (one['client_' + what] ?? 0) + (one['upstream_' + what] ?? 0);
  return [
    one.id, [one.id, 'id'], one.client || '–', one.route + (one.leaving ? ` (${one.leaving})` : ''), one.backend, age(one.age_seconds), count(both('messages')),
    bytes(both('bytes')), one.byte_rate === undefined ? '–' : bytes(one.byte_rate) + '/s',
    one.client_rtt_ms === null || one.client_rtt_ms === undefined ? '–' : one.client_rtt_ms + ' ms', labels || '–',
    ...deeds([
      ['Push', one.id, () => push({ ids: [one.id] }, one.id)],
      ['Kick', one.id, () => act('/kick', { who: { ids: [one.id] } }, `Kick ${one.id}`)],
    ]),
  ];
}

let credentials = null;

// `credentials: 'omit'`: a browser asks for no password in a window of its own.
async function ask(path, body) {
  const headers = { 'Content-Type': 'application/json', Accept: 'application/json' };
  if (credentials) headers.Authorization = credentials;
  const answer = await fetch('/operator' + path, { method: 'POST', headers, body: JSON.stringify(body), credentials: 'omit' });
  const told = (answer.headers.get('content-type') || '').includes('json') ? await answer.json() : { why: await answer.text() };
  if (answer.status === 401) credentials = null;
  $('sign').textContent = credentials ? 'Sign out' : 'Sign in';
  if (!answer.ok) throw new Error(told.why || answer.statusText);
  return told;
}

const asked = (dialog) => new Promise((resolve) => {
  dialog.returnValue = 'no';
  dialog.onclose = () => resolve(dialog.returnValue === 'yes');
  dialog.showModal();
});

async function signIn() {
  if (!(await asked($('login')))) return false;
  const pair = new TextEncoder().encode($('user').value + ':' + $('password').value);
  credentials = 'Basic ' + btoa(String.fromCharCode(...pair));
  $('password').value = '';
  $('sign').textContent = 'Sign out';
  return true;
}

// A command asks first how many sessions it would be for, and then the person.
async function act(path, body, title, sessions) {
  try {
    if (!credentials && !(await signIn())) return;
    const would = sessions === undefined ? await ask(path, { ...body, dry_run: true }) : { sessions };
    const number = would.sessions ?? 0;
    $('h-confirm').textContent = title + '?';
    $('what').textContent = number === 1 ? 'This is for 1 session.' : `This is for ${count(number)} sessions.`;
    $('go').textContent = title.split(' ')[0];
    if (!(await asked($('confirm')))) return;
    const told = await ask(path, body);
    $('said').textContent = told.text || 'done';
  } catch (error) {
    $('said').textContent = error.message;
  }
}

// A message is typed first; then it is a command as any.
async function push(to, name) {
  try {
    if (!credentials && !(await signIn())) return;
    $('h-message').textContent = `Push to ${name}`;
    if (await asked($('message'))) await act('/push', { ...to, text: $('text').value }, `Push to ${name}`);
  } catch (error) {
    $('said').textContent = error.message;
  }
}

function wanted(query) {
  if (/^[0-9a-f]{12}-[0-9a-f]{16}$/i.test(query)) return { ids: [query] };
  if (/^[0-9a-f.:]+(\/\d+)?$/i.test(query) && /[.:]/.test(query)) return { client: query };
  return query.includes('=') && !query.startsWith('/') ? { labels: [query] } : { route: query };
}

$('search').querySelector('form').addEventListener('submit', async (event) => {
  event.preventDefault();
  const table = $('search').querySelector('.wide');
  const who = wanted($('query').value.trim());
  // Nobody is pushed to by address.
  $('push').hidden = !operators || who.client !== undefined;
  $('push').onclick = () => push(who, $('query').value.trim());
  try {
    const told = await ask('/sessions', { who, limit: 100 });
    $('found').textContent = `${count(told.sessions.length)} of ${count(told.matched)} found`;
    table.hidden = told.sessions.length === 0;
    fill(table.querySelector('table'), sessionColumns(), told.sessions.map(sessionRow));
  } catch (error) {
    $('found').textContent = error.message;
    table.hidden = true;
  }
});

$('sign').addEventListener('click', () => {
  if (!credentials) return signIn();
  credentials = null;
  $('sign').textContent = 'Sign in';
});

let stream = null;
function follow() {
  stream?.close();
  stream = new EventSource('/live?sort=' + $('sort').value);
  const is = (state, text) => { $('connection').dataset.is = state; $('connection').textContent = text; };
  stream.onmessage = (event) => {
    if ($('connection').dataset.is !== 'live') is('live', 'live');
    show(JSON.parse(event.data));
  };
  stream.onerror = () => {
    is('lost', 'no connection; trying again');
    // An answer that is no stream is final for the browser, and not for us.
    if (stream.readyState === EventSource.CLOSED) setTimeout(() => document.hidden || follow(), 3000);
  };
}
$('sort').addEventListener('change', follow);
// A page that nobody looks at asks for nothing.
document.addEventListener('visibilitychange', () => (document.hidden ? stream?.close() : follow()));
follow();
