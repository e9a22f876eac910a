/* stream.cjs: the parent's end of a child's descriptor, where there is no child: a handle such as net.Socket wants.
 *
 * In: bytes for a reader to keep (give, end), or the writes of the socket that owns it. Out: what a real Pipe handle would do.
 * When the daemon declines, become() puts a real handle in its place under the same socket, with everything that was
 * written so far, and nobody notices.
 * Invariants: a reader gets bytes only between readStart and readStop, never inside either; the end only after the last
 * byte and only while it reads; `close` calls back once, later.
 * The owner's symbol and `onread` are what Node's net module itself has put on the handle.
 */
'use strict';

/* What the two buffers of a socketpair hold: a child may write so much and exit before anybody reads. */
const HELD_BYTES = 212992;
const CANCELED = -125; /* what a pending write of a closed handle ends with */
const WRITES = ['writeBuffer', 'writeUtf8String', 'writeAsciiString', 'writeLatin1String', 'writeUcs2String', 'writev'];

class Pipe {
  #child;
  #real;
  #queue = [];
  #held = 0;
  #ended = false; /* the child will write no more */
  #toldEnd = false;
  #scheduled = false;
  #writes = []; /* {name, request, rest, pending, accepted, canceled} */
  #written = 0;
  #shutdown = null;
  #closed = false;
  #referenced = true;

  constructor(child, real) {
    this.#child = child;
    this.#real = real;
    this.reading = false;
    this.isStreamBase = true;
    this.fd = -1;
    this.bytesRead = 0;
    this.bytesWritten = 0;
    this.writeQueueSize = 0;
  }

  /* --- for the child --- */
  get closed() {
    return this.#closed;
  }

  get full() {
    return !this.#closed && this.#held >= HELD_BYTES;
  }

  /* Whether an event loop waits for it, as for a real one that reads. */
  get holdsLoop() {
    return this.#referenced && this.reading && !this.#closed && !this.#toldEnd;
  }

  /* The real handle; the child's to spawn with, to close, or to give to become(). */
  get real() {
    return this.#real;
  }

  give(bytes) {
    this.#queue.push(bytes);
    this.#held += bytes.length;
    this.#pump();
  }

  end() {
    this.#ended = true;
    this.#pump();
    this.#cancel();
  }

  /* Puts the real handle in this one's place. */
  become() {
    const real = this.#real;
    if (this.#closed) {
      this.#finish(real);
      return;
    }
    const socket = this.#owner();
    for (const key of Object.getOwnPropertySymbols(this)) real[key] = this[key];
    real.onread = this.onread;
    socket._handle = real;
    if (!this.#referenced) real.unref();
    for (const write of this.#writes) this.#again(write, real);
    if (this.#shutdown !== null) this.#shut(real, () => {});
    if (this.reading) {
      real.reading = true;
      real.readStart();
    }
  }

  /* Closed already; but what was written before is on its way, as it would be in a real socket's buffer. */
  #finish(real) {
    const finished = this.#writes.filter((write) => !write.canceled);
    if (finished.length === 0) {
      real.close();
      return;
    }
    for (const write of finished) this.#again(write, real);
    if (this.#shutdown === null) real.close();
    else this.#shut(real, () => real.close());
  }

  #shut(real, done) {
    const request = new this.#shutdown.constructor();
    request.oncomplete = done;
    request.handle = real;
    real.shutdown(request);
  }

  /* --- for net.Socket --- */
  readStart() {
    this.reading = true;
    this.#soon();
    this.#child.refresh();
    return 0;
  }

  readStop() {
    this.reading = false;
    this.#child.refresh();
    return 0;
  }

  close(callback) {
    if (this.#closed) return;
    this.#closed = true;
    this.reading = false;
    this.#queue = [];
    this.#held = 0;
    this.#cancel();
    if (typeof callback === 'function') process.nextTick(() => Reflect.apply(callback, this, []));
    this.#child.refresh();
  }

  shutdown(request) {
    this.#shutdown = request;
    return 1; /* done at once */
  }

  ref() {
    this.#referenced = true;
    this.#child.refresh();
  }

  unref() {
    this.#referenced = false;
    this.#child.refresh();
  }

  hasRef() {
    return this.#referenced && !this.#closed;
  }

  getAsyncId() {
    return this.#real.getAsyncId();
  }

  setBlocking() {
    return 0;
  }

  /* --- reading --- */
  #owner() {
    for (const key of Object.getOwnPropertySymbols(this)) {
      if (typeof this[key]?.push === 'function') return this[key];
    }
    return null;
  }

  #soon() {
    if (this.#scheduled || !this.reading || !(this.#queue.length || this.#ended)) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#pump();
    });
  }

  #pump() {
    const socket = this.#owner();
    if (socket === null) return;
    while (this.reading && !this.#closed && this.#queue.length) {
      const bytes = this.#queue.shift();
      this.#held -= bytes.length;
      this.bytesRead += bytes.length;
      if (!socket.push(bytes)) {
        this.reading = false;
        if (!socket.destroyed) this.readStop();
      }
    }
    if (this.#ended && !this.#toldEnd && this.reading && !this.#closed && !this.#queue.length) {
      this.#toldEnd = true;
      socket.push(null);
      socket.read(0);
    }
    this.#child.refresh();
  }

  /* --- writing --- */
  write(name, request, rest) {
    const write = { name, request, rest: kept(rest), pending: true, accepted: false, canceled: false };
    this.#writes.push(write);
    const size = sizeOf(name, write.rest);
    this.#written += size;
    this.bytesWritten += size;
    /* A real child that does not read lets so much through; the rest waits for it, or for its end. */
    write.accepted = this.#written <= HELD_BYTES;
    if (write.accepted) setImmediate(() => this.#complete(write, 0));
    return 0;
  }

  #cancel() {
    for (const write of this.#writes) {
      /* What was let through, or what Node takes for written, counts as written. */
      write.canceled ||= write.pending && !write.accepted && write.request.async;
      this.#complete(write, CANCELED);
    }
  }

  /* Node itself calls back at once where it takes a write for a finished one; `async` says which it was. */
  #complete(write, status) {
    if (!write.pending) return;
    write.pending = false;
    if (write.request.async) write.request.oncomplete(status, this, undefined);
  }

  #again(write, real) {
    const request = new write.request.constructor();
    request.handle = real;
    request.oncomplete = (status) => this.#complete(write, status);
    const error = real[write.name](request, ...write.rest);
    /* A write that is done at once calls nobody back. */
    if (error || real.writeQueueSize === 0) this.#complete(write, error);
  }
}

for (const name of WRITES) {
  Pipe.prototype[name] = function (request, ...rest) {
    return this.write(name, request, rest);
  };
}

/* The arguments of a write, safe from a caller that uses its buffer again. */
function kept(rest) {
  const copy = (value) => (value instanceof Uint8Array ? Buffer.from(value) : value);
  return rest.map((value) => (Array.isArray(value) ? value.map(copy) : copy(value)));
}

function sizeOf(name, rest) {
  const list = name === 'writev' ? rest[0].filter((value, index) => rest[1] || index % 2 === 0) : [rest[0]];
  return list.reduce((sum, value) => sum + Buffer.byteLength(value), 0);
}

module.exports = { Pipe };
