"""One grep_search of unmodified qwen 0.24.3, as its model sees it: with its vendored rg, and with curserve.

In: flask and Django as released. Out: a table (with curserve also what the hook itself measured of each search, in one
session more that writes a trace; the others are as in use), and the raw numbers as JSON (argument: the file). Each
session makes 25 searches and 25 reads of a small file in turn; a call's time runs from the end of the model's answer to
the agent's next request. A session's figure is its median search less its median read: the tool without the agent
around it. What is told is the median of seven sessions, the two sides in turn, and each session's figure beside it:
they differ by two milliseconds. Once with the same word in all searches, once with 25 words that nobody has searched
for before. The number of matches stands beside each time, so that a fast wrong answer would show. On a busy machine
the agent's own time drowns everything: see `load` in the file.

    python bench/agents/grep_search.py [FILE]       (curserve installed; npm; needs the tests' folder)
"""

from __future__ import annotations

import json
import os
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
SESSIONS = 7
WORDS = {"flask": "iter_blueprints", "django": "to_locale"}
"""Words with few matches: what the agent does with many is not what is measured."""
VERSION = "0.24.3"


def rare_words(folder: Path) -> list[str]:
    """Names of functions, by the alphabet, that stand in Python one to four times: CALLS for each session."""
    text = b"\n".join(path.read_bytes() for path in sorted(folder.rglob("*.py")))
    names = sorted(set(re.findall(rb"def ([a-z_]{12,})\(", text)))
    found = [name.decode() for name in names if text.count(name) <= 4][: CALLS * SESSIONS]
    assert len(found) == CALLS * SESSIONS
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


def main() -> None:
    rows = []
    with tempfile.TemporaryDirectory(prefix="cs-", dir="/tmp") as made, Box(Path(made)) as box:
        work = Path(made)
        for name, word in WORDS.items():
            folder = corpus(name)
            box.attach(folder)
            new, same = rare_words(folder), [word] * CALLS * SESSIONS
            for what, words in ((word, same), ("new words", new)):
                sessions: dict[str, list[dict[str, Any]]] = {"vendored rg": [], "curserve": []}
                for start in range(0, CALLS * SESSIONS, CALLS):
                    # The first of these takes longer than the daemon needs for its index.
                    for side, served in (("vendored rg", None), ("curserve", box)):
                        sessions[side].append(session(folder, words[start : start + CALLS], served, work))
                hook = session(folder, words[:CALLS], box, work, traced=True)["search_ms"]
                for side, seen in sessions.items():
                    nets = [one["net_ms"] for one in seen]
                    own = hook if side == "curserve" else []
                    row = {"corpus": name, "searched": what, "side": side, "net_ms": statistics.median(nets)}
                    row["hook_ms"] = own
                    rows.append({**row, "sessions": seen})
                    counted = {kind: sum(one[kind] for one in seen) for kind in ("served", "declined")}
                    print(
                        f"{name:<8}{what:<17}{side:<13}{seen[-1]['matches']:>3} matches in "
                        f"{len(seen[-1]['grep_ms'])} + {len(seen[-1]['read_ms'])} calls; net {row['net_ms']:.1f} ms "
                        f"(sessions: {', '.join(f'{net:.1f}' for net in nets)})"
                        + (f", hook {statistics.median(own):.1f} ms" if own else "")
                        + f"; {counted['served']} served, {counted['declined']} declined",
                        flush=True,
                    )
    if len(sys.argv) > 1:
        load = [round(value, 1) for value in os.getloadavg()]
        machine = {"cpus": os.cpu_count(), "load": load, "kernel": os.uname().release, "qwen": VERSION}
        Path(sys.argv[1]).write_text(json.dumps({**machine, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
