"""What people see of the daemon: tables and a progress bar.

In: the control socket's answers. Out: lines on stdout; programs use --json. `curserve top`, which fills a whole screen,
is a package of its own (top/).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from curserve.doctor import Finding

_MOST_REASONS = 6
_STEERING = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if code != ord("\n")}


def status(facts: dict[str, Any]) -> None:
    """The daemon's state in some lines, and its workspaces. What is nothing to worry about is left out; programs, and
    people who want it all, use --json."""
    console = Console(highlight=False)
    up = duration(facts["uptime_s"])
    console.print(f"curserve {facts['version']} is running, pid {facts['pid']}, for {up}")
    table = Table(show_header=False, box=None, pad_edge=False)
    for name, text in _facts(facts):
        table.add_row(name, Text(printable(text), overflow="fold"))
    console.print(table)
    if facts["workspaces"]:
        workspaces(facts["workspaces"])


def _facts(facts: dict[str, Any]) -> Iterator[tuple[str, str]]:
    requests, queue, shadow = facts["requests"], facts["queue"], facts["shadow"]
    store, memory, watches = facts["store"], facts["memory"], facts["watches"]
    yield "searches", f"{requests['served']:,} served, {requests['declined']:,} declined (the real rg ran)"
    if requests["declined"]:
        often = sorted(requests["declined_by_reason"].items(), key=lambda entry: (-entry[1], entry[0]))
        told = ", ".join(f"{reason} {count:,}" for reason, count in often[:_MOST_REASONS])
        yield "declined", told + (", …" if len(often) > _MOST_REASONS else "")
    total = requests["latency_us"]["total"]
    if total["p50"] is not None:
        yield "latency", f"half within {total['p50'] / 1000:.1f} ms, 99 % within {total['p99'] / 1000:.1f} ms"
    if any(queue.values()):
        now = ", ".join(f"{queue[name]} {name}" for name in ("waiting", "heavy", "silent", "stalled"))
        since = ", ".join(f"{queue[name]:,} {name}" for name in ("waited", "expired", "overflowed"))
        yield "queue", f"now {now}; since the start {since}"
    yield "memory", f"{size(memory['resident_bytes'])} of {size(memory['ceiling_bytes'])}" + (
        f"; {memory['evicted']:,} workspaces gave way" if memory["evicted"] else ""
    )
    yield "text", f"{size(store['text_bytes'])}, each content once; index {size(store['index_bytes'])}"
    limit = f" of {watches['limit']:,}" if watches["limit"] is not None else ""
    yield "watches", f"{watches['used']:,}{limit}"
    crash = facts["crash"]
    if crash["time_s"] is not None:
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(crash["time_s"]))
        yield "last crash", f"{when}, {crash['signal']}, {crash['searches']} searches under way"
    if shadow["share"] or shadow["compared"]:
        yield "shadow", f"{shadow['compared']:,} answers compared with ripgrep's, {shadow['differences']:,} differed"
        if shadow["last_difference"]:
            yield "", shadow["last_difference"]


def workspaces(found: list[dict[str, Any]]) -> None:
    """One row per workspace."""
    console = Console(highlight=False)
    if not found:
        console.print("nothing is loaded; load a folder with: curserve attach DIR")
        return
    table = Table(box=None, pad_edge=False)
    for title in ("root", "state"):
        table.add_column(title, overflow="fold")
    for title in ("files", "text"):
        table.add_column(title, justify="right")
    table.add_column("reason", overflow="fold")
    for row in found:
        table.add_row(
            Text(printable(str(row.get("root", "")))),
            Text(str(row.get("state", ""))),
            Text(f"{row.get('files', 0):,}"),
            Text(size(row.get("text_bytes", 0))),
            Text(printable(str(row.get("reason") or row.get("why") or ""))),
        )
    console.print(table)


def findings(found: Iterable[Finding]) -> list[Finding]:
    """One line per finding of the doctor as it comes, and a last word; all of them."""
    console = Console(highlight=False)
    every = []
    for finding in found:
        every.append(finding)
        colour = "green" if finding.good else "red"
        answer = "" if finding.equal is None else "as the real rg" if finding.equal else "NOT as the real rg"
        line = Text(f"{finding.subject:<10}{finding.check:<20}")
        line.append(f"{finding.verdict:<10}", colour if finding.verdict != "skipped" else "dim")
        line.append(printable("; ".join(word for word in (answer, finding.detail) if word)))
        console.print(line, soft_wrap=True)
    bad = sum(not finding.good for finding in every)
    console.print("everything is as it should be" if bad == 0 else f"{bad} of {len(every)} checks need attention")
    return every


def attach(root: str, answers: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Show a bar while the answers come (nothing where stderr is no terminal); the last one."""
    console = Console(stderr=True, highlight=False)
    last: dict[str, Any] = {}
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(printable(root), total=None)
        for last in answers:
            bar.update(task, completed=last.get("files_done") or 0, total=last.get("files_total"))
    return last


@contextmanager
def steps(what: str, count: int) -> Iterator[Callable[[int], None]]:
    """A bar on stderr, where that is a terminal; call what it gives with the number of the step that begins."""
    console = Console(stderr=True, highlight=False)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=count)
        yield lambda number: bar.update(task, completed=number)


def sides(facts: dict[str, Any]) -> None:
    """Two programs' times for one search, as sidebyside.Sides.facts() has them."""
    console = Console(highlight=False)
    table = Table(box=None, pad_edge=False)
    for title in ("", "median", "fastest", "lines"):
        table.add_column(title, justify="right" if title else "left")
    for name in ("ripgrep", "curserve"):
        row = facts[name]
        table.add_row(name, f"{row['median_ms']:.1f} ms", f"{row['fastest_ms']:.1f} ms", f"{row['lines']:,}")
    console.print(table)
    times = facts["ripgrep"]["median_ms"] / facts["curserve"]["median_ms"]
    same = "the same answer" if facts["equal"] else f"NOT the same answer: {printable(facts['difference'])}"
    why = f" (declined: {', '.join(facts['declined'])})" if facts["declined"] else ""
    console.print(f"{facts['served']} of {facts['runs']} served from memory{why}; {times:.1f} times as fast; {same}")


def compared(facts: dict[str, Any]) -> None:
    """What generated searches came to, as `curserve verify --json` has them."""
    console = Console(highlight=False, soft_wrap=True)
    for difference in facts["differences"]:
        console.print(Text(printable(difference)))
    count = len(facts["differences"])
    same = "no difference" if count == 0 else f"{count:,} differ"
    stopped = "stopped: " if facts["stopped"] else ""
    over = f", {facts['passed_over']:,} passed over" if facts["passed_over"] else ""
    console.print(Text(printable(f"{stopped}{facts['cases']:,} searches of {facts['root']} compared{over}: {same}")))
    share = f"{facts['share_served']:.1%} served from memory, {facts['errors']:,} errors left out"
    console.print(f"{share}; {facts['printed']:,} printed something")
    if facts["declined"]:
        reasons = ", ".join(f"{reason} {number:,}" for reason, number in facts["declined"].items())
        console.print(Text(f"declined: {printable(reasons)}"))


def duration(seconds: float) -> str:
    """Like "3 s", "12 min", "5 h 3 min", "9 d 2 h"."""
    minutes, hours = int(seconds // 60), int(seconds // 3600)
    if seconds < 120:
        return f"{int(seconds)} s"
    if minutes < 120:
        return f"{minutes} min"
    if hours < 48:
        return f"{hours} h {minutes % 60} min"
    return f"{hours // 24} d {hours % 24} h"


def size(count: float) -> str:
    """Bytes in a unit that leaves at most four digits: "12 KB" is 12 * 1024."""
    for unit in ("B", "KB", "MB", "GB"):
        if count < 10000 or unit == "GB":
            return f"{count:.0f} {unit}"
        count /= 1024
    raise AssertionError("unreachable")


def printable(text: str) -> str:
    """Text that any terminal takes for text: bytes that are no UTF-8, and what would steer the terminal, as escapes."""
    return text.encode("utf-8", "backslashreplace").decode().translate(_STEERING)
