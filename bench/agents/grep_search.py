"""One grep_search of unmodified qwen 0.24.3, as its model sees it: with its vendored rg, and with curserve.

In: flask and Django as released. Out: a table (with curserve also what the hook itself measured of each search), and
the raw numbers as JSON (argument: the file). Each session makes 25 searches and 25 reads of a small file in turn; a
call's time runs from the end of the model's answer to the agent's next request. What is told is the median search less
the median read: the tool without the agent around it. The number of matches stands beside each time, so that a fast
wrong answer would show. On a busy machine the agent's own time drowns everything: see `load` in the file.

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
WORDS = {"flask": "iter_blueprints", "django": "to_locale"}
"""Words with few matches: what the agent does with many is not what is measured."""
VERSION = "0.24.3"


def session(folder: Path, word: str, box: Box | None, work: Path) -> dict[str, Any]:
    """Milliseconds of each call, and the matches that the last search showed."""
    home, trace = work / "home", work / "trace"
    trace.unlink(missing_ok=True)
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir()
    runs_on = Path(node("22"))
    program = installed(f"@qwen-code/qwen-code@{VERSION}") / "@qwen-code" / "qwen-code" / "cli-entry.js"
    env = {"PATH": f"{runs_on.parent}:/usr/local/bin:/usr/bin:/bin", "HOME": str(home), "TERM": "dumb"}
    if box is not None:
        served = environment.served(env, paths.shim_dir(), paths.preload_library(), paths.node_hook())
        env = agents.environment(agents.by_name("qwen"), served, str(paths.shim_dir()))
        env |= {"CURSERVE_SOCKET": str(box.socket), "CURSERVE_TRACE": str(trace)}
    readme = next(path for path in (folder / "README.md", folder / "README.rst") if path.exists())
    read = Call("read_file", {"file_path": str(readme)})
    script = [[call] for _ in range(CALLS) for call in (Call("grep_search", {"pattern": word}), read)]
    with Endpoint(script) as endpoint:
        env |= {"OPENAI_API_KEY": "none", "OPENAI_BASE_URL": f"{endpoint.url}/v1", "OPENAI_MODEL": "scripted"}
        limit = ["--max-session-turns", str(3 * CALLS)]
        subprocess.run(
            [runs_on, program, "-p", "go", "--yolo", *limit], cwd=folder, env=env, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False, timeout=600,
        )  # fmt: skip
        turns, results = endpoint.turns, endpoint.results()
    spans = [(then[0] - now[1]) * 1000 for now, then in zip(turns, turns[1:], strict=False)]
    found = re.search(r"\d+", results[0] if results else "")
    searches = [json.loads(line) for line in trace.read_text().splitlines()] if trace.exists() else []
    return {
        "matches": int(found[0]) if found else None,
        "grep_ms": [round(span, 2) for span in spans[0::2]],
        "read_ms": [round(span, 2) for span in spans[1::2]],
        "search_ms": [search["us"]["total"] / 1000 for search in searches if "--json" in search["argv"]],
        "declined": sum(not search["served"] for search in searches),
    }


def main() -> None:
    rows = []
    with tempfile.TemporaryDirectory(prefix="cs-", dir="/tmp") as made:
        work = Path(made)
        (work / "box").mkdir()
        with Box(work / "box") as box:
            for name, word in WORDS.items():
                folder = corpus(name)
                box.attach(folder)
                for side, served in (("vendored rg", None), ("curserve", box)):
                    seen = session(folder, word, served, work)
                    grep, read = statistics.median(seen["grep_ms"]), statistics.median(seen["read_ms"])
                    rows.append({"corpus": name, "word": word, "side": side, "net_ms": grep - read, **seen})
                    calls = f"{len(seen['grep_ms'])} + {len(seen['read_ms'])}"
                    own = f", hook {statistics.median(seen['search_ms']):.1f} ms" if seen["search_ms"] else ""
                    print(
                        f"{name:<8}{word:<16}{side:<13}{seen['matches']} matches, {calls} calls: grep_search "
                        f"{grep:.1f} ms, read_file {read:.1f} ms, net {grep - read:.1f} ms{own}",
                        flush=True,
                    )
    if len(sys.argv) > 1:
        load = [round(value, 1) for value in os.getloadavg()]
        machine = {"cpus": os.cpu_count(), "load": load, "kernel": os.uname().release, "qwen": VERSION}
        Path(sys.argv[1]).write_text(json.dumps({**machine, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
