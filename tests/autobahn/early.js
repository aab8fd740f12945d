// Finds text that is not UTF-8 as its bytes come, where `ws` waits for the whole message: the suite
// wants it refused early (cases 6.4), which shows too that parts of frames come through at once.
'use strict';

const TEXT = 1;
const CONTROL = 8;

/** The frame header at the front of `bytes` (RFC 6455 §5.2), once it is whole. */
const parse = (bytes) => {
  if (bytes.length < 2) return null;
  const [first, second] = bytes;
  const short = second & 0x7f;
  const maskAt = { 126: 4, 127: 10 }[short] ?? 2;
  const size = maskAt + 4;
  if (bytes.length < size) return null;
  const long = { 126: () => bytes.readUInt16BE(2), 127: () => Number(bytes.readBigUInt64BE(2)) };
  const length = long[short]?.() ?? short;
  const mask = bytes.subarray(maskAt, size);
  return { first, masked: second > 0x7f, length, mask, size };
};

/** A check to be given all that a client sends; false once text was wrong. */
module.exports = () => {
  let waiting = Buffer.alloc(0);
  let [frame, at] = [null, 0];
  /** Of the text message that is open; none in another, or in a deflated one (RSV1). */
  let decoder = null;

  const begin = ({ first }) => {
    const opcode = first & 0x0f;
    if (opcode === TEXT) decoder = first & 0x40 ? null : new TextDecoder('utf-8', { fatal: true });
    else if (opcode !== 0 && opcode < CONTROL) decoder = null;
  };

  const payload = (bytes) => {
    const isText = decoder && (frame.first & 0x0f) < CONTROL;
    if (isText) {
      const plain = Buffer.from(bytes);
      for (let i = 0; i < plain.length; i += 1) plain[i] ^= frame.mask[(at + i) & 3];
      decoder.decode(plain, { stream: true });
    }
    at += bytes.length;
    if (at === frame.length) frame = null;
  };

  return (chunk) => {
    waiting = waiting.length ? Buffer.concat([waiting, chunk]) : chunk;
    try {
      while (waiting.length > 0) {
        if (!frame) {
          const head = parse(waiting);
          if (!head) break;
          // A frame without a mask is for `ws` to refuse.
          if (!head.masked) return true;
          waiting = waiting.subarray(head.size);
          begin(head);
          [frame, at] = [head, 0];
        }
        const part = waiting.subarray(0, frame.length - at);
        waiting = waiting.subarray(part.length);
        payload(part);
      }
    } catch {
      return false;
    }
    return true;
  };
};
