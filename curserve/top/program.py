"""The loop of `curserve top`: a terminal taken over and given back, keys read, frames drawn when there is news.

In: the control socket, the configuration, a terminal. Out: frames, each in a single write (half a frame on the screen
is what flickers), on the alternate screen, which is given back however this ends. Without a terminal: one frame.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import select
import signal
import sys
import termios
import time
import tty
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.text import Text

from curserve.client import Client
from curserve.config import Config
from curserve.top import frame, state, vllm
from curserve.top.feed import Facts, Feed

_FRAME_BYTES = 1 << 20
_ONCE_HEIGHT = 60
"""A frame that is printed rather than shown; arbitrary, as it scrolls."""
_REDRAW_S = 1.0
"""How often a frame is drawn though nothing new came: it says for how long the daemon has been gone."""


def run(control: Path, config: Config, interval_s: float, measure: bool, json_once: bool, once: bool) -> int:
    """Show what the daemon does until the user has seen enough; the exit status. CurserveError where one frame is
    asked for and no daemon runs."""
    feed = Feed(control, interval_s, measure, vllm.address(config))
    if json_once or once or not os.isatty(0) or Console().is_dumb_terminal:  # a dumb one cannot be drawn on
        return _print_one(feed, control, interval_s, json_once)
    feed.start()
    with (
        _terminal() as screen,
        _wake_on_resize() as resized,
        Live(console=screen, screen=True, auto_refresh=False, redirect_stdout=False, redirect_stderr=False) as live,
    ):
        chosen = state.State()
        while not chosen.quit:
            facts = feed.latest()
            live.update(picture(facts, chosen, screen), refresh=True)
            ready, _, _ = select.select([0, feed.wake_r, resized], [], [], _REDRAW_S)
            for fd in (feed.wake_r, resized):
                if fd in ready:
                    os.read(fd, 4096)
            if 0 in ready:
                data = os.read(0, 1024)
                if not data:
                    break  # the terminal is gone
                roots = [row["root"] for row in frame.listed(facts.figures, chosen.sort)]
                for key in state.keys(data):
                    chosen = state.pressed(chosen, key, roots)
    return 0


def _print_one(feed: Feed, control: Path, interval_s: float, as_json: bool) -> int:
    Client(control).call("ping")  # no daemon: its error is the message
    server = vllm.Server(url) if (url := feed.latest().vllm_url) is not None else None
    for pause_s in (interval_s, 0.0):
        feed.look()
        if server is not None:
            feed.ask_vllm(server)
        time.sleep(pause_s)
    facts = feed.latest()
    if as_json and facts.figures is not None:
        load = facts.vllm
        asked = {"url": facts.vllm_url, "error": load} if isinstance(load, str) else None
        if isinstance(load, vllm.Load):
            asked = {"url": facts.vllm_url, "error": None, **load.__dict__}
        told = {key: value for key, value in facts.figures.as_dict().items() if key not in ("ok", "done")}
        print(json.dumps({**told, "vllm": asked}, indent=2, sort_keys=True))
        return 0
    printer = Console(highlight=False)
    lines = frame.draw(facts, state.State(), printer.width, _ONCE_HEIGHT)[:-1]
    while lines and not lines[-1].plain.strip():
        lines.pop()
    for line in lines:
        line.rstrip()
        printer.print(line, soft_wrap=True)
    return 0


def console(raw: io.RawIOBase) -> Console:
    """A console of which each frame leaves in one write to `raw`."""
    buffered = io.BufferedWriter(raw, _FRAME_BYTES)
    return Console(file=io.TextIOWrapper(buffered, "utf-8", "backslashreplace"), highlight=False)


def picture(facts: Facts, chosen: state.State, console: Console) -> Text:
    """The frame for a console, as it is now."""
    lines = frame.draw(facts, chosen, console.width, console.height)
    return Text("\n", no_wrap=True, end="").join(lines)


@contextlib.contextmanager
def _terminal() -> Iterator[Console]:
    """A console whose frames leave in one write, and keys that come one by one, unseen."""
    screen = console(io.FileIO(os.dup(1), "w"))
    before = termios.tcgetattr(0)
    # A signal must not leave a terminal without echo behind.
    old = signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        tty.setcbreak(0, termios.TCSANOW)
        quiet = termios.tcgetattr(0)
        quiet[6][termios.VSUSP] = b"\0"  # no Ctrl-Z: it would leave the alternate screen to the shell
        quiet[6][termios.VINTR] = b"\0"  # Ctrl-C is a key that quits: an exception may be raised where it is swallowed
        termios.tcsetattr(0, termios.TCSANOW, quiet)
        yield screen
    finally:
        screen.file.flush()
        termios.tcsetattr(0, termios.TCSANOW, before)
        signal.signal(signal.SIGTERM, old)


@contextlib.contextmanager
def _wake_on_resize() -> Iterator[int]:
    """A descriptor that has something to read after the terminal got another size."""
    read_end, write_end = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def resized(number: int, frame: object) -> None:
        with contextlib.suppress(BlockingIOError):
            os.write(write_end, b"!")

    old = signal.signal(signal.SIGWINCH, resized)
    try:
        yield read_end
    finally:
        signal.signal(signal.SIGWINCH, old)
        os.close(read_end)
        os.close(write_end)
