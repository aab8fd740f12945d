// Backends that echo, and three tabs of user 42 and one of another before them:
// node tabs.mjs HTTP ONE TWO MESSAGES. It ends when each tab has read so many `hello`s between its
// own echoes, and the other one none.
import assert from 'node:assert/strict';
import { WebSocket, WebSocketServer } from 'ws';

const [http, one, two, messages] = process.argv.slice(2).map(Number);
for (const port of [one, two]) {
  new WebSocketServer({ host: '127.0.0.1', port }).on('connection', (socket) => {
    socket.on('message', (data, binary) => {
      assert.notEqual(data.toString(), 'hello', 'the backend knows nothing of push');
      socket.send(data, { binary });
    });
  });
}

const open = (user) => new Promise((resolve, reject) => {
  const tab = new WebSocket(`ws://127.0.0.1:${http}/chat?user=${user}`);
  Object.assign(tab, { pushed: 0, echoed: 0 });
  tab.on('open', () => resolve(tab)).on('error', reject);
  tab.on('message', (data) => {
    if (data.toString() === 'hello') tab.pushed++;
    else assert.equal(data.toString(), String(++tab.echoed));
  });
});

const tabs = await Promise.all(['42', '42', '42'].map(open));
const other = await open('7');
console.log('three tabs are open');
let sent = 0;
const talk = setInterval(() => { sent++; [...tabs, other].forEach((tab) => tab.send(String(sent))); }, 5);
const end = Date.now() + 60_000;
while (tabs.some((tab) => tab.pushed < messages) || tabs[0].echoed < 20) {
  assert.ok(Date.now() < end, `in vain: ${tabs.map((tab) => tab.pushed)}`);
  await new Promise((done) => setTimeout(done, 20));
}
clearInterval(talk);
assert.deepEqual([...tabs.map((tab) => tab.pushed), other.pushed], [messages, messages, messages, 0]);
console.log(`each of three tabs read ${messages} pushed messages between ${tabs[0].echoed} echoes, another user's none`);
process.exit(0);
