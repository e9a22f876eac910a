"""One grep_search of unmodified qwen 0.24.3, as its model sees it: with its vendored rg, and with curserve.

In: flask and Django as released, or those named. Out: a table (with curserve also what the hook itself measured of
each search, in one session more that writes a trace; the others are as in use), and the raw numbers as JSON (FILE,
whose rows for other corpora are kept). Each session makes 25 searches and 25 reads of a small file in turn; a call's
time runs from the end of the model's answer until the agent's next request is here. A session's figure is its median
search less its median read: the tool without the agent around it. (qwen reads the file once and then only looks
whether it has changed: the cheapest call it has.) Sessions differ by two milliseconds; so fifteen are made, and told
is their median, with the interval that holds it in 95 of 100 draws of as many sessions from these, and each session's
figure. Beside it stands the median over all searches of what each took more than the reads before and after it, which
the agent's slow moments and its growing history do not touch. Once with the same word in all searches, once with
words that nobody has searched for before. The number of matches stands beside each time, so that a fast wrong answer
would show. On a busy machine the agent's own time drowns everything: see `load` in the file.

    python bench/agents/grep_search.py [FILE [CORPUS…]]       (curserve installed; npm; needs the tests' folder)
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.append(str(ROOT / "tests"))

from conftest import corpus  # noqa: E402
from llm_endpoint import Call, Endpoint  # noqa: E402
from npm_packages import installed, node  # noqa: E402
from oracle import Box  # noqa: E402

from curserve import agents, environment, paths  # noqa: E402

CALLS = 25
SESSIONS = {"vendored rg": 5, "curserve": 15}
DRAWS = 2000
WORDS = {"flask": "iter_blueprints", "django": "to_locale"}
"""Words with few matches: what the agent does with many is not what is measured."""
VERSION = "0.24.3"


def rare_words(folder: Path) -> list[str]:
    """Names of functions, by the alphabet, that stand in Python one to four times: CALLS for each session."""
    wanted = CALLS * max(SESSIONS.values())
    text = b"\n".join(path.read_bytes() for path in sorted(folder.rglob("*.py")))
    names = sorted(set(re.findall(rb"def ([a-z_]{12,})\(", text)))
    found = [name.decode() for name in names if text.count(name) <= 4][:wanted]
    assert len(found) == wanted
    return found


def requests(box: Box | None) -> tuple[int, int]:
    """Served and declined so far."""
    numbers = box.control("status")["requests"] if box else {"served": 0, "declined": 0}
    return numbers["served"], numbers["declined"]


def session(folder: Path, words: list[str], box: Box | None, work: Path, *, traced: bool = False) -> dict[str, Any]:
    """Milliseconds of each call, and the matches that the searches showed. traced: what the hook measured too."""
    home, trace = work / "agent", work / "searches"
    trace.unlink(missing_ok=True)
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir()
    runs_on = Path(node("22"))
    program = installed(f"@qwen-code/qwen-code@{VERSION}") / "@qwen-code" / "qwen-code" / "cli-entry.js"
    env = {"PATH": f"{runs_on.parent}:/usr/local/bin:/usr/bin:/bin", "HOME": str(home), "TERM": "dumb"}
    if box is not None:
        served = environment.served(env, paths.shim_dir(), paths.preload_library(), paths.node_hook())
        env = agents.environment(agents.by_name("qwen"), served, str(paths.shim_dir()))
        env |= {"CURSERVE_SOCKET": str(box.socket)} | ({"CURSERVE_TRACE": str(trace)} if traced else {})
    readme = next(path for path in (folder / "README.md", folder / "README.rst") if path.exists())
    read = Call("read_file", {"file_path": str(readme)})
    script = [[call] for word in words for call in (Call("grep_search", {"pattern": word}), read)]
    before = requests(box)
    with Endpoint(script) as endpoint:
        env |= {"OPENAI_API_KEY": "none", "OPENAI_BASE_URL": f"{endpoint.url}/v1", "OPENAI_MODEL": "scripted"}
        limit = ["--max-session-turns", str(3 * CALLS)]
        subprocess.run(
            [runs_on, program, "-p", "go", "--yolo", *limit], cwd=folder, env=env, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False, timeout=600,
        )  # fmt: skip
        turns, results = endpoint.turns, endpoint.results()[0::2]
    spans = [(then[0] - now[1]) * 1000 for now, then in zip(turns, turns[1:], strict=False)]
    found = [re.search(r"Found (\d+) match", result) for result in results]
    searches = [json.loads(line) for line in trace.read_text().splitlines()] if trace.exists() else []
    grep, read_ms = spans[0::2], spans[1::2]
    return {
        "net_ms": round(statistics.median(grep) - statistics.median(read_ms), 2),
        "matches": sum(int(match[1]) for match in found if match),
        "grep_ms": [round(span, 2) for span in grep],
        "read_ms": [round(span, 2) for span in read_ms],
        "search_ms": [search["us"]["total"] / 1000 for search in searches if "--json" in search["argv"]],
        "served": requests(box)[0] - before[0],
        "declined": requests(box)[1] - before[1],
    }


def interval(nets: list[float]) -> list[float]:
    """Where the median of as many sessions lies, 95 times of 100."""
    draw = random.Random(0)
    medians = sorted(statistics.median(draw.choices(nets, k=len(nets))) for _ in range(DRAWS))
    return [medians[DRAWS // 40], medians[-DRAWS // 40]]


def beyond_its_neighbours(one: dict[str, Any]) -> list[float]:
    """Of each search but the first, which loads the tool: its time less the mean of the reads before and after it."""
    grep, read_ms = one["grep_ms"], one["read_ms"]
    return [grep[at] - (read_ms[at - 1] + read_ms[at]) / 2 for at in range(1, len(grep))]


def rows_of(name: str, box: Box, work: Path) -> list[dict[str, Any]]:
    """The four rows of one corpus, printed as they come."""
    rows = []
    folder = corpus(name)
    box.attach(folder)
    new = rare_words(folder)
    for what, words in ((WORDS[name], [WORDS[name]] * len(new)), ("new words", new)):
        sessions: dict[str, list[dict[str, Any]]] = {side: [] for side in SESSIONS}
        every = SESSIONS["curserve"] // SESSIONS["vendored rg"]
        for index in range(SESSIONS["curserve"]):
            asked = words[index * CALLS : (index + 1) * CALLS]
            # The first of these takes longer than the daemon needs for its index.
            if index % every == 0:
                sessions["vendored rg"].append(session(folder, asked, None, work))
            sessions["curserve"].append(session(folder, asked, box, work))
        hook = session(folder, words[:CALLS], box, work, traced=True)["search_ms"]
        for side, seen in sessions.items():
            nets = [one["net_ms"] for one in seen]
            paired = statistics.median(value for one in seen for value in beyond_its_neighbours(one))
            own = hook if side == "curserve" else []
            row = {"corpus": name, "searched": what, "side": side, "net_ms": statistics.median(nets)}
            row |= {"interval_ms": interval(nets), "paired_ms": round(paired, 2), "hook_ms": own}
            rows.append({**row, "sessions": seen})
            counted = {kind: sum(one[kind] for one in seen) for kind in ("served", "declined")}
            low, high = row["interval_ms"]
            print(
                f"{name:<8}{what:<17}{side:<13}{seen[-1]['matches']:>3} matches in "
                f"{len(seen[-1]['grep_ms'])} + {len(seen[-1]['read_ms'])} calls; net {row['net_ms']:.1f} ms "
                f"({low:.1f} to {high:.1f}; paired {paired:.1f}; sessions: {', '.join(f'{net:.1f}' for net in nets)})"
                + (f", hook {statistics.median(own):.1f} ms" if own else "")
                + f"; {counted['served']} served, {counted['declined']} declined",
                flush=True,
            )
    return rows


def main() -> None:
    file = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    names = sys.argv[2:] or list(WORDS)
    known = json.loads(file.read_text())["rows"] if file and file.exists() else []
    rows = [row for row in known if row["corpus"] not in names]
    with tempfile.TemporaryDirectory(prefix="cs-", dir="/tmp") as made, Box(Path(made)) as box:
        for name in names:
            rows += rows_of(name, box, Path(made))
    if file:
        load = [round(value, 1) for value in os.getloadavg()]
        machine = {"cpus": os.cpu_count(), "load": load, "kernel": os.uname().release, "qwen": VERSION}
        rows.sort(key=lambda row: list(WORDS).index(row["corpus"]))
        file.write_text(json.dumps({**machine, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
