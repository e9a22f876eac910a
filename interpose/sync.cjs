/* sync.cjs: the answer to spawnSync, execFileSync and their like, while everything else in the process waits.
 *
 * In: the options of the native synchronous spawn. Out: its result, or null (do the real thing). Nothing of an answer is
 * shown before all of it is here, so any trouble, at any moment, ends in the real spawn.
 * Node has no synchronous socket, but see connection.cjs: in a process of 280 MB a real spawn took 9.8 ms, a first
 * answer by a worker thread 44, and this takes some 0.5.
 * Known difference: as with child.cjs, the child's pid is one that no process can have.
 */
'use strict';
const { Answer } = require('./answer.cjs');
const { ask } = require('./connection.cjs');
const { writeAll } = require('./inherited.cjs');
const { look } = require('./question.cjs');
const { trace } = require('./trace.cjs');

const PID = 8388608; /* child.cjs has those below */
const UNKNOWN = { plan: 0, barrier: 0, search: 0, daemon: 0 };
const LONG_MS = 1e12;

/* `spawn` does the real thing with options like `options`. */
function spawnSync(options, spawn, kept) {
  const started = process.hrtime.bigint();
  const asked = look({ ...options, stdio: likeHandles(options.stdio) }, kept);
  const connection = asked && ask(asked.socket, asked.frame);
  if (!connection) return null;
  const whole = hear(connection, asked, options, started);
  if (whole.reason !== null) {
    trace(asked, whole.reason, UNKNOWN, started);
    /* We have asked and traced; ripgrep looks at neither variable. */
    const envPairs = options.envPairs.filter((pair) => !/^CURSERVE_(TRACE|DISABLE)=/.test(pair));
    const changed = { ...options, envPairs: [...envPairs, 'CURSERVE_DISABLE=1'] };
    if (options.timeout > 0) changed.timeout = Math.max(1, options.timeout - elapsedMs(started));
    return spawn(changed);
  }
  if (options.stdio[2].type !== 'pipe' && options.stdio[2].type !== 'ignore') writeAll(2, Buffer.concat(whole.output[2]));
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
function hear(connection, asked, options, started) {
  const limitsMs = [asked.timeoutMs || LONG_MS];
  /* The rest is for the real program. */
  if (options.timeout > 0) limitsMs.push(options.timeout / 4);
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
  try {
    const leftMs = Math.min(...limitsMs) - elapsedMs(started);
    const heard = connection.readNow(leftMs, (piece) => {
      if (piece.length === 0) answer.lost();
      else answer.take(piece);
      return !got.over && got.bytes <= room;
    });
    if (!heard) return without('timeout');
    /* What a parent does with too much is the real thing's to say. */
    return got.bytes > room ? without('max_buffer') : got;
  } finally {
    connection.close();
  }
}

module.exports = { spawnSync };
