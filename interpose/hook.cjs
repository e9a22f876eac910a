/* hook.cjs: what Node loads before an agent (NODE_OPTIONS=--require=…): a spawn of rg is answered inside the process.
 *
 * In: every child process that this Node process starts. Out: the same child, or, where its program or argv[0] is named
 * rg and the daemon answers, one that exists only here (see child.cjs) and behaves as a real one does.
 * Invariant: silent and fail-open. Whatever is not understood, refused or broken goes the original way with the original
 * arguments; nothing that a program usually looks at changes (listeners, require.cache, what functions print).
 * This file is read by every Node there is: it is written for old ones. The others are loaded only where they work.
 * Not here: shells, detached children, IPC, other users, Windows.
 *
 * The place: `spawn`, `execFile`, `exec`, `fork` and their promises all end in one native method, `spawn` of the process
 * handle. It is replaced when the first child is about to be made: loading child_process costs more than a millisecond,
 * and most Node processes never start a child. The sign of the first one is that an EventEmitter is made of the class
 * ChildProcess; EventEmitter.init is ours until then (Node's own `domain` uses the same place).
 * The synchronous forms end in another native method, `spawn` of the binding spawn_sync (see sync.cjs); that one is
 * replaced at the start, which takes 40 us.
 */
'use strict';
(() => {
  if (process.platform !== 'linux' || process.permission !== undefined) return;
  if (!(parseInt(process.versions.node, 10) >= 16)) return; /* whose other files it could not read */
  findsTrustedOnly();
  const EventEmitter = require('events');
  const init = EventEmitter.init;
  if (typeof init !== 'function') return;
  /* As at the start: a program may strip its children's environment, and means no harm to searches. */
  const { CURSERVE_SOCKET, CURSERVE_TRACE, CURSERVE_TIMEOUT_MS } = process.env;
  const kept = { CURSERVE_SOCKET, CURSERVE_TRACE, CURSERVE_TIMEOUT_MS };
  let waiting = true;

  function initEmitter(options) {
    if (waiting && this.constructor && this.constructor.name === 'ChildProcess') {
      waiting = false;
      if (EventEmitter.init === initEmitter) EventEmitter.init = init;
      try {
        replaceSpawn(this.constructor);
      } catch (error) {}
    }
    return Reflect.apply(init, this, [options]);
  }
  EventEmitter.init = initEmitter;
  if (isAgent()) {
    try {
      load('./prefetch.cjs').prefetch(kept);
    } catch (error) {}
  }
  delete require.cache[__filename];

  /* gemini takes rg from a system folder only, and searches without it when another one is first on PATH. So in a shell
   * where our folder is, it is not for gemini: what starts the rg it finds comes here, or to the preload library. */
  function findsTrustedOnly() {
    const shim = process.env.CURSERVE_SHIM, script = process.argv[1];
    if (!shim || !script || !/(^|\/)gemini(\.js)?$/.test(script)) return;
    const folder = shim.slice(0, shim.lastIndexOf('/'));
    const path = process.env.PATH || '';
    if (path.includes(folder)) process.env.PATH = path.split(':').filter((entry) => entry !== folder).join(':');
  }

  /* An agent will search where it was started; any other program most likely not. */
  function isAgent() {
    return /(^|\/)(qwen|gemini|codex|claude|opencode)(\.[cm]?js)?$/.test(process.argv[1] || '');
  }

  /* Gives the process handles' `spawn` a test for one name. The rest is loaded when a program of that name is started. */
  function replaceSpawn(ChildProcess) {
    const handles = Object.getPrototypeOf(new ChildProcess()._handle);
    const original = handles.spawn;
    if (typeof original !== 'function' || handles.constructor.name !== 'Process') return;
    let answer = null;
    handles.spawn = function spawn(options) {
      const asked = arguments.length === 1 ? options : fromWords(arguments);
      if (asked !== null && asksForRg(asked)) {
        try {
          if (answer === null) answer = load('./child.cjs');
          const again = (changed) => Reflect.apply(original, this, asked === options ? [changed] : toWords(changed));
          if (answer.begin(this, asked, again, kept)) return 0;
        } catch (error) {}
      }
      return Reflect.apply(original, this, arguments);
    };
  }

  function replaceSpawnSync() {
    const before = Object.getOwnPropertyDescriptor(process, 'noDeprecation');
    process.noDeprecation = true; /* this use of process.binding is none of the program's */
    let binding;
    try {
      binding = process.binding('spawn_sync');
    } finally {
      if (before === undefined) delete process.noDeprecation;
      else Object.defineProperty(process, 'noDeprecation', before);
    }
    const original = binding.spawn;
    if (typeof original !== 'function') return;
    let answer = null;
    binding.spawn = function spawn(options) {
      if (asksForRg(options)) {
        try {
          if (answer === null) answer = load('./sync.cjs');
          const result = answer.spawnSync(options, (changed) => Reflect.apply(original, this, [changed]), kept);
          if (result !== null) return result;
        } catch (error) {}
      }
      return Reflect.apply(original, this, arguments);
    };
  }

  try {
    replaceSpawnSync();
  } catch (error) {}

  /* Node 24 passes the options one by one; those before it, the object. */
  const ORDER = ['file', 'args', 'cwd', 'envPairs', 'stdio', 'flags', 'uid', 'gid'];

  function fromWords(words) {
    if (words.length !== ORDER.length || typeof words[0] !== 'string') return null;
    return Object.fromEntries(ORDER.map((name, index) => [name, words[index]]));
  }

  function toWords(options) {
    return ORDER.map((name) => options[name]);
  }

  function asksForRg(options) {
    return typeof options === 'object' && options !== null && (isRg(options.file) || (Array.isArray(options.args) && isRg(options.args[0])));
  }

  function isRg(name) {
    return typeof name === 'string' && (name === 'rg' || name.endsWith('/rg'));
  }

  function load(name) {
    const before = new Set(Object.keys(require.cache));
    try {
      return require(name);
    } finally {
      for (const path of Object.keys(require.cache)) {
        if (!before.has(path) && path.startsWith(__dirname)) delete require.cache[path];
      }
    }
  }
})();
