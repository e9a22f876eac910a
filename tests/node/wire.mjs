// wire.mjs: one spawn of rg against a scripted daemon, and what was seen of it, as JSON. argv[2] names what to do; argv[4]
// is a file that is there when the answer has been sent.
import { spawn } from 'node:child_process';
import fs from 'node:fs';

const [what, root, sent] = process.argv.slice(2);
const child = spawn('rg', ['hay', root], what === 'stderr_inherit' ? { stdio: ['ignore', 'pipe', 'inherit'] } : {});
const seen = { events: [], out: 0, err: '', real: false };
const listen = () => {
  if (what !== 'unref') child.on('close', () => setImmediate(show));
  for (const event of ['spawn', 'exit', 'close', 'error']) child.on(event, (...args) => seen.events.push([event, ...args.map(String)]));
};
const show = () => {
  seen.pids.push(child.pid > 4194304);
  fs.writeSync(1, JSON.stringify(seen));
};
// The turn ends when the answer is here; nothing of it may be seen before that, and a listener may still come.
if (what === 'turn' || what === 'late') while (!fs.existsSync(sent));
if (what === 'turn') process.nextTick(() => Promise.resolve().then(() => seen.events.push(['tick'])));
if (what === 'turn') setImmediate(() => seen.events.push(['next turn']));
if (what === 'late') setImmediate(listen);
else listen();
child.stderr?.on('data', (piece) => (seen.err += piece));
seen.pids = [child.pid > 4194304];
let slow = null;
child.on('spawn', () => {
  if (what === 'held') return; // read only after the exit
  child.stdout.on('data', (piece) => {
    seen.out += piece.length;
    if (what === 'slow') {
      child.stdout.pause();
      setTimeout(() => child.stdout.resume(), 5);
    }
    if (what === 'leave') child.stdout.destroy();
    if (what === 'kill') child.kill('SIGINT');
    if (what === 'stop') seen.stopped ??= (child.kill('SIGSTOP'), setTimeout(() => child.kill('SIGCONT'), 100), true);
  });
});
if (what === 'held') child.on('exit', () => child.stdout.on('data', (piece) => (seen.out += piece.length)));
if (what === 'kill_early') setTimeout(() => child.kill(), 100);
if (what === 'unref') {
  child.unref();
  child.stdin.unref();
  child.stdout.unref();
  child.stderr.unref();
  process.on('exit', () => fs.writeSync(1, '"unref"'));
}
