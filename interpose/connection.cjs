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
/* How long a caller's turn may end later: most answers are here by then. */
const FIRST_LOOK_MS = 0.3;

const never = new Int32Array(new SharedArrayBuffer(4));
let spare = null; /* a chunk: to make one costs 40 us in a process that was busy with other things */
let wrap; /* Node's pipe_wrap; null: not to be had */

class Connection {
  #handle;
  #listener = null;
  #held = false;

  constructor(handle) {
    this.#handle = handle;
  }

  /* From here on by events: listener.data(piece), lost(). Neither is called from within a method. The first look is at
   * the end of the caller's turn, when the answer is most often there: an event loop has the agent's other work to do
   * before it comes to us, some milliseconds at times. */
  listen(listener) {
    this.#listener = listener;
    this.#handle.onread = (bytes) => {
      if (bytes === undefined) this.#listener?.lost();
      else this.#listener?.data(Buffer.from(bytes));
    };
    if (!this.#held && this.#handle.readStart() !== 0) setImmediate(() => this.#listener?.lost());
    else setImmediate(() => this.#lookFirst());
  }

  #lookFirst() {
    if (this.#listener === null || this.#held) return;
    const chunk = spare ?? Buffer.allocUnsafeSlow(CHUNK_BYTES);
    spare = null; /* the listener may come to another connection */
    let piece = null;
    try {
      piece = this.#next(chunk, process.hrtime.bigint(), FIRST_LOOK_MS);
    } catch {} /* not every thread may sleep */
    /* The end is the event loop's to tell. */
    if (piece !== null && piece.length > 0) this.#listener.data(piece);
    spare = chunk;
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
      const piece = this.#next(chunk, began, limitMs);
      if (piece === null) return false;
      if (!take(piece) || piece.length === 0) return true;
    }
  }

  /* What is here before `limitMs` have passed since `began`, or null. */
  #next(chunk, began, limitMs) {
    for (;;) {
      const size = received(this.#handle.fd, chunk);
      if (size >= 0) return chunk.subarray(0, size);
      const passedUs = Number((process.hrtime.bigint() - began) / 1000n);
      if (passedUs > limitMs * 1000) return null;
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

/* Bytes read into `chunk`; 0 at the end, -1 when there are none yet. That is an exception, which costs 80 us with its
 * stack and 25 without. */
function received(fd, chunk) {
  const before = Error.stackTraceLimit;
  const short = typeof before === 'number' && Reflect.set(Error, 'stackTraceLimit', 0);
  try {
    return fs.readSync(fd, chunk);
  } catch (error) {
    return error.code === 'EAGAIN' ? -1 : 0;
  } finally {
    if (short) Error.stackTraceLimit = before;
  }
}

function sleep(ms) {
  Atomics.wait(never, 0, 0, ms);
}

module.exports = { ask, sleep };
