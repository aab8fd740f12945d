// Clients that talk all the time, until SIGUSR1: then each asks once more and counts what it missed.
import WebSocket from 'ws';

const [url, count] = [process.argv[2], Number(process.argv[3])];
let closed = 0;
const clients = await Promise.all(Array.from({ length: count }, () => new Promise((done, fail) => {
  const socket = new WebSocket(url, { origin: 'http://127.0.0.1:8080' });
  const client = { socket, sent: 0, back: 0 };
  socket.on('message', (data) => { if (Number(data) === client.back) client.back += 1; });
  socket.on('close', () => { closed += 1; });
  socket.once('open', () => done(client));
  socket.once('error', fail);
})));
const talk = setInterval(() => {
  for (const client of clients) client.socket.send(String(client.sent++));
}, 20);
console.log('open');

process.on('SIGUSR1', () => {
  clearInterval(talk);
  const whole = () => clients.every((client) => client.sent === client.back);
  const wait = setInterval(() => {
    if (!whole() && closed === 0) return;
    clearInterval(wait);
    const messages = clients.reduce((sum, client) => sum + client.back, 0);
    console.log(`${messages} messages of ${count} clients, ${closed} closed`);
    process.exit(whole() && closed === 0 ? 0 : 1);
  }, 20);
});
