/* connection.cjs: a connection to the daemon that has been asked one question.
 *
 * In: the path of its socket, a REQUEST frame. Out: what comes back: by events (listen), or while everything waits
 * (readNow). Null where the question could not be put: no daemon, a sandbox, a full backlog, a frame longer than a
 * socket's buffer; the original way is open then, and the shim finds out why.
 * A connection to a Unix socket is made at once, and its descriptor can be written and read; so the daemon is at work
 * before Node has taken notice. Why not net.connect: in a process that has not used one lately its stream costs 100 to
 * 250 us, before the question is out, and a turn of the event loop until it reads; the bare handle below it 10 (Node 20
 * and 22). The handle comes from Node's own binding; where there is none, there is no connection.
 * Not here: what the bytes mean, time limits other than readNow's.
 */
'use strict';
const fs = require('fs');

const CHUNK_BYTES = 65536;
/* Between two looks. It sleeps at once: the kernel likes to wake a daemon on the core of the one that has written to it,
 * where it waits until that one sleeps; reading again and again made a search of 1.05 ms 1.3. */
const SHORTEST_MS = 0.05, LONGEST_MS = 1;

const never = new Int32Array(new SharedArrayBuffer(4));
let wrap; /* Node's pipe_wrap; null: not to be had */

class Connection {
  #handle;
  #listener = null;
  #held = false;

  constructor(handle) {
    this.#handle = handle;
  }

  /* From here on by events: listener.data(piece), lost(). Neither is called from within a method. */
  listen(listener) {
    this.#listener = listener;
    this.#handle.onread = (bytes) => {
      if (bytes === undefined) this.#listener?.lost();
      else this.#listener?.data(Buffer.from(bytes));
    };
    if (!this.#held && this.#handle.readStart() !== 0) setImmediate(() => this.#listener?.lost());
  }

  /* Back-pressure: whether the daemon is to wait. */
  hold(yes) {
    if (yes === this.#held) return;
    this.#held = yes;
    if (this.#listener === null) return;
    if (yes) this.#handle.readStop();
    else this.#handle.readStart();
  }

  get held() {
    return this.#held;
  }

  /* Lends take() what comes within `limitMs`, an empty piece at the end; it says whether to go on. False: nothing more
   * within that time. */
  readNow(limitMs, take) {
    const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
    const began = process.hrtime.bigint();
    for (;;) {
      const size = received(this.#handle.fd, chunk);
      if (size >= 0) {
        if (!take(chunk.subarray(0, size)) || size === 0) return true;
        continue;
      }
      const passedUs = Number((process.hrtime.bigint() - began) / 1000n);
      if (passedUs > limitMs * 1000) return false;
      /* In step with what has passed, so that a sleep's end never makes much of it. */
      sleep(Math.min(Math.max(passedUs / 8000, SHORTEST_MS), LONGEST_MS));
    }
  }

  close() {
    this.#listener = null;
    this.#handle.close();
  }
}

/* A connection that has been asked, or null. */
function ask(path, frame) {
  if (wrap === undefined) wrap = binding();
  if (wrap === null) return null;
  const handle = new wrap.Pipe(wrap.constants.SOCKET);
  const request = new wrap.PipeConnectWrap();
  request.oncomplete = () => {}; /* whether it has connected is seen when it is written to */
  handle.unref();
  handle.connect(request, path);
  try {
    if (handle.fd > 2 && fs.writeSync(handle.fd, frame) === frame.length) return new Connection(handle);
  } catch {}
  handle.close();
  return null;
}

function binding() {
  const before = Object.getOwnPropertyDescriptor(process, 'noDeprecation');
  process.noDeprecation = true; /* this use of process.binding is none of the program's */
  try {
    const found = process.binding('pipe_wrap');
    return typeof found.Pipe === 'function' && typeof found.PipeConnectWrap === 'function' ? found : null;
  } catch {
    return null;
  } finally {
    if (before === undefined) delete process.noDeprecation;
    else Object.defineProperty(process, 'noDeprecation', before);
  }
}

/* Bytes read into `chunk`; 0 at the end, -1 when there are none yet. */
function received(fd, chunk) {
  try {
    return fs.readSync(fd, chunk);
  } catch (error) {
    return error.code === 'EAGAIN' ? -1 : 0;
  }
}

function sleep(ms) {
  Atomics.wait(never, 0, 0, ms);
}

module.exports = { ask, sleep };
