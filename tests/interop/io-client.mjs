// Many socket.io clients with their default transports: each polls, opens its WebSocket, and is
// answered before and after. Prints what came of them; fails when anything went wrong for one.
import { io } from 'socket.io-client';

const [url, count] = [process.argv[2], Number(process.argv[3])];
const PATIENCE_MS = 20_000;

function client(number) {
  return new Promise((done) => {
    const servers = new Set();
    const socket = io(url, { forceNew: true, reconnection: false, withCredentials: true });
    const end = (error) => {
      clearTimeout(late);
      socket.removeAllListeners();
      socket.close();
      done({ error, servers });
    };
    const late = setTimeout(() => end('too late'), PATIENCE_MS);
    socket.on('connect_error', (error) => end(`connect: ${error.message}`));
    socket.on('disconnect', (reason) => end(`disconnect: ${reason}`));
    const echo = async (over) => {
      for (let message = 0; message < 5; message += 1) {
        const said = `${number}: ${message}`;
        const answer = await socket.timeout(PATIENCE_MS).emitWithAck('echo', said);
        if (answer.said !== said) throw new Error(`said ${said}, heard ${answer.said}`);
        if (over && answer.over !== over) throw new Error(`still over ${answer.over}`);
        servers.add(answer.by);
      }
    };
    socket.on('connect', async () => {
      try {
        const { engine } = socket.io;
        // It may have been upgraded before socket.io's own greeting came.
        const isUpgraded = engine.transport.name === 'websocket';
        const upgraded = isUpgraded || new Promise((is) => engine.once('upgrade', is));
        await echo();
        await upgraded;
        await echo('websocket');
        end(servers.size === 1 ? undefined : 'more than one server answered');
      } catch (error) {
        end(error.message);
      }
    });
  });
}

const all = await Promise.all(Array.from({ length: count }, (_, number) => client(number)));
const errors = all.map((one) => one.error).filter(Boolean);
const byServer = {};
for (const { servers } of all) for (const one of servers) byServer[one] = (byServer[one] ?? 0) + 1;
const kinds = {};
for (const error of errors) kinds[error] = (kinds[error] ?? 0) + 1;
console.log(`${count} clients, ${errors.length} errors`, kinds, 'clients by server:', byServer);
process.exit(errors.length === 0 ? 0 : 1);
