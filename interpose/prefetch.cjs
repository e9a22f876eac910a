/* prefetch.cjs: an agent that starts will search: the daemon loads the repository around its cwd meanwhile.
 *
 * In: our own variables. Out: one line on the daemon's control socket; the answer is not waited for. Whether the folder
 * may be loaded is the daemon's business, as with a first search. Where there is no daemon, nothing happens.
 */
'use strict';
const { ask } = require('./connection.cjs');
const { place } = require('./question.cjs');

function prefetch(kept) {
  const { CURSERVE_DISABLE } = process.env;
  if (CURSERVE_DISABLE && CURSERVE_DISABLE !== '0') return;
  const socket = place(kept.CURSERVE_SOCKET || '');
  if (socket === null) return;
  const line = `${JSON.stringify({ op: 'prefetch', root: process.cwd() })}\n`;
  ask(`${socket}.control`, Buffer.from(line))?.close();
}

module.exports = { prefetch };
