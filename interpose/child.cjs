/* child.cjs: a child process that exists only here: the daemon's answer behind Node's own ChildProcess.
 *
 * In: a process handle about to spawn rg. Out: true, and the handle behaves as that of a running child; or false and
 * nothing has changed. Node's own JavaScript does the rest: its streams sit on our Pipe handles (stream.cjs), its events
 * come from our call of the handle's onexit.
 * Invariant: until the first output byte or the exit a decline or any trouble ends in the real spawn, on the real
 * handles, with the cwd, arguments and environment of the moment of the call; after it in a message and exit code 2, as
 * with the shim. As there, the first byte waits for the whole answer, up to HELD_BYTES.
 * A child of ours has a pid that no process can have (above the kernel's limit of 2^22), so that a signal sent to it
 * reaches nobody; process.kill knows those that are alive. After a decline child.pid is the real one.
 * Known differences: a served child is not seen by ps; a parent that ends at once takes it along.
 */
'use strict';
const os = require('os');
const { Answer } = require('./answer.cjs');
const { ask } = require('./connection.cjs');
const { writeAll } = require('./inherited.cjs');
const { look } = require('./question.cjs');
const { Pipe } = require('./stream.cjs');
const { trace } = require('./trace.cjs');

const FIRST_PID = 4194305;
const STALLED_MS = 60000;
const HELD_BYTES = 8 * 1024 * 1024;
const LONG_MS = 2147483647;
const UNHEARD_MS = 2;
const ESRCH = -3;
const { SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU, SIGCONT, SIGCHLD, SIGURG, SIGWINCH } = os.constants.signals;
const STOPS = new Set([SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU]);
const IGNORED = new Set([SIGCHLD, SIGURG, SIGWINCH]);
const UNKNOWN = { plan: 0, barrier: 0, search: 0, daemon: 0 };
const ASKING = 0, SHOWN = 1, OVER = 2;

const alive = new Map(); /* pid → Child */
let pids = 0;

/* Whether the daemon is being asked. `spawn` does the real thing with options like `options`. Throws or gives false
 * before anything has changed. */
function begin(handle, options, spawn, kept) {
  const started = process.hrtime.bigint();
  const asked = look(options, kept);
  const connection = asked && ask(asked.socket, asked.frame);
  if (!connection) return false;
  new Child(handle, options, spawn, asked, connection, started).start();
  return true;
}

class Child {
  #handle;
  #options; /* the spawn's, as they were */
  #given; /* its stdio, of which Node takes the handles */
  #spawn;
  #asked;
  #state = ASKING;
  #pid;
  #pipes = [];
  #connection;
  #keeper = null;
  #clock = null;
  #referenced = true;
  #stopped = false;
  #complained = false;
  #held = []; /* of the answer, while none of it is shown: {fd, bytes}; fd 0: the code of pipe() */
  #heldBytes = 0;
  #pipeCode = -1;
  #started;

  constructor(handle, options, spawn, asked, connection, started) {
    this.#handle = handle;
    this.#spawn = spawn;
    this.#asked = asked;
    this.#connection = connection;
    this.#started = started;
    this.#given = options.stdio;
    /* The caller may change what it gave us; a decline comes later. */
    this.#options = {
      ...options,
      cwd: asked.cwd,
      args: [...options.args],
      envPairs: [...options.envPairs],
      stdio: options.stdio.map((entry) => ({ ...entry })),
    };
    this.#pid = FIRST_PID + (pids++ % 0x1000000);
  }

  start() {
    const answer = new Answer(this);
    this.#connection.listen({
      data: (piece) => {
        answer.take(piece);
        this.#watch();
        this.refresh();
      },
      lost: () => answer.lost(),
    });
    this.#watch();
    /* Holds the event loop as long as a real child would; the connection itself never does. */
    this.#keeper = setInterval(() => {}, LONG_MS);
    this.#given.forEach((entry, fd) => {
      if (entry.type === 'pipe') this.#pipes[fd] = new Pipe(this, entry.handle);
    });
    this.#disguise();
    alive.set(this.#pid, this);
    learnPids();
  }

  /* Puts our methods and pipes where Node looks. Nothing here fails. */
  #disguise() {
    const shadow = (name, value) =>
      Object.defineProperty(this.#handle, name, { value, configurable: true, writable: true, enumerable: name === 'pid' });
    shadow('pid', this.#pid);
    shadow('kill', (signal) => this.kill(signal));
    shadow('ref', () => this.#reference(true));
    shadow('unref', () => this.#reference(false));
    shadow('hasRef', () => this.#referenced);
    shadow('close', () => {});
    this.#pipes.forEach((pipe, fd) => {
      this.#given[fd].handle = pipe;
    });
  }

  #undress() {
    for (const name of ['pid', 'kill', 'ref', 'unref', 'hasRef', 'close']) delete this.#handle[name];
  }

  /* --- what Node asks of a process handle --- */
  kill(signal) {
    if (this.#state === OVER) return ESRCH;
    if (signal === 0 || IGNORED.has(signal)) return 0;
    if (STOPS.has(signal) || signal === SIGCONT) {
      this.#stopped = signal !== SIGCONT;
      this.refresh();
      return 0;
    }
    const name = Object.keys(os.constants.signals).find((key) => os.constants.signals[key] === signal);
    if (name === undefined) return -22;
    if (this.#heldBytes > 0) this.#show();
    if (this.#state === OVER) return ESRCH; /* a reader was gone, or killed us itself */
    trace(this.#asked, this.#state === SHOWN ? null : 'killed', UNKNOWN, this.#started);
    this.#end();
    setImmediate(() => this.#exit(0, name));
    return 0;
  }

  #reference(yes) {
    this.#referenced = yes;
    this.refresh();
  }

  /* Back-pressure and the hold on the event loop, after anything that may have changed either. */
  refresh() {
    this.#connection?.hold(this.#stopped || this.#pipes.some((pipe) => pipe.full));
    if (this.#keeper === null) return;
    const holds = (this.#referenced && this.#state !== OVER) || this.#pipes.some((pipe) => pipe.holdsLoop);
    if (holds) this.#keeper.ref();
    else this.#keeper.unref();
  }

  /* --- the answer --- */
  output(fd, bytes) {
    /* Memory of its own, as a read from a real pipe has. */
    const copy = Buffer.allocUnsafeSlow(bytes.length);
    bytes.copy(copy);
    if (this.#state !== ASKING) return this.#put(fd, copy);
    this.#held.push({ fd, bytes: copy });
    this.#heldBytes += copy.length;
    if (this.#heldBytes > HELD_BYTES) this.#show();
  }

  pipe(code) {
    if (this.#state === ASKING) this.#held.push({ fd: 0, bytes: code });
    else this.#pipeCode = code;
  }

  /* From here on the answer is the daemon's. */
  #show() {
    this.#settle();
    const held = this.#held;
    this.#held = [];
    for (const { fd, bytes } of held) {
      if (fd === 0) this.#pipeCode = bytes;
      else this.#put(fd, bytes);
    }
  }

  #put(fd, bytes) {
    if (this.#state === OVER) return;
    if (fd === 2) this.#complained = true;
    const pipe = this.#pipes[fd];
    if (pipe === undefined) {
      if (fd === 2 && this.#options.stdio[2].type !== 'ignore') writeAll(2, bytes);
    } else if (pipe.closed) {
      /* The reader is gone; what ripgrep does then is in shims/rg.c. */
      const code = fd === 2 ? 0 : this.#pipeCode >= 0 ? this.#pipeCode : this.#complained ? 2 : 0;
      this.exit(code, UNKNOWN);
    } else {
      pipe.give(bytes);
    }
  }

  exit(code, times) {
    if (this.#state === ASKING) this.#show();
    if (this.#state === OVER) return;
    trace(this.#asked, null, times, this.#started);
    this.#end();
    /* A real one would live for some milliseconds: who listens a turn after the spawn hears of its end. */
    const owner = this.#owner();
    if (owner === undefined || owner.listenerCount('exit') + owner.listenerCount('close') > 0) this.#exit(code, '');
    else setTimeout(() => this.#exit(code, ''), UNHEARD_MS);
  }

  trouble(reason) {
    if (this.#state === OVER) return;
    if (this.#state === ASKING) return this.#decline(reason);
    const why = reason === 'timeout' ? 'the daemon stalled in the middle of an answer'
      : "the daemon's answer broke off in the middle";
    this.output(2, Buffer.from(`rg: curserve: ${why}\n`));
    if (this.#state === OVER) return;
    trace(this.#asked, `curserve: ${why}`, UNKNOWN, this.#started);
    this.#end();
    this.#exit(2, '');
  }

  /* The answer is the daemon's: the handles for a real child are not needed any more. */
  #settle() {
    if (this.#state !== ASKING) return;
    this.#state = SHOWN;
    for (const pipe of this.#pipes) pipe?.real.close();
  }

  /* Node's ChildProcess. */
  #owner() {
    const handle = this.#handle;
    return Object.getOwnPropertySymbols(handle).map((key) => handle[key]).find((it) => it?._handle === handle);
  }

  /* A limit for the first byte, then one for each pause. */
  #watch() {
    clearTimeout(this.#clock);
    if (this.#state === OVER) return;
    const asking = this.#state === ASKING;
    if (asking && this.#asked.timeoutMs === 0) return;
    this.#clock = setTimeout(() => {
      if (this.#connection?.held) this.#watch();
      else this.trouble('timeout');
    }, asking ? this.#asked.timeoutMs : STALLED_MS);
    this.#clock.unref();
  }

  #end() {
    if (this.#state === ASKING) for (const pipe of this.#pipes) pipe?.real.close();
    this.#state = OVER;
    alive.delete(this.#pid);
    this.#hangUp();
  }

  #hangUp() {
    clearTimeout(this.#clock);
    this.#connection?.close();
    this.#connection = null;
  }

  #exit(code, signal) {
    const handle = this.#handle;
    handle.onexit(code, signal);
    /* A handle that never spawned cannot be closed and stays for ever, with some 700 bytes; at least nothing hangs on it.
     * To have libuv refuse a spawn (a descriptor of -1), so that it can be closed, corrupted the heap of Node 24. */
    this.#undress();
    for (const key of Reflect.ownKeys(handle)) delete handle[key];
    for (const pipe of this.#pipes) pipe?.end();
    /* Who reads later what a pipe still has gets it in a turn of its own, which holds the loop. */
    clearInterval(this.#keeper);
    this.#keeper = null;
  }

  /* The original way, a little later. */
  #decline(reason) {
    this.#state = OVER;
    trace(this.#asked, reason, UNKNOWN, this.#started);
    alive.delete(this.#pid);
    this.#hangUp();
    clearInterval(this.#keeper);
    this.#keeper = null;
    const handle = this.#handle;
    this.#undress();
    const owner = this.#owner();
    /* We have asked and traced; neither the shim nor the preload library need do so again. ripgrep looks at neither
     * variable. */
    this.#options.envPairs = this.#options.envPairs.filter((pair) => !/^CURSERVE_(TRACE|DISABLE)=/.test(pair));
    this.#options.envPairs.push('CURSERVE_DISABLE=1');
    const error = this.#spawn(this.#options);
    for (const pipe of this.#pipes) {
      if (error) pipe?.real.close(), pipe?.end();
      else pipe?.become();
    }
    if (error) {
      handle.onexit(error, '');
      return;
    }
    if (!this.#referenced) handle.unref();
    if (this.#stopped) handle.kill(SIGSTOP);
    if (owner) owner.pid = handle.pid;
  }
}

/* From the first child of ours on, process.kill knows their pids. */
let learned = false;

function learnPids() {
  if (learned) return;
  learned = true;
  const original = process.kill;
  process.kill = function kill(pid, signal) {
    const child = alive.get(pid);
    const number = signal === undefined ? os.constants.signals.SIGTERM
      : typeof signal === 'number' ? signal : os.constants.signals[signal];
    if (child === undefined || number === undefined) return Reflect.apply(original, this, arguments);
    child.kill(number);
    return true;
  };
}

module.exports = { begin };
