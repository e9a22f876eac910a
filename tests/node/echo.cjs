// echo.cjs: a forked child that answers one message over IPC.
process.once('message', (message) => process.send(`${message} back`));
