// forms.mjs: every way to start rg from Node, and what the caller saw, as one JSON object: {form: transcript}.
//
// In: argv[2] the folder to search, argv[3] the trace file (may not exist). The program searched with is `rg` of PATH.
// What differs from run to run of a real child (pid, how output is cut into pieces, whether a stream ends before the
// child exits) is not in a transcript; everything else is.
import * as cp from 'node:child_process';
import { AsyncLocalStorage } from 'node:async_hooks';
import { createRequire } from 'node:module';
import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify, inspect } from 'node:util';
import { Writable } from 'node:stream';
import { Worker, isMainThread, parentPort } from 'node:worker_threads';
import { createHash } from 'node:crypto';

const [root, trace] = process.argv.slice(2);
const common = createRequire(import.meta.url)('child_process');
const MANY = ['--sort', 'path', '-n', 'e', root];
const FEW = ['--sort', 'path', '-n', 'needle', root];
const NONE = ['nothing-of-the-kind', root];
const IGNORE = { stdio: ['ignore', 'pipe', 'pipe'] };
const execFile = promisify(cp.execFile);
const sum = (bytes) => `${bytes.length}:${createHash('sha1').update(bytes).digest('hex')}`;
const words = (error) => error && {
  name: error.name, code: error.code, killed: error.killed, signal: error.signal, cmd: error.cmd, path: error.path,
  syscall: error.syscall, spawnargs: error.spawnargs, message: error.message,
  stdout: error.stdout?.length, stderr: error.stderr?.length,
};

// All events of a child: its own in their order; a stream's in theirs.
async function watch(child, { read = true } = {}) {
  const seen = { child: [], stdout: [], stderr: [], stdin: [] };
  const data = { stdout: [], stderr: [] };
  for (const event of ['spawn', 'exit', 'close', 'error', 'disconnect', 'message']) {
    child.on(event, (...args) => seen.child.push([event, ...args.map((it) => (it instanceof Error ? words(it) : it))]));
  }
  for (const name of ['stdout', 'stderr', 'stdin']) {
    for (const event of ['end', 'close', 'error', 'finish']) {
      child[name]?.on(event, (...args) => seen[name].push([event, ...args.map(words)]));
    }
    if (read && name !== 'stdin') child[name]?.on('data', (piece) => data[name].push(piece));
  }
  if (!child.spawnfile) return seen;
  await new Promise((done) => {
    child.on('close', done);
    if (child.pid === undefined) child.on('error', () => setTimeout(done, 50));
  });
  await new Promise((done) => setTimeout(done, 20));
  return {
    ...seen, out: sum(Buffer.concat(data.stdout)), err: Buffer.concat(data.stderr).toString(),
    exitCode: child.exitCode, signalCode: child.signalCode, killed: child.killed, args: child.spawnargs,
    streams: ['stdin', 'stdout', 'stderr'].map((name) => child[name] && [
      child[name].constructor.name, child[name].destroyed, child[name].readable, child[name].writable,
      child[name].bytesRead, child[name].readableEnded]),
    stdio: child.stdio.length, connected: child.connected,
  };
}

// How much a child that was killed had written is chance.
const killed = (seen) => ({ ...seen, out: null, streams: null });

const callback = (...args) => new Promise((done) => {
  cp.execFile(...args, (error, stdout, stderr) =>
    done([words(error), typeof stdout, sum(Buffer.from(stdout)), stderr.toString()]));
});

// What a synchronous form gives back. A child that never ran has a pid of 0.
const waited = (args, options) => {
  const { status, signal, output, stdout, stderr, pid, error } = cp.spawnSync('rg', args, options);
  return [status, signal, words(error), output?.length, output?.[0], stdout && [typeof stdout, sum(stdout)],
    stderr && [typeof stderr, stderr.toString()], pid > 0];
};

const forms = {
  spawn: () => watch(cp.spawn('rg', FEW)),
  spawn_many: () => watch(cp.spawn('rg', MANY, IGNORE)),
  spawn_common: () => watch(common.spawn('rg', FEW)),
  spawn_none: () => watch(cp.spawn('rg', NONE)),
  spawn_absolute: () => watch(cp.spawn(which(), FEW)),
  spawn_error: () => watch(cp.spawn('rg', ['(', root])),
  spawn_no_file: () => watch(cp.spawn('rg', ['x', `${root}/not-there`])),
  spawn_files: () => watch(cp.spawn('rg', ['--files', '--sort', 'path'], { cwd: root, ...IGNORE })),
  spawn_cwd_url: () => watch(cp.spawn('rg', ['--sort', 'path', 'needle', '.'], { cwd: pathToFileURL(root) })),
  spawn_cwd_relative: () => watch(cp.spawn('rg', ['--sort', 'path', 'needle', '.'], { cwd: path.relative('.', root) })),
  spawn_cwd_link: () => {
    const link = `${root}-link-${process.pid}`;
    fs.symlinkSync(root, link);
    return watch(cp.spawn('rg', ['--sort', 'path', 'needle', './'], { cwd: link })).finally(() => fs.unlinkSync(link));
  },
  spawn_no_cwd: () => watch(cp.spawn('rg', FEW, { cwd: `${root}/not-there` })),
  spawn_no_program: () => watch(cp.spawn('/not/there/rg', FEW)),
  spawn_no_program_on_path: () => watch(cp.spawn('rg', FEW, { env: { PATH: '/not/there' } })),
  spawn_not_executable: () => {
    const folder = fs.mkdtempSync(`${os.tmpdir()}/forms-`);
    fs.writeFileSync(`${folder}/rg`, 'x', { mode: 0o600 });
    return watch(cp.spawn(`${folder}/rg`, FEW)).then((seen) =>
      JSON.parse(JSON.stringify(seen).replaceAll(folder, 'FOLDER')));
  },
  spawn_script: () => {
    const folder = fs.mkdtempSync(`${os.tmpdir()}/forms-`);
    fs.writeFileSync(`${folder}/rg`, '#!/bin/sh\necho mine "$@"; exit 7\n', { mode: 0o700 });
    return watch(cp.spawn(`${folder}/rg`, FEW)).then((seen) =>
      JSON.parse(JSON.stringify(seen).replaceAll(folder, 'FOLDER')));
  },
  spawn_argv0: () => watch(cp.spawn(which(), FEW, { argv0: 'other' })),
  spawn_argv0_rg: () => watch(cp.spawn('/bin/echo', FEW, { argv0: 'something' })),
  spawn_env: () => watch(cp.spawn('rg', ['--color=always', ...FEW], { env: { ...process.env, NO_COLOR: '1' } })),
  spawn_config: () => {
    const file = `${os.tmpdir()}/forms-config-${process.pid}`;
    fs.writeFileSync(file, '--count\n');
    return watch(cp.spawn('rg', FEW, { env: { ...process.env, RIPGREP_CONFIG_PATH: file } }))
      .finally(() => fs.unlinkSync(file));
  },
  spawn_disabled: () => watch(cp.spawn('rg', FEW, { env: { ...process.env, CURSERVE_DISABLE: '1' } })),
  spawn_ignore: () => watch(cp.spawn('rg', FEW, { stdio: 'ignore' })),
  spawn_stderr_inherit: () => watch(cp.spawn('rg', FEW, { stdio: ['ignore', 'pipe', 'inherit'] })),
  spawn_stdout_ignored: () => watch(cp.spawn('rg', ['x', `${root}/not-there`], { stdio: ['ignore', 'ignore', 'pipe'] })),
  spawn_stdout_to_file: () => {
    const file = `${os.tmpdir()}/forms-out-${process.pid}`, fd = fs.openSync(file, 'w');
    const seen = watch(cp.spawn('rg', FEW, { stdio: ['ignore', fd, 'pipe'] }));
    fs.closeSync(fd);
    return seen.then((it) => [it, fs.readFileSync(file, 'utf8'), fs.unlinkSync(file)]);
  },
  spawn_stdin_from_file: () => {
    const fd = fs.openSync(`${root}/b.txt`);
    const seen = watch(cp.spawn('rg', ['needle'], { stdio: [fd, 'pipe', 'pipe'] }));
    fs.closeSync(fd);
    return seen;
  },
  spawn_extra_pipe: () => watch(cp.spawn('rg', FEW, { stdio: ['ignore', 'pipe', 'pipe', 'pipe'] })),
  spawn_extra_ignored: () => watch(cp.spawn('rg', FEW, { stdio: ['ignore', 'pipe', 'pipe', 'ignore'] })),
  spawn_overlapped: () => watch(cp.spawn('rg', FEW, { stdio: 'overlapped' })),
  spawn_detached: () => watch(cp.spawn('rg', FEW, { detached: true })),
  spawn_shell: () => watch(cp.spawn(`rg --sort path needle '${root}'`, { shell: true, stdio: ['ignore', 'pipe', 'pipe'] })),
  spawn_stdin_read: () => {
    const child = cp.spawn('rg', ['needle']);
    child.stdin.write('a needle\n');
    child.stdin.end('hay\nneedle too\n');
    return watch(child);
  },
  spawn_stdin_later: () => {
    const child = cp.spawn('rg', ['-c', 'needle']);
    const seen = watch(child);
    setTimeout(() => {
      child.stdin.write(Buffer.from('needle\n'.repeat(100000)));
      child.stdin.write('bGF0ZXIgbmVlZGxl', 'base64', () => child.stdin.end());
    }, 60);
    return seen;
  },
  spawn_stdin_large: async () => {
    const child = cp.spawn('rg', ['-c', 'needle', '-']);
    const seen = watch(child);
    for (let at = 0; at < 40; at++) {
      const piece = Buffer.from('one needle in here\n'.repeat(1000));
      if (!child.stdin.write(piece)) await once(child.stdin, 'drain');
    }
    child.stdin.cork();
    child.stdin.write('x needle\n');
    child.stdin.write(Buffer.from('y needle\n'));
    child.stdin.uncork();
    child.stdin.end();
    return seen;
  },
  spawn_stdin_unread: () => {
    const child = cp.spawn('rg', FEW);
    child.stdin.on('error', () => {});
    child.stdin.write('nobody reads this\n');
    return watch(child).then((seen) => ({ ...seen, stdin: null })); // whether that was an EPIPE is chance
  },
  spawn_stdin_destroyed: () => {
    const child = cp.spawn('rg', ['needle', '-']);
    child.stdin.destroy();
    return watch(child);
  },
  encoding: async () => {
    const child = cp.spawn('rg', FEW);
    child.stdout.setEncoding('utf8');
    let text = '';
    for await (const piece of child.stdout) text += piece;
    return [text, typeof text];
  },
  iterate: async () => {
    const child = cp.spawn('rg', MANY, IGNORE), pieces = [];
    for await (const piece of child.stdout) pieces.push(piece);
    return [sum(Buffer.concat(pieces)), child.stdout.bytesRead];
  },
  iterate_slowly: async () => {
    const child = cp.spawn('rg', MANY, IGNORE), pieces = [];
    for await (const piece of child.stdout) {
      pieces.push(piece);
      await new Promise((done) => setTimeout(done, 1));
    }
    return sum(Buffer.concat(pieces));
  },
  iterate_and_leave: async () => {
    const child = cp.spawn('rg', MANY, IGNORE), closed = once(child, 'close');
    for await (const piece of child.stdout) if (piece.length) break;
    const [code, signal] = await closed;
    return [code <= 2, signal, child.stdout.destroyed];
  },
  pipe_slow: async () => {
    const child = cp.spawn('rg', MANY, IGNORE), hash = createHash('sha1');
    const slow = new Writable({
      highWaterMark: 4096,
      write(piece, encoding, done) {
        hash.update(piece);
        setImmediate(done);
      },
    });
    child.stdout.pipe(slow);
    await once(slow, 'finish');
    return [hash.digest('hex'), slow.writableFinished];
  },
  pause_resume: async () => {
    const child = cp.spawn('rg', FEW), pieces = [];
    const closed = once(child, 'close');
    child.stdout.on('data', (piece) => pieces.push(piece));
    child.stdout.pause();
    await new Promise((done) => setTimeout(done, 100));
    const before = pieces.length;
    child.stdout.resume();
    await closed;
    return [before, Buffer.concat(pieces).toString()];
  },
  read_after_exit: async () => {
    const child = cp.spawn('rg', ['--sort', 'path', 'e', `${root}/c.txt`]);
    const closed = once(child, 'close'), pieces = [];
    child.on('exit', () => child.stdout.on('data', (piece) => pieces.push(piece)));
    await closed;
    return [sum(Buffer.concat(pieces)), child.exitCode];
  },
  readable_event: async () => {
    const child = cp.spawn('rg', FEW), pieces = [];
    child.stdout.on('readable', () => {
      for (let piece; (piece = child.stdout.read(10)) !== null;) pieces.push(piece);
      for (let piece; (piece = child.stdout.read()) !== null;) pieces.push(piece);
    });
    await once(child, 'close');
    return Buffer.concat(pieces).toString();
  },
  chunks_own_their_memory: async () => {
    const child = cp.spawn('rg', FEW);
    const [piece] = await once(child.stdout, 'data');
    return [piece.byteOffset, Buffer.isBuffer(piece)];
  },
  nobody_reads: async () => {
    const child = cp.spawn('rg', FEW);
    const [code, signal] = await once(child, 'close');
    return [code, signal, child.stdout.readableEnded];
  },
  destroy_at_once: async () => {
    const child = cp.spawn('rg', MANY, IGNORE), closed = once(child, 'close');
    child.stdout.destroy();
    const [code, signal] = await closed;
    return [code <= 2, signal, child.killed];
  },
  destroy_both: async () => {
    const child = cp.spawn('rg', FEW), closed = once(child, 'close');
    child.stdout.destroy();
    child.stderr.destroy();
    const [code, signal] = await closed;
    return [code <= 2, signal];
  },
  kill_at_once: () => {
    const child = cp.spawn('rg', MANY, IGNORE);
    const seen = watch(child);
    const steps = [child.kill(), child.killed];
    return seen.then((it) => [...steps, killed(it)]);
  },
  kill_number: () => {
    const child = cp.spawn('rg', MANY, IGNORE);
    child.kill(9);
    return watch(child).then(killed);
  },
  kill_zero: async () => {
    const child = cp.spawn('rg', MANY, IGNORE);
    const alive = child.kill(0), killed = child.killed;
    const seen = await watch(child);
    return [alive, killed, child.kill(0), child.kill(), { ...seen, killed: null }];
  },
  kill_harmless: () => {
    const child = cp.spawn('rg', FEW);
    child.kill('SIGWINCH');
    return watch(child);
  },
  kill_unknown: async () => {
    const child = cp.spawn('rg', FEW), closed = once(child, 'close');
    let error;
    try {
      child.kill('SIGNOTHING');
    } catch (caught) {
      error = words(caught);
    }
    return [error, await closed];
  },
  kill_by_pid: () => {
    const child = cp.spawn('rg', MANY, IGNORE);
    process.kill(child.pid, 'SIGTERM');
    return watch(child).then(killed);
  },
  kill_by_pid_later: async () => {
    const child = cp.spawn('rg', FEW);
    await once(child, 'close');
    try {
      process.kill(child.pid);
    } catch (error) {
      return words(error);
    }
    return 'killed somebody';
  },
  kill_on_first_data: async () => {
    const child = cp.spawn('rg', MANY, IGNORE), closed = once(child, 'close');
    child.stdout.once('data', () => child.kill());
    const [code, signal] = await closed;
    return [code === 0 || signal === 'SIGTERM', child.killed];
  },
  kill_stop_and_continue: () => {
    const child = cp.spawn('rg', FEW);
    child.kill('SIGSTOP');
    setTimeout(() => child.kill('SIGCONT'), 100);
    return watch(child);
  },
  abort_before: () => watch(cp.spawn('rg', MANY, { ...IGNORE, signal: AbortSignal.abort() })).then(killed),
  abort_after: () => {
    const control = new AbortController();
    const child = cp.spawn('rg', MANY, { ...IGNORE, signal: control.signal, killSignal: 'SIGKILL' });
    const seen = watch(child);
    control.abort(new Error('enough'));
    return seen.then(killed);
  },
  abort_late: async () => {
    const control = new AbortController();
    const seen = await watch(cp.spawn('rg', FEW, { signal: control.signal }));
    control.abort();
    return seen;
  },
  abort_execfile: () => {
    const control = new AbortController();
    const got = callback('rg', MANY, { signal: control.signal, encoding: 'buffer' });
    control.abort();
    return got.then(([error]) => error && { ...error, stdout: null });
  },
  timeout_long: () => watch(cp.spawn('rg', FEW, { timeout: 20000 })),
  execfile: () => callback('rg', FEW),
  execfile_buffer: () => callback('rg', FEW, { encoding: 'buffer' }),
  execfile_latin1: () => callback('rg', FEW, { encoding: 'latin1' }),
  execfile_none: () => callback('rg', NONE),
  execfile_error: () => callback('rg', ['(', root]),
  execfile_large: () => callback('rg', MANY, { maxBuffer: 1 << 26 }),
  execfile_max_buffer: () => callback('rg', MANY, { maxBuffer: 1000 }).then(([error, type, text, err]) =>
    [{ ...error, signal: null }, type, text, err]),
  execfile_cwd: () => callback('rg', ['--sort', 'path', 'needle', './'], { cwd: root, timeout: 20000 }),
  execfile_version: () => callback('rg', ['--version']),
  promised: async () => {
    const { stdout, stderr } = await execFile('rg', FEW);
    return [stdout, stderr];
  },
  promised_none: () => execFile('rg', NONE).catch(words),
  promised_child: async () => {
    const promise = execFile('rg', FEW);
    return [promise.child.spawnfile, (await promise).stdout];
  },
  exec: () => new Promise((done) => {
    const child = cp.exec(`rg --sort path -n needle '${root}'`, (error, stdout, stderr) => done([words(error), stdout, stderr]));
    child.stdin.end();
  }),
  sync: () => waited(FEW, IGNORE),
  sync_piped: () => waited(FEW, {}),
  sync_many: () => waited(MANY, IGNORE),
  sync_none: () => waited(NONE, IGNORE),
  sync_regex_error: () => waited(['(', root], IGNORE),
  sync_no_file: () => waited(['x', `${root}/not-there`], IGNORE),
  sync_in_folder: () => waited(['--files', '--sort', 'path'], { cwd: root, ...IGNORE }),
  sync_text: () => waited(FEW, { encoding: 'utf8' }),
  sync_input: () => waited(['needle', '-'], { input: 'a needle\n' }),
  sync_argv0: () => waited(FEW, { argv0: 'grep' }),
  sync_empty_environment: () => waited(FEW, { env: {} }),
  sync_too_much: () => waited(MANY, { maxBuffer: 1000, ...IGNORE }).slice(0, 3),
  sync_in_time: () => waited(FEW, { timeout: 60000, ...IGNORE }),
  sync_ignored: () => waited(FEW, { stdio: 'ignore' }),
  sync_no_cwd: () => waited(FEW, { cwd: `${root}/not-there` }),
  sync_absolute: () => {
    const { status, stdout } = cp.spawnSync(which(), FEW);
    return [status, sum(stdout)];
  },
  sync_common: () => sum(common.spawnSync('rg', FEW).stdout),
  sync_file: () => cp.execFileSync('rg', FEW, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }),
  sync_file_fails: () => {
    try {
      return cp.execFileSync('rg', NONE, IGNORE);
    } catch (error) {
      return [words(error), error.status, error.output.length, error.stderr.toString(), error.pid > 0];
    }
  },
  sync_shell: () => cp.execSync(`rg --sort path -n needle '${root}'`, { encoding: 'utf8' }),
  sync_among_others: async () => {
    const other = callback('rg', FEW);
    return [waited(FEW, IGNORE), await other];
  },
  fork_is_untouched: async () => {
    const child = cp.fork(new URL('./echo.cjs', import.meta.url), { stdio: 'pipe' });
    const closed = once(child, 'close');
    child.send('hello');
    const [answer] = await once(child, 'message');
    return [answer, await closed];
  },
  other_programs: () => watch(cp.spawn('/bin/sh', ['-c', 'echo out; echo err >&2; exit 3'])),
  context: async () => {
    const storage = new AsyncLocalStorage(), found = [];
    await storage.run('inside', () => new Promise((done) => {
      const child = cp.spawn('rg', FEW);
      child.stdout.on('data', () => found.push(['data', storage.getStore()]));
      child.on('exit', () => found.push(['exit', storage.getStore()]));
      child.on('close', () => done(found.push(['close', storage.getStore()])));
    }));
    return found.filter(([event], at) => found.findIndex(([other]) => other === event) === at).sort();
  },
  references: async () => {
    const child = cp.spawn('rg', FEW), closed = once(child, 'close');
    const steps = [child._handle.hasRef()];
    child.unref();
    steps.push(child._handle.hasRef());
    child.ref();
    steps.push(child._handle.hasRef());
    await closed;
    return [steps, child._handle];
  },
  many_at_once: () => Promise.all(Array.from({ length: 20 }, () => callback('rg', FEW))),
  from_a_worker: async () => {
    const worker = new Worker(new URL(import.meta.url), { argv: [root, trace] });
    return (await once(worker, 'message'))[0];
  },
  cwd_changes_after: async () => {
    const before = process.cwd();
    process.chdir(root);
    const child = cp.spawn('rg', ['--sort', 'path', 'needle', '.']), seen = watch(child);
    process.chdir(before);
    return seen;
  },
  args_change_after: () => {
    const args = ['needle', '-'], env = { ...process.env };
    const child = cp.spawn('rg', args, { env });
    child.spawnargs.length = 0;
    args.length = 0;
    env.PATH = '';
    child.stdin.end('a needle\n');
    return watch(child);
  },
};

function which() {
  return process.env.PATH.split(':').map((entry) => `${entry}/rg`).find((file) => fs.existsSync(file));
}

// A form that never ends is a finding, not the end of all the others.
function limited(promise) {
  let clock;
  const late = new Promise((done) => (clock = setTimeout(done, 8000, 'never ended')));
  return Promise.race([promise, late]).finally(() => clearTimeout(clock));
}

function traced() {
  try {
    return fs.readFileSync(trace, 'utf8').trim().split('\n').map((line) => JSON.parse(line));
  } catch {
    return [];
  }
}

if (isMainThread) {
  const seen = {};
  for (const [name, form] of Object.entries(forms)) {
    if (process.argv[4] && process.argv[4] !== name) continue;
    const before = traced().length;
    let result;
    try {
      result = await limited(form());
    } catch (error) {
      result = ['threw', words(error)];
    }
    const lines = traced().slice(before);
    seen[name] = { result, served: lines.filter((it) => it.served).length,
      declined: lines.filter((it) => !it.served).map((it) => it.reason) };
  }
  seen.process = {
    result: [process.listenerCount('exit'), process.listenerCount('uncaughtException'), process.eventNames(),
      Object.keys(common).length, inspect(common.spawn), inspect(common.ChildProcess.prototype.spawn),
      String(common.ChildProcess.prototype.spawn).length, Object.getOwnPropertyNames(common.ChildProcess.prototype),
      Object.keys(createRequire(import.meta.url).cache ?? {}).filter((it) => it.includes('hook')),
      Object.keys(globalThis).length],
    served: 0, declined: [],
  };
  fs.writeSync(1, JSON.stringify(seen));
} else {
  parentPort.postMessage(await watch(cp.spawn('rg', FEW)));
}
