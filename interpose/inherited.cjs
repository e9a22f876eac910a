/* inherited.cjs: writes to a descriptor that a child of ours shares with its parent: short messages, complete before the
 * child exits. A reader that is slow is waited for, one that is gone is not.
 */
'use strict';
const fs = require('fs');
const { sleep } = require('./connection.cjs');

function writeAll(fd, bytes) {
  for (let at = 0; at < bytes.length;) {
    try {
      at += fs.writeSync(fd, bytes, at);
    } catch (error) {
      if (error.code !== 'EAGAIN') return;
      sleep(1);
    }
  }
}

module.exports = { writeAll };
