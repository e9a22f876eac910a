/* trace.cjs: one line of CURSERVE_TRACE.
 *
 * In: what was asked, with its argv, why it was declined (null: it was served), the daemon's times in microseconds, and
 * when it began. The file is opened as the shim opens it; trouble with it is nobody's concern.
 */
'use strict';
const fs = require('fs');

function trace(asked, reason, times, started) {
  if (!asked.trace) return;
  const total = Number((process.hrtime.bigint() - started) / 1000n);
  const line = { served: reason === null, reason, argv: asked.argv, us: { total, ...times } };
  const { O_WRONLY, O_APPEND, O_CREAT, O_NOCTTY, O_NONBLOCK } = fs.constants;
  try {
    const fd = fs.openSync(asked.trace, O_WRONLY | O_APPEND | O_CREAT | O_NOCTTY | O_NONBLOCK, 0o600);
    try {
      fs.writeSync(fd, `${JSON.stringify(line)}\n`);
    } finally {
      fs.closeSync(fd);
    }
  } catch {}
}

module.exports = { trace };
