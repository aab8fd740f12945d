// node's `ws` through tidegate: sizes, kinds, fragments, compression, subprotocol, close codes.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import WebSocket from 'ws';

const SIZES = [0, 1, 125, 126, 65535, 65536, 16 << 20];

/** As a page of the same site does, unless another origin is named. */
function open(url, perMessageDeflate, origin = new URL(url).origin.replace(/^ws/, 'http')) {
  const socket = new WebSocket(url, ['chat', 'superchat'], {
    perMessageDeflate, rejectUnauthorized: false, maxPayload: 64 << 20, origin,
  });
  return new Promise((done, fail) => {
    socket.once('open', () => done(socket));
    socket.once('error', fail);
  });
}

const message = (socket) => new Promise((done, fail) => {
  socket.once('message', (data, binary) => done([data, binary]));
  socket.once('close', (code) => fail(new Error(`closed with ${code}`)));
});

async function run(base, deflate) {
  await assert.rejects(open(base + '/plain', deflate, 'http://example.com'), /403/);
  const socket = await open(base + (deflate ? '/deflate' : '/plain'), deflate);
  assert.equal(socket.protocol, 'superchat');
  assert.equal(socket.extensions.includes('permessage-deflate'), deflate);
  socket.setMaxListeners(0);
  for (const size of SIZES) {
    const bytes = randomBytes(size);
    let back = message(socket);
    socket.send(bytes);
    assert.deepEqual(await back, [bytes, true], `binary ${size}`);
    const text = 'ü'.repeat(size >> 1) + 'x'.repeat(size & 1);
    back = message(socket);
    socket.send(text);
    const [data, binary] = await back;
    assert.ok(!binary && data.toString() === text, `text ${size}`);
  }
  const pieces = [randomBytes(1), randomBytes(70000), randomBytes(0), randomBytes(126)];
  const back = message(socket);
  pieces.forEach((piece, at) => socket.send(piece, { binary: true, fin: at + 1 === pieces.length }));
  assert.deepEqual((await back)[0], Buffer.concat(pieces), 'fragments');
  const closed = new Promise((done) => socket.once('close', (code, why) => done([code, `${why}`])));
  socket.send('close me 4321|so long, ü');
  assert.deepEqual(await closed, [4321, 'so long, ü'], 'the backend\'s close');
  const other = await open(base + '/plain', deflate);
  const echoed = new Promise((done) => other.once('close', (code) => done(code)));
  other.close(4567, 'node says bye');
  assert.equal(await echoed, 4567, 'our close, echoed');
}

for (const base of process.argv.slice(2)) {
  for (const deflate of [false, true]) {
    await run(base, deflate);
    console.log(`node ws: ${base} deflate=${deflate}: ok`);
  }
}
