/* question.cjs: whether a spawn may be asked of the daemon, where that is, and the REQUEST frame.
 *
 * In: the options of the native spawn (file, args, cwd, envPairs, stdio, …). Out: null (leave it alone), or the socket,
 * the frame and what a decline must know. The facts are those a real child would see: its cwd after chdir, what its
 * descriptors would be, the program that execvp would find.
 * Invariant: null in every doubt. Only what the child itself would look at is looked at, and nothing is changed.
 * Not here: ripgrep's flags; talking. The wire is shims/wire.h; tests hold the two together.
 */
'use strict';
const fs = require('fs');
const tty = require('tty');

const MAGIC = 0x56535243, VERSION = 1, REQUEST = 1;
const MAX_REQUEST = 1048576;
const HEAD_BYTES = 12, FIXED_BYTES = 128, FD_BYTES = 24, FD_START = 48;
const TTY = 1, FILE = 2, FIFO = 3, SOCKET = 4, CHAR = 5, OTHER = 6;
const SENT = ['RIPGREP_CONFIG_PATH', 'HOME', 'XDG_CONFIG_HOME', 'NO_COLOR', 'TERM', 'COLUMNS', 'GIT_CONFIG_GLOBAL',
  'GIT_CONFIG_SYSTEM'];
/* How their names begin, and those of CURSERVE_… and PATH: cheaper to ask than for the names. */
const ASKED_STARTS = [...new Set([...SENT, 'CURSERVE', 'PATH'].map((name) => name[0]))].join('');
const TIMEOUT_MS = 4000;
const SOCKET_NAME_BYTES = 107;
const IS_SET_ID = 0o6000;
const FILE_FIELDS = ['dev', 'ino', 'size', 'mtimeMs', 'ctimeMs'];

/* What to ask, or null. `kept`: our own variables as at the process's start. */
function look(options, kept) {
  if (options.detached || options.flags || options.uid != null || options.gid != null) return null;
  const env = environment(options.envPairs);
  if (env === null || (own(env, 'CURSERVE_DISABLE') && env.CURSERVE_DISABLE !== '0')) return null;
  if (process.geteuid() !== process.getuid() || process.getegid() !== process.getgid()) return null;
  const stripped = env.CURSERVE_SHIM === undefined;
  const setting = (name) => own(env, name) || (stripped && kept[name]) || '';
  const kinds = describe(options.stdio);
  if (kinds === null) return null;
  /* Node remembers where it is; the kernel knows. */
  const cwd = fs.realpathSync.native(options.cwd ?? '.', 'buffer');
  const started = options.cwd == null ? process.cwd() : within(process.cwd(), options.cwd);
  if (!isProgram(options.file, env.PATH, started)) return null;
  const socket = place(setting('CURSERVE_SOCKET'));
  if (socket === null) return null;
  const frame = request(options.args.slice(1), cwd, env, kinds);
  if (frame === null) return null;
  const timeout = setting('CURSERVE_TIMEOUT_MS');
  return {
    socket, frame, argv: options.args.slice(1), cwd: started, trace: setting('CURSERVE_TRACE'),
    timeoutMs: /^[0-9]{1,9}$/.test(timeout) ? Number(timeout) : TIMEOUT_MS,
  };
}

/* The child's variables of which we ask; as with getenv the first of a name counts. */
function environment(pairs) {
  if (!Array.isArray(pairs)) return null;
  const env = { __proto__: null };
  for (const pair of pairs) {
    if (!ASKED_STARTS.includes(pair[0])) continue;
    const at = pair.indexOf('='), name = pair.slice(0, at);
    if (at > 0 && env[name] === undefined) env[name] = pair.slice(at + 1);
  }
  return env;
}

function own(env, name) {
  return env[name] || '';
}

/* What descriptors 0 to 2 of the child would be, or null. A pipe of libuv's is one end of a socketpair. Descriptors the
 * caller may close after the spawn are left alone, since a decline comes after it; so is output to anything but a pipe,
 * which would have to be written from inside this process. */
function describe(stdio) {
  if (!Array.isArray(stdio) || stdio.length < 3) return null;
  const kinds = [];
  for (let fd = 0; fd < stdio.length; fd++) {
    const { type } = stdio[fd];
    if (fd > 2) {
      if (type !== 'ignore') return null;
    } else if (type === 'pipe') {
      if (typeof stdio[fd].handle?.constructor !== 'function') return null;
      kinds.push({ kind: SOCKET });
    } else if (type === 'ignore') {
      kinds.push({ kind: CHAR });
    } else if (fd !== 1 && (type === 'inherit' || type === 'fd') && (stdio[fd].fd ?? fd) === fd) {
      kinds.push(kindOf(fd));
    } else {
      return null;
    }
  }
  return kinds;
}

function kindOf(fd) {
  const stat = fs.fstatSync(fd, { bigint: true });
  if (stat.isFile()) return { kind: FILE, dev: stat.dev, ino: stat.ino };
  if (stat.isFIFO()) return { kind: FIFO };
  if (stat.isSocket()) return { kind: SOCKET };
  if (stat.isCharacterDevice()) return { kind: tty.isatty(fd) ? TTY : CHAR };
  return { kind: OTHER };
}

/* Whether execvp would run an ELF program that keeps our rights. Scripts named rg have their own mind. */
function isProgram(file, path, cwd) {
  if (file.includes('/')) return isElf(within(cwd, file)) === true;
  for (const entry of (path === undefined ? '/bin:/usr/bin' : path).split(':')) {
    const found = isElf(within(cwd, `${entry || '.'}/${file}`));
    if (found !== null) return found;
  }
  return false;
}

function within(cwd, path) {
  return path.startsWith('/') ? path : `${cwd}/${path}`;
}

const elves = new Map(); /* path → {stat, elf} */

/* null: nothing that execvp would run. */
function isElf(path) {
  let stat;
  try {
    stat = fs.statSync(path, { throwIfNoEntry: false });
    if (stat === undefined || !stat.isFile() || !(stat.mode & 0o111)) return null;
    fs.accessSync(path, fs.constants.X_OK);
  } catch {
    return null;
  }
  if (stat.mode & IS_SET_ID) return false;
  const known = elves.get(path);
  if (known !== undefined && FILE_FIELDS.every((name) => known.stat[name] === stat[name])) return known.elf;
  if (elves.size > 64) elves.clear();
  const elf = startsAsElf(path);
  elves.set(path, { stat, elf });
  return elf;
}

function startsAsElf(path) {
  const start = Buffer.alloc(4);
  const fd = fs.openSync(path, 'r');
  try {
    return fs.readSync(fd, start, 0, 4, 0) === 4 && start.toString('latin1') === '\x7fELF';
  } finally {
    fs.closeSync(fd);
  }
}

/* The daemon's socket, ours and out of others' reach, or null. Node cannot ask a connection who listens; so the folder
 * and the socket must be ours, which comes to the same: nobody else could have put a socket there. */
function place(named) {
  const uid = process.geteuid();
  if (named) {
    const folder = named.slice(0, named.lastIndexOf('/')) || '/';
    if (!named.startsWith('/') || Buffer.byteLength(named) > SOCKET_NAME_BYTES) return null;
    const stat = fs.statSync(folder, { throwIfNoEntry: false });
    if (stat === undefined || (stat.uid !== uid && stat.uid !== 0)) return null;
    if ((stat.mode & 0o022) && !(stat.mode & 0o1000)) return null;
    return isOurSocket(named, uid) ? named : null;
  }
  for (const folder of [`/run/user/${uid}/curserve`, `/tmp/curserve-${uid}`]) {
    const stat = fs.lstatSync(folder, { throwIfNoEntry: false });
    if (stat === undefined || !stat.isDirectory() || (stat.mode & 0o7777) !== 0o700 || stat.uid !== uid) continue;
    if (isOurSocket(`${folder}/socket`, uid)) return `${folder}/socket`;
  }
  return null;
}

function isOurSocket(path, uid) {
  const stat = fs.lstatSync(path, { throwIfNoEntry: false });
  return stat !== undefined && stat.isSocket() && stat.uid === uid;
}

let root = null;

/* Which file it is. A number keeps 53 bits, which is mostly enough. */
function identity(path) {
  const stat = fs.statSync(path);
  if (Number.isSafeInteger(stat.dev) && Number.isSafeInteger(stat.ino)) return stat;
  return fs.statSync(path, { bigint: true });
}

function request(argv, cwd, env, kinds) {
  if (argv.some((word) => typeof word !== 'string' || word.includes('\0'))) return null;
  const sent = SENT.filter((name) => env[name] !== undefined).map((name) => `${name}=${env[name]}`);
  const tail = [...argv, ...sent].map((text) => `${text}\0`).join('');
  const strings = cwd.length + 1 + Buffer.byteLength(tail);
  if (FIXED_BYTES + strings > MAX_REQUEST) return null;
  root ??= identity('/');
  const here = identity(cwd);
  const frame = Buffer.alloc(HEAD_BYTES + FIXED_BYTES + strings);
  const put = fieldsOf(frame);
  put.u32(0, MAGIC), put.u16(4, VERSION), put.u16(6, REQUEST), put.u32(8, FIXED_BYTES + strings);
  const at = HEAD_BYTES;
  put.u32(at, argv.length), put.u32(at + 4, sent.length);
  /* The mount's id stays 0, unknown: only statx tells it, and Node has none. */
  put.u64(at + 8, here.dev), put.u64(at + 16, here.ino);
  put.u64(at + 32, root.dev), put.u64(at + 40, root.ino);
  kinds.forEach(({ kind, dev, ino }, fd) => {
    const to = at + FD_START + fd * FD_BYTES;
    put.u32(to, kind);
    if (kind === FILE) put.u64(to + 8, dev), put.u64(to + 16, ino);
  });
  put.u32(at + 120, strings);
  cwd.copy(frame, at + FIXED_BYTES);
  frame.write(tail, at + FIXED_BYTES + cwd.length + 1);
  return frame;
}

/* Numbers in the machine's byte order. */
function fieldsOf(frame) {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
  const little = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;
  return {
    u16: (at, value) => view.setUint16(at, value, little),
    u32: (at, value) => view.setUint32(at, value, little),
    u64: (at, value) => view.setBigUint64(at, BigInt.asUintN(64, BigInt(value)), little),
  };
}

module.exports = { look, place };
