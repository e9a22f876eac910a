"""Unmodified qwen-code, two versions: every search of a session is answered by the daemon, as it would be without."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from agent_session import Session, Stage, compare, make_project
from daemon_place import Place
from llm_endpoint import Call, Endpoint
from npm_packages import installed, node
from oracle import Box

VERSIONS = ["0.24.3", "0.24.4"]
"""The last with an executable vendored rg, and the newest, whose vendored one is not executable."""
SHELL = "rg -n needle | cat; rg --files | sort; rg -c needle src/ | sort; grep -rn needle src"


def stage(version: str, folder: Path, box: Box) -> Stage:
    program = installed(f"@qwen-code/qwen-code@{version}") / "@qwen-code" / "qwen-code" / "cli-entry.js"
    runs_on = Path(node("22"))
    return Stage(
        folder, box, "qwen",
        command=lambda url: [runs_on, program, "-p", "go", "--yolo"],
        env=lambda url: {
            "OPENAI_API_KEY": "none", "OPENAI_BASE_URL": f"{url}/v1", "OPENAI_MODEL": "scripted",
        },
        path=[runs_on.parent],
    )  # fmt: skip


def script(project: Path) -> list[list[Call]]:
    a, old = str(project / "src" / "a.py"), "def needle():\n    return 1\n\n" * 3
    return [
        [Call("grep_search", {"pattern": "needle"})],
        [Call("glob", {"pattern": "**/*.py"})],
        [Call("read_file", {"file_path": a})],
        [Call("edit", {"file_path": a, "old_string": old, "new_string": "# the needle moved\nneedle = 2\n"})],
        [Call("grep_search", {"pattern": "needle"})],
        [Call("grep_search", {"pattern": "NEEDLE", "path": "src", "glob": "*.py"})],
        [Call("grep_search", {"pattern": "nothing of the kind"})],
        [Call("grep_search", {"pattern": "("})],
        [Call("run_shell_command", {"command": SHELL, "description": "search", "is_background": False})],
    ]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("version", VERSIONS)
def test_a_session(version: str, tmp_path: Path, box: Box) -> None:
    here = stage(version, tmp_path, box)
    calls = script(here.project)
    real, ours = here.run(calls, curserve=False), here.run(calls, curserve=True)
    assert real.code == ours.code == 0, (real.err[-2000:], ours.err[-2000:])
    assert len(real.results) == len(calls), real.out[-2000:]
    compare(real, ours)
    shows_the_edit(ours)
    assert {"grep_search", "glob", "read_file", "edit", "run_shell_command"} <= set(ours.tools)
    # Only what ripgrep itself refuses is left to it: the message is its own.
    assert set(ours.declined) <= {"regex_error"}, ours.searches
    searched = [search["argv"] for search in ours.searches if search["served"]]
    assert sum("--json" in argv for argv in searched) == 4
    assert ["-n", "needle"] in searched and ["--files"] in searched and ["-c", "needle", "src/"] in searched


def shows_the_edit(session: Session) -> None:
    assert "needle moved" not in session.results[0] and "needle moved" in session.results[4]
    assert "ignored.log" not in session.results[4]


def test_a_folder_and_a_prompt(tmp_path: Path) -> None:
    """`curserve DIR "PROMPT"`, only an endpoint's URL configured: the agent edits, its searches are served."""
    program = installed(f"@qwen-code/qwen-code@{VERSIONS[0]}") / ".bin"
    project = tmp_path / "project"
    project.mkdir()
    make_project(project)
    place = Place()
    try:
        with Endpoint(script(project)[:5]) as endpoint:
            folder = place.home / ".config" / "curserve"
            folder.mkdir(parents=True)
            (folder / "config.toml").write_text(f'[model]\nbase_url = "{endpoint.url}/v1"\n')
            assert place.run("attach", str(project)).returncode == 0
            trace = tmp_path / "trace"
            path = f"{program}:{Path(node('22')).parent}:/usr/bin:/bin"
            env = {"PATH": path, "CURSERVE_TRACE": str(trace)}
            done = place.run(str(project), "go", env=env, timeout_s=240)
            assert done.returncode == 0 and "done" in done.stdout, done.stderr
            assert "needle moved" in endpoint.results()[4]
            assert {body["model"] for path, body in endpoint.requests} == {"scripted"}
        searches = [json.loads(line) for line in trace.read_text().splitlines()]
        assert searches and all(search["served"] for search in searches)
    finally:
        place.close()
