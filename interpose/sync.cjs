/* sync.cjs: the answer to spawnSync, execFileSync and their like, while everything else in the process waits.
 *
 * In: the options of the native synchronous spawn. Out: its result, or null (do the real thing). Nothing of an answer is
 * shown before all of it is here, so any trouble, at any moment, ends in the real spawn.
 * Node has no synchronous socket, but to a Unix socket a connection is made at once, and its descriptor can be read: in
 * a process of 280 MB a real spawn took 9.8 ms, a first answer by a worker thread 44, and this takes some 0.5.
 * Known difference: as with child.cjs, the child's pid is one that no process can have.
 */
'use strict';
const fs = require('fs');
const net = require('net');
const { Answer } = require('./answer.cjs');
const { look } = require('./question.cjs');
const { trace } = require('./trace.cjs');

const PID = 8388608; /* child.cjs has those below */
const CHUNK_BYTES = 65536;
const UNKNOWN = { plan: 0, barrier: 0, search: 0, daemon: 0 };
/* A short answer is there within the first: reading again and again costs less than a sleep's end. Arbitrary. */
const SPIN_US = 300n, SLEEP_MS = 0.2;

/* `spawn` does the real thing with options like `options`. */
function spawnSync(options, spawn, kept) {
  const started = process.hrtime.bigint();
  const asked = look({ ...options, stdio: likeHandles(options.stdio) }, kept);
  if (asked === null) return null;
  const whole = ask(asked, options, started);
  if (whole.reason !== null) {
    trace(asked, whole.reason, UNKNOWN, started);
    /* We have asked and traced; ripgrep looks at neither variable. */
    const envPairs = options.envPairs.filter((pair) => !/^CURSERVE_(TRACE|DISABLE)=/.test(pair));
    const changed = { ...options, envPairs: [...envPairs, 'CURSERVE_DISABLE=1'] };
    if (options.timeout > 0) changed.timeout = Math.max(1, options.timeout - elapsedMs(started));
    return spawn(changed);
  }
  if (options.stdio[2].type !== 'pipe' && options.stdio[2].type !== 'ignore') writeAll(2, whole.output[2]);
  trace(asked, null, whole.times, started);
  const output = options.stdio.map(({ type }, fd) => (type === 'pipe' && fd > 0 ? Buffer.concat(whole.output[fd]) : null));
  return { pid: PID, status: whole.code, signal: null, output };
}

/* question.cjs knows the pipes of the other spawn, which have a handle. */
function likeHandles(stdio) {
  return stdio.map((entry) => (entry.type === 'pipe' ? { type: 'pipe', handle: {} } : entry));
}

function elapsedMs(started) {
  return Math.ceil(Number(process.hrtime.bigint() - started) / 1e6);
}

/* The whole answer; or, with a reason, none. */
function ask(asked, options, started) {
  const limitsMs = [asked.timeoutMs || Infinity];
  /* The rest is for the real program. */
  if (options.timeout > 0) limitsMs.push(options.timeout / 4);
  const limitMs = Math.min(...limitsMs);
  const room = options.maxBuffer > 0 ? options.maxBuffer : Infinity;
  const got = { output: [[], [], []], code: 0, times: UNKNOWN, bytes: 0, over: false, reason: null };
  const answer = new Answer({
    output(fd, bytes) {
      got.bytes += bytes.length;
      got.output[fd].push(Buffer.from(bytes));
    },
    pipe() {},
    exit(code, times) {
      Object.assign(got, { code, times, over: true });
    },
    trouble(reason) {
      Object.assign(got, { reason, over: true });
    },
  });
  const without = (reason) => ({ reason });
  const connection = net.connect(asked.socket);
  connection.on('error', () => {});
  try {
    const fd = connection._handle?.fd;
    if (!(fd > 2)) return without('no_daemon');
    if (!send(fd, asked.frame)) return without('no_daemon');
    const piece = Buffer.allocUnsafe(CHUNK_BYTES);
    while (!got.over) {
      const size = received(fd, piece);
      if (size === 0) answer.lost();
      else if (size > 0) answer.take(piece.subarray(0, size));
      else if (elapsedMs(started) > limitMs) return without('timeout');
      else if (process.hrtime.bigint() - started > SPIN_US * 1000n) sleep(SLEEP_MS);
      /* What a parent does with too much is the real thing's to say. */
      if (got.bytes > room) return without('max_buffer');
    }
    return got;
  } finally {
    connection.destroy();
  }
}

/* Whether the daemon took the question. It fits a socket's buffer, or is declined. */
function send(fd, frame) {
  try {
    return fs.writeSync(fd, frame) === frame.length;
  } catch {
    return false;
  }
}

/* Bytes read into `piece`; 0 at the end, -1 when there are none yet. */
function received(fd, piece) {
  try {
    return fs.readSync(fd, piece);
  } catch (error) {
    return error.code === 'EAGAIN' ? -1 : 0;
  }
}

const never = new Int32Array(new SharedArrayBuffer(4));

function sleep(ms) {
  Atomics.wait(never, 0, 0, ms);
}

/* Messages for a descriptor we share with the parent. */
function writeAll(fd, pieces) {
  for (const bytes of pieces) {
    for (let at = 0; at < bytes.length;) {
      try {
        at += fs.writeSync(fd, bytes, at);
      } catch (error) {
        if (error.code !== 'EAGAIN') return;
        sleep(1);
      }
    }
  }
}

module.exports = { spawnSync };
