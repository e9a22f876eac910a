"""One frame of `curserve top`: facts and a state drawn for a width and a height.

In: what feed.py knows, what keys have chosen, the terminal's size. Out: lines, as many as fit and never more. The
sections share the height: what one does not need the others get. From 140 columns on, lists stand side by side.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence

from rich.text import Text

from curserve.display import duration, size
from curserve.top import figures
from curserve.top.feed import Facts
from curserve.top.figures import Figures, Row
from curserve.top.question import short
from curserve.top.state import State
from curserve.top.table import Column, beside, fit, one_line, table
from curserve.top.vllm import Load

WIDE = 140
_SECTION_LINES = 3  # a heading and two rows, at least
_KEYS = "q quit   s sort   j/k ↑/↓ select   Enter look into   Esc back   ? help"
_HELP = (
    "q, Ctrl-C      quit",
    "s              sort by activity, time, size, name (all lists)",
    "j k ↓ ↑        select a workspace; g G: the first, the last",
    "Enter          look into it; Esc: back",
    "",
    "latency        of the last seconds, served searches; p50 <256 µs: half took less than that",
    "plan, barrier  understanding the arguments (0 when asked before); taking in what changed",
    "heat           how often lately: halved every 30 s; queries, files and clients are gathered only",
    "               while somebody looks",
    "saved          runs of ripgrep that were not needed. Times are measured: while you look, a sample of",
    "               the searches is run both ways, spawn to exit (a twentieth of the time at most)",
    "declined       handed to the real ripgrep; curserve status --help lists more",
)


def draw(facts: Facts, state: State, width: int, height: int) -> list[Text]:
    """The lines; at most height, each width cells wide."""
    if state.help:
        body = [Text(), *(Text("  " + line) for line in _HELP)]
        return _page(_title(facts, state, width), body, width, height)
    if facts.figures is None:
        return _page(
            _title(facts, state, width),
            [Text(), Text("  waiting for the daemon" if not facts.gone else "")],
            width,
            height,
        )
    inside = next((row for row in facts.figures.workspaces if row["root"] == state.inside), None)
    body = _inside(facts.figures, inside, state, width, height - 2) if inside else _all(facts, state, width, height - 2)
    return _page(_title(facts, state, width), body, width, height)


def listed(found: Figures | None, sort: str) -> list[Row]:
    """The workspaces in the order in which they are listed."""
    return figures.ordered(found.workspaces, sort, figures.WORKSPACE_KEYS) if found else []


def _page(title: Text, body: Sequence[Text], width: int, height: int) -> list[Text]:
    lines = [title, *body][: max(height - 1, 1)]
    lines += [Text() for _ in range(height - 1 - len(lines))]
    lines.append(Text(_KEYS, "dim"))
    return [fit(line, width) for line in lines[:height]]


def _title(facts: Facts, state: State, width: int) -> Text:
    if facts.gone:
        since = duration(time.monotonic() - facts.gone_since_s)
        return fit(Text(f"{one_line(facts.gone)} ({since}; figures are old)", "bold white on red"), width)
    if facts.figures is None:
        return Text("curserve top", "bold")
    now = facts.figures.now
    title = Text(f"curserve {now['version']}", "bold")
    title.append(f"  pid {now['pid']}, up {duration(now['uptime_s'])}, {_workspaces_held(now)}", "not bold")
    right = Text(f"by {state.sort}", "dim")
    return fit(title, width - right.cell_len - 1).append(" ").append_text(right)


def _workspaces_held(now: Row) -> str:
    number = len(now["workspaces"])
    return "1 workspace" if number == 1 else f"{number} workspaces"


# --- all of it --------------------------------------------------------------------------------------------------------
def _all(facts: Facts, state: State, width: int, height: int) -> list[Text]:
    found = facts.figures
    assert found is not None
    lines = [*_summary(facts, found, width)]
    rows = listed(found, state.sort)
    roots = [row["root"] for row in rows]
    cursor = roots.index(state.selected) if state.selected in roots else 0
    census = found.now["census"]
    clients = figures.ordered(figures.clients_together(census["clients"]), state.sort, figures.CLIENT_KEYS)
    queries = figures.ordered(census["queries"], state.sort, figures.QUERY_KEYS)
    files = figures.ordered(census["files"], state.sort, figures.FILE_KEYS)
    declined = [{"reason": reason, "count": count, "per_s": rate} for reason, count, rate in found.declined]
    left = height - len(lines)
    if width >= WIDE:
        third = (width - 4) // 3
        beside_rows = max(len(clients), len(declined), len(files))
        shares = _shared(left, [len(rows), len(queries), beside_rows])
        lines += table(_workspace_columns(width), rows, width, shares[0], cursor if rows else None)
        lines += table(_query_columns(width), queries, width, shares[1])
        lines += beside(
            [
                (table(_client_columns(), clients, third, shares[2]), third),
                (table(_declined_columns(), declined, third, shares[2]), third),
                (table(_file_columns(), files, width - 4 - 2 * third, shares[2]), width - 4 - 2 * third),
            ]
        )
        return lines
    half = (width - 2) // 2
    shares = _shared(left, [len(rows), max(len(clients), len(declined)), len(queries), len(files)])
    lines += table(_workspace_columns(width), rows, width, shares[0], cursor if rows else None)
    lines += beside(
        [
            (table(_client_columns(), clients, half, shares[1]), half),
            (table(_declined_columns(), declined, width - 2 - half, shares[1]), width - 2 - half),
        ]
    )
    lines += table(_query_columns(width), queries, width, shares[2])
    lines += table(_file_columns(), files, width, shares[3])
    return lines


def _shared(lines: int, rows: Sequence[int]) -> list[int]:
    """How many lines each section gets: its heading and its rows; who needs less leaves the rest to those that follow
    and those before. Sections that find no room for a row get nothing, the last ones first."""
    count = min(len(rows), max(1, lines // 2))
    wants = [1 + max(row, 1) if at < count else 0 for at, row in enumerate(rows)]
    given = [min(want, _SECTION_LINES if lines >= _SECTION_LINES * count else 2) for want in wants]
    left = lines - sum(given)
    while left > 0 and any(got < want for got, want in zip(given, wants, strict=True)):
        for at, want in enumerate(wants):
            if left > 0 and given[at] < want:
                given[at] += 1
                left -= 1
    return given


def _summary(facts: Facts, found: Figures, width: int) -> list[Text]:
    now = found.now
    requests, queue = now["requests"], now["queue"]
    total = requests["served"] + requests["declined"]
    first = Text.assemble(
        "served ", (f"{found.served_per_s:,.1f}/s", "bold green"), "  declined ",
        (f"{found.declined_per_s:,.1f}/s", "bold yellow" if found.declined_per_s else ""),
        f"  in all {requests['served']:,} + {requests['declined']:,}",
        f" ({100 * requests['served'] / total:.1f} % served)" if total else "",
    )  # fmt: skip
    if any(queue[name] for name in ("waiting", "heavy", "stalled")):
        first.append(f"  waiting {queue['waiting']}, heavy {queue['heavy']}, stalled {queue['stalled']}")
    latency = _latency(found)
    facts_block = _memory(now)
    left = max(line.cell_len for line in latency)
    lines = [first, *beside([(latency, left), (facts_block, max(width - left - 4, 0))])]
    lines.append(_saved(figures.saved(now)))
    lines.append(_fresh(now))
    if facts.vllm_url is not None:
        lines.append(_vllm(facts.vllm_url, facts.vllm))
    return [fit(line, width) for line in lines]


def _latency(found: Figures) -> list[Text]:
    span = f"{found.interval_s:.0f} s" if found.live else "all"
    lines = [Text(f"{'last ' + span if found.live else 'latency':<8}")]
    for stage in figures.STAGES:
        lines[0].append(f"{stage:>9}", "bold")
    for place, name in enumerate(("p50", "p99")):
        line = Text(f"{name:<8}")
        for stage in figures.STAGES:
            line.append(f"{time_text(found.latency_us[stage][place]):>9}")
        lines.append(line)
    return lines


def _memory(now: Row) -> list[Text]:
    memory, store, watches = now["memory"], now["store"], now["watches"]
    limit = watches["limit"]
    nearly = limit is not None and watches["used"] > 0.8 * limit
    used = Text(f"watches {watches['used']:,}", "bold red" if nearly else "")
    return [
        Text(f"memory {size(memory['resident_bytes'])} of {size(memory['ceiling_bytes'])}"),
        Text(f"text {size(store['text_bytes'])}  index {size(store['index_bytes'])}"),
        used.append(f" of {limit:,}" if limit is not None else ""),
    ]


def _saved(saved: Row) -> Text:
    line = Text.assemble("saved    ", (f"{saved['runs']:,}", "bold green"), " runs of ripgrep; time: ")
    if saved["seconds"] is None:
        return line.append("not measured" if saved["samples"] == 0 else "not measured in what is loaded now", "dim")
    line.append(f"{'≈' if saved['seconds'] >= 0 else ''}{long_time(saved['seconds'])}", "bold green")
    return line.append(f" (rg {saved['rg_ms']:.1f}, here {saved['curserve_ms']:.1f} ms; {saved['samples']} measured)")


def _fresh(now: Row) -> Text:
    rows, shadow = now["workspaces"], now["shadow"]
    overflows = sum(row["overflows"] for row in rows)
    line = Text.assemble(
        f"fresh    {sum(row['dirty'] for row in rows):,} dirty paths, ",
        (f"{overflows:,} overflows", "bold yellow" if overflows else ""),
        "; shadow checks: ",
    )
    if shadow["share"] == 0 and not shadow["compared"]:
        return line.append("off", "dim")
    bad = shadow["differences"]
    line.append(f"{shadow['compared']:,}, ")
    return line.append(f"{bad:,} differ", "bold red" if bad else "green")


def _vllm(url: str, load: Load | str | None) -> Text:
    if isinstance(load, Load):
        line = Text.assemble(
            "vLLM     running ", (str(load.running), "bold"), ", waiting ",
            (str(load.waiting), "bold yellow" if load.waiting else "bold"), "  ",
        )  # fmt: skip
        if load.generated_per_s is None or load.prompt_per_s is None:
            return line.append("tokens/s: measuring", "dim")
        return line.append(f"{load.generated_per_s:,.0f} tokens/s out, {load.prompt_per_s:,.0f} in")
    return Text(one_line(f"vLLM     {load or 'asking'}: {url}"), "yellow" if load else "dim")


# --- one workspace ----------------------------------------------------------------------------------------------------
def _inside(found: Figures, row: Row, state: State, width: int, height: int) -> list[Text]:
    root = row["root"]
    census = found.now["census"]
    facts = [
        ("state", row["state"] + (f": {row['why']}" if row["why"] else "")),
        ("searches", f"{row['per_s']:,.1f}/s, {row['requests']:,} in all, {row['served']:,} served"),
        ("files", f"{row['files']:,}, {row['files_held']:,} held, {row['known_files']:,} vouched for by git's index"),
        ("text", f"{size(row['text_bytes'])}, index {size(row['index_bytes'])}"),
        ("loaded", _loaded(row)),
        ("memory", f"{size(row['memory_bytes'])}; {size(row['shared_bytes'])} of text and index shared with others"),
        ("changes", f"generation {row['generation']:,}, {row['reads']:,} reads of files"),
        ("fresh", ", ".join(f"{row[key]:,} {key}" for key in ("watches", "dirty", "unsettled", "overflows"))),
        ("measured", _measured(root, found.now["measured"])),
    ]
    lines = [fit(Text(one_line(root), "bold"), width, keep_end=True)]
    lines += [fit(Text(f"  {name:<10}{one_line(text)}"), width) for name, text in facts]
    here = {
        name: [entry for entry in census[name] if entry["root"] == root] for name in ("queries", "clients", "files")
    }
    queries = figures.ordered(here["queries"], state.sort, figures.QUERY_KEYS)
    clients = figures.ordered(here["clients"], state.sort, figures.CLIENT_KEYS)
    files = figures.ordered(here["files"], state.sort, figures.FILE_KEYS)
    shares = _shared(height - len(lines), [len(queries), len(files), len(clients)])
    lines += table(_query_columns(width), queries, width, shares[0])
    lines += table(_file_columns(rooted=False), files, width, shares[1])
    lines += table(_process_columns(), clients, width, shares[2])
    return lines


def _loaded(row: Row) -> str:
    if row["served_after_s"] is None:
        return "not yet"
    indexed_s = row["indexed_after_s"]
    index = "its index is being made" if indexed_s is None else f"with its index in {indexed_s:.2f} s"
    return f"in {row['served_after_s']:.2f} s, {index}"


def _measured(root: str, measured: Sequence[Row]) -> str:
    row = next((row for row in measured if row["root"] == root and row["samples"]), None)
    if row is None:
        return "nothing yet"
    rg_ms, own_ms = (1000 * row[side] / row["samples"] for side in ("rg_s", "curserve_s"))
    return f"{row['samples']} searches both ways: ripgrep {rg_ms:.1f} ms, here {own_ms:.1f} ms in the mean"


# --- columns ----------------------------------------------------------------------------------------------------------
def _workspace_columns(width: int) -> list[Column]:
    columns = [
        Column("workspace", lambda row: row["root"], keep_end=True),
        Column("state", lambda row: row["state"], 8),
        Column("/s", lambda row: count(row["per_s"], 1), 5, right=True),
        Column("files", lambda row: count(row["files"]), 5, right=True),
        Column("text", lambda row: short_size(row["text_bytes"]), 5, right=True),
        Column("index", lambda row: short_size(row["index_bytes"]), 5, right=True),
        Column("memory", lambda row: short_size(row["memory_bytes"]), 6, right=True),
        Column("shared", lambda row: short_size(row["shared_bytes"]), 6, right=True),
        Column("gen", lambda row: count(row["generation"]), 5, right=True),
    ]
    if width >= 100:
        columns += [
            Column("dirty", lambda row: count(row["dirty"]), 5, right=True),
            Column("watches", lambda row: count(row["watches"]), 7, right=True),
            Column("searches", lambda row: count(row["requests"]), 8, right=True),
        ]
    return columns


def _query_columns(width: int) -> list[Column]:
    columns = [
        Column("query", lambda row: short(tuple(row["argv"]), row["cwd"])[0], share=2),
        Column("where", lambda row: short(tuple(row["argv"]), row["cwd"])[1], share=2, keep_end=True),
    ]
    if width >= WIDE:
        columns.append(Column("arguments", lambda row: shlex.join(row["argv"]), share=3))
    columns += [
        Column("heat", lambda row: f"{row['heat']:,.1f}", 6, right=True),
        Column("mean", lambda row: time_text(row["us_sum"] / row["served"], "") if row["served"] else "decl.", 7, True),
    ]
    return columns


def _file_columns(rooted: bool = True) -> list[Column]:
    return [
        Column("file", lambda row: f"{row['root']}/{row['path']}" if rooted else row["path"], keep_end=True),
        Column("answers", lambda row: count(row["answers"]), 7, right=True),
    ]


def _client_columns() -> list[Column]:
    return [
        Column("agent", lambda row: f"{row['agent']} ×{row['pids']}"),
        Column("user", lambda row: row["user"], 8),
        Column("served", lambda row: count(row["served"]), 6, right=True),
        Column("decl.", lambda row: count(row["declined"]), 5, right=True),
    ]


def _process_columns() -> list[Column]:
    return [
        Column("agent", lambda row: row["agent"]),
        Column("user", lambda row: row["user"], 12),
        Column("pid", lambda row: str(row["pid"] or "–"), 9, right=True),
        Column("served", lambda row: count(row["served"]), 7, right=True),
        Column("declined", lambda row: count(row["declined"]), 8, right=True),
    ]


def _declined_columns() -> list[Column]:
    return [
        Column("declined", lambda row: row["reason"]),
        Column("/s", lambda row: f"{row['per_s']:,.1f}", 6, right=True),
        Column("in all", lambda row: count(row["count"]), 6, right=True),
    ]


# --- numbers ----------------------------------------------------------------------------------------------------------
def count(number: float, digits: int = 0) -> str:
    """At most five characters: "9,999", "12.3k", "123k", "1.2M"; digits: decimals of small ones."""
    if number < 10_000:
        return f"{number:,.{digits if number < 1000 else 0}f}"
    return _with_unit(number, 1000)


def short_size(number: float) -> str:
    """Bytes in at most five characters: "999", "1.2K", "345M"; 1K is 1024."""
    return f"{number:.0f}" if number < 1000 else _with_unit(number, 1024)


def _with_unit(number: float, step: int) -> str:
    units = iter("kMGT" if step == 1000 else "KMGT")
    unit = ""
    while number >= 999.5:
        number, unit = number / step, next(units)
    return f"{number:.1f}{unit}" if number < 99.95 else f"{number:.0f}{unit}"


def time_text(us: float | None, sign: str = "<") -> str:
    """Like "<64 µs", "<4.1 ms", "<1.1 s"; "–" for none."""
    if us is None:
        return "–"
    if us < 1000:
        return f"{sign}{us:.0f} µs"
    if us < 100_000:
        return f"{sign}{us / 1000:.1f} ms"
    return f"{sign}{us / 1000:.0f} ms" if us < 1_000_000 else f"{sign}{us / 1e6:.1f} s"


def long_time(seconds: float) -> str:
    """Like "120 ms", "8.1 s", "3 min"; negative ones, too."""
    sign, seconds = ("-" if seconds < 0 else ""), abs(seconds)
    if seconds < 1:
        return f"{sign}{1000 * seconds:.0f} ms"
    return f"{sign}{seconds:.1f} s" if seconds < 120 else sign + duration(seconds)
