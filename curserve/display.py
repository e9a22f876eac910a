"""What people see of the daemon: tables and a progress bar. The one importer of rich.

In: the control socket's answers. Out: lines on stdout. Unknown keys are shown as they are, so that a counter the daemon
gains needs no change here; programs use --json.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from curserve.doctor import Finding

_OWN_PLACE = ("running", "pid", "version", "uptime_s", "workspaces")


def status(facts: dict[str, Any]) -> None:
    """The daemon's state: a line about the process, its counters, its workspaces."""
    console = Console(highlight=False)
    up = duration(facts.get("uptime_s", 0.0))
    console.print(f"curserve {facts.get('version')} is running, pid {facts.get('pid')}, for {up}")
    table = Table(show_header=False, box=None, pad_edge=False)
    for key, value in facts.items():
        if key not in _OWN_PLACE:
            for name, text in _rows(key, value):
                table.add_row(Text(name), Text(text))
    if table.row_count:
        console.print(table)
    if facts.get("workspaces"):
        workspaces(facts["workspaces"])


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
            Text(_printable(str(row.get("root", "")))),
            Text(str(row.get("state", ""))),
            Text(f"{row.get('files', 0):,}"),
            Text(size(row.get("bytes", 0))),
            Text(str(row.get("reason") or "")),
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
        line.append(_printable("; ".join(word for word in (answer, finding.detail) if word)))
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
        task = bar.add_task(_printable(root), total=None)
        for last in answers:
            bar.update(task, completed=last.get("files_done") or 0, total=last.get("files_total"))
    return last


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


def _rows(key: str, value: Any) -> Iterator[tuple[str, str]]:
    """One row per fact; a table of facts gives one for each of its own. What is not known yet (None) has none."""
    if isinstance(value, dict):
        for name, inner in value.items():
            for row_name, text in _rows(name, inner):
                yield f"{_words(key)}: {row_name}" if ":" not in row_name else f"{_words(key)} {row_name}", text
    elif value is not None:
        yield _words(key), _value(key, value)


def _words(key: str) -> str:
    return key.removesuffix("_bytes").removesuffix("_s").replace("_", " ")


def _value(key: str, value: Any) -> str:
    if key.endswith("_bytes") and isinstance(value, (int, float)):
        return size(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return _printable(str(value))


def _printable(text: str) -> str:
    """Text that any stdout takes: bytes that are no UTF-8 as escapes."""
    return text.encode("utf-8", "backslashreplace").decode()
