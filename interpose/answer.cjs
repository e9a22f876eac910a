/* answer.cjs: the daemon's reply, taken apart as it comes.
 *
 * In: pieces of bytes from the socket. Out: calls of the receiver: output(fd, bytes), pipe(code), exit(code, times),
 * trouble(reason). After exit or trouble nothing more is called. A frame of output is handed on in the pieces it comes
 * in; the other frames are small and must be whole.
 * Not here: what the receiver makes of it. The wire is shims/wire.h.
 */
'use strict';

const MAGIC = 0x56535243, VERSION = 1, HEAD_BYTES = 12;
const STDOUT = 2, STDERR = 3, EXIT = 4, DECLINE = 5, PIPE = 6;
const MAX_REPLY = 1048576, MAX_REASON = 255, EXIT_BYTES = 24;
const LITTLE = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

class Answer {
  #receiver;
  #rest = null; /* the beginning of a head or of a small frame */
  #fd = 1;
  #left = 0; /* bytes to come of the frame of output we are in */
  #over = false;

  constructor(receiver) {
    this.#receiver = receiver;
  }

  /* Takes the next piece. It is copied where it is kept. */
  take(piece) {
    if (this.#rest !== null) {
      piece = Buffer.concat([this.#rest, piece]);
      this.#rest = null;
    }
    let at = 0;
    while (!this.#over) {
      if (this.#left > 0) {
        const size = Math.min(this.#left, piece.length - at);
        if (size === 0) return;
        this.#left -= size;
        at += size;
        this.#receiver.output(this.#fd, piece.subarray(at - size, at));
        continue;
      }
      const used = this.#frame(piece, at);
      if (used === 0) {
        if (at < piece.length) this.#rest = Buffer.from(piece.subarray(at));
        return;
      }
      at += used;
    }
  }

  /* The connection is gone. */
  lost() {
    this.#trouble('lost');
  }

  /* The bytes of the head and, unless it is output, of the frame at `at`; 0 when it is not whole. */
  #frame(piece, at) {
    if (this.#over || piece.length - at < HEAD_BYTES) return 0;
    const view = new DataView(piece.buffer, piece.byteOffset + at, piece.length - at);
    const version = view.getUint16(4, LITTLE), type = view.getUint16(6, LITTLE), size = view.getUint32(8, LITTLE);
    if (view.getUint32(0, LITTLE) !== MAGIC) return this.#trouble('protocol');
    if (version !== VERSION && type !== DECLINE) return this.#trouble('version');
    if (type === STDOUT || type === STDERR) {
      if (size > MAX_REPLY) return this.#trouble('protocol');
      this.#fd = type === STDOUT ? 1 : 2;
      this.#left = size;
      return HEAD_BYTES;
    }
    if (size > (type === DECLINE ? MAX_REASON : EXIT_BYTES)) return this.#trouble('protocol');
    if (view.byteLength < HEAD_BYTES + size) return 0;
    const u32 = (index) => view.getUint32(HEAD_BYTES + 4 * index, LITTLE);
    if (type === EXIT && size === EXIT_BYTES) {
      this.#over = true;
      this.#receiver.exit(u32(0) & 0xff, { plan: u32(1), barrier: u32(2), search: u32(3), daemon: u32(4) });
    } else if (type === PIPE && size === 4) {
      this.#receiver.pipe(u32(0) & 0xff);
    } else if (type === DECLINE) {
      const start = at + HEAD_BYTES;
      return this.#trouble(piece.toString('latin1', start, start + size) || 'declined');
    } else {
      return this.#trouble('protocol');
    }
    return HEAD_BYTES + size;
  }

  #trouble(reason) {
    if (!this.#over) {
      this.#over = true;
      this.#receiver.trouble(reason);
    }
    return 0;
  }
}

module.exports = { Answer };
