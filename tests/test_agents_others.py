"""Unmodified opencode, claude-code, codex (without and in its sandbox) and gemini-cli: sessions with and without us."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from agent_session import Session, Stage, compare
from built_c import real_rg
from daemon_place import CURSERVE, Place
from llm_endpoint import Call
from npm_packages import installed, node
from oracle import Box

from curserve import agents, install
from curserve.config import Model

pytestmark = pytest.mark.timeout(600)
OLD, NEW = "def needle():\n    return 1\n\n" * 3, "# the needle moved\nneedle = 2\n"
SHELL = "rg -n needle | cat; rg --files | sort; rg -c needle src; grep -rn needle src"
TYPED = [["-n", "needle"], ["--files"], ["-c", "needle", "src"]]


def endpoint(row: str, url: str, path: str = "/v1") -> tuple[dict[str, str], list[str]]:
    agent = agents.by_name(row)
    assert agent is not None
    return agents.endpoint(agent, Model(base_url=url + path, model="scripted"), {})


def both(stage: Stage, calls: list[list[Call]]) -> Session:
    """The session with curserve, after it was held against the one without."""
    real, ours = stage.run(calls, curserve=False), stage.run(calls, curserve=True)
    assert real.code == ours.code == 0, (real.err[-2000:], ours.err[-2000:])
    assert len(real.results) == len(calls), (real.tools, real.out[-2000:], real.err[-2000:])
    compare(real, ours)
    return ours


def served(session: Session) -> list[list[str]]:
    return [search["argv"] for search in session.searches if search["served"]]


def test_opencode(tmp_path: Path, box: Box) -> None:
    program = installed("opencode-ai@1.18.33") / "opencode-ai" / "bin" / "opencode.exe"
    quiet = {"OPENCODE_DISABLE_MODELS_FETCH": "1", "OPENCODE_DISABLE_AUTOUPDATE": "1"}
    stage = Stage(
        tmp_path, box, "opencode", command=lambda url: [program, "run", "go"],
        env=lambda url: {**endpoint("opencode", url)[0], **quiet},
    )  # fmt: skip
    a = str(stage.project / "src" / "a.py")
    ours = both(stage, [
        [Call("grep", {"pattern": "needle"})],
        [Call("glob", {"pattern": "**/*.py"})],
        [Call("read", {"filePath": a})],
        [Call("edit", {"filePath": a, "oldString": OLD, "newString": NEW})],
        [Call("grep", {"pattern": "needle"})],
        [Call("grep", {"pattern": "nothing of the kind", "include": "*.py"})],
        [Call("bash", {"command": SHELL, "description": "search"})],
    ])  # fmt: skip
    assert "needle moved" in ours.results[4] and ours.declined == []
    assert sum("--json" in argv for argv in served(ours)) == 3 and all(argv in served(ours) for argv in TYPED)


def test_claude(tmp_path: Path, box: Box) -> None:
    program = installed("@anthropic-ai/claude-code@2.1.329") / "@anthropic-ai" / "claude-code" / "bin" / "claude.exe"
    quiet = {"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", "DISABLE_AUTOUPDATER": "1"}
    stage = Stage(
        tmp_path, box, "claude",
        command=lambda url: [program, "-p", "--allowedTools", "Bash,Grep,Glob,Read,Edit", "--", "go"],
        env=lambda url: {**endpoint("claude", url)[0], **quiet},
    )  # fmt: skip
    a = str(stage.project / "src" / "a.py")
    ours = both(stage, [
        [Call("Grep", {"pattern": "needle", "output_mode": "content"})],
        [Call("Glob", {"pattern": "**/*.py"})],
        [Call("Read", {"file_path": a})],
        [Call("Edit", {"file_path": a, "old_string": OLD, "new_string": NEW})],
        [Call("Grep", {"pattern": "needle", "output_mode": "content", "-n": True, "-C": 1})],
        [Call("Grep", {"pattern": "NEEDLE", "-i": True, "output_mode": "files_with_matches"})],
        [Call("Grep", {"pattern": "needle", "output_mode": "count"})],
        [Call("Bash", {"command": SHELL, "description": "search"})],
    ])  # fmt: skip
    assert "needle moved" in ours.results[4] and ours.declined == []
    assert sum("--no-follow" in argv for argv in served(ours)) == 4 and all(argv in served(ours) for argv in TYPED)


CODEX = [
    [Call("exec_command", {"cmd": SHELL})],
    [Call("exec_command", {"cmd": "sed -i s/needle/pin_needle/ src/a.py; rg -n needle src"})],
]


def codex(tmp_path: Path, box: Box, *words: str) -> Stage:
    program = installed("@openai/codex@0.169.0") / "@openai" / "codex" / "bin" / "codex.js"
    runs_on = Path(node("22"))
    start = [runs_on, program, "exec", "--skip-git-repo-check", *words]

    def write_profile(stage: Stage, url: str) -> None:
        # Its shells are login shells until it has a snapshot of one, and those may know no rg at all.
        (stage.home / ".profile").write_text(f"PATH='{real_rg().parent}':$PATH\n")

    return Stage(
        tmp_path, box, "codex", command=lambda url: [*start, *endpoint("codex", url)[1], "--", "go"],
        env=lambda url: {}, path=[runs_on.parent], prepare=write_profile,
    )  # fmt: skip


def test_codex(tmp_path: Path, box: Box) -> None:
    ours = both(codex(tmp_path, box, "--dangerously-bypass-approvals-and-sandbox"), CODEX)
    assert "pin_needle" in ours.results[1] and ours.declined == []
    assert all(argv in served(ours) for argv in [*TYPED, ["-n", "needle", "src"]])


def test_codex_in_its_sandbox(tmp_path: Path, box: Box) -> None:
    """No connection leaves the sandbox: the real rg runs."""
    stage = codex(tmp_path, box, "--sandbox", "workspace-write")
    ours = both(stage, CODEX)
    assert "pin_needle" in ours.results[1] and served(ours) == []
    assert set(ours.declined) <= {"sandbox"}
    counted = box.control("status")["requests"]["declined_by_reason"]
    assert counted.get("sandbox", 0) >= len(ours.declined)


def gemini(tmp_path: Path, box: Box, row: str) -> Stage:
    program = installed("@google/gemini-cli@0.61.0") / "@google" / "gemini-cli" / "bundle" / "gemini.js"
    runs_on = Path(node("22"))

    def choose_auth(stage: Stage, url: str) -> None:
        settings = {"security": {"auth": {"selectedType": "gemini-api-key"}}}
        (stage.home / ".gemini").mkdir()
        (stage.home / ".gemini" / "settings.json").write_text(json.dumps(settings))

    return Stage(
        tmp_path, box, row, command=lambda url: [runs_on, program, "-p", "go", "--yolo", "--skip-trust"],
        env=lambda url: endpoint("gemini", url, "")[0] | {"GEMINI_MODEL": "gemini-2.5-flash"},
        path=[runs_on.parent], prepare=choose_auth, rg_on_path=False,
    )  # fmt: skip


def gemini_calls(stage: Stage) -> list[list[Call]]:
    a = str(stage.project / "src" / "a.py")
    edit = {"file_path": a, "instruction": "move it", "old_string": OLD, "new_string": NEW}
    return [
        [Call("grep_search", {"pattern": "needle"})],
        [Call("glob", {"pattern": "**/*.py"})],
        [Call("read_file", {"file_path": a})],
        [Call("replace", edit)],
        [Call("grep_search", {"pattern": "needle"})],
        [Call("run_shell_command", {"command": SHELL, "description": "search"})],
    ]


LENT = {"real": f"cp '{real_rg()}' /usr/local/bin/rg", "ours": f"'{CURSERVE}' install --system >/dev/null"}
"""What stands in the system folder that gemini takes rg from."""


@pytest.mark.parametrize(("row", "lent"), [("gemini", "real"), ("shell", "real"), ("shell", "ours")])
def test_gemini(tmp_path: Path, box: Box, request: pytest.FixtureRequest, row: str, lent: str) -> None:
    """By `curserve run`, and in a shell where our folder is first on PATH. It takes rg from a system folder only; the
    test runs again with one that only it sees."""
    installed("@google/gemini-cli@0.61.0")
    if not os.environ.get("CURSERVE_TEST_NAMESPACE"):
        if os.geteuid() != 0:
            pytest.skip("only root can lend an rg in a system folder to a test")
        lend = f"mount -t tmpfs none /usr/local/bin && {LENT[lent]} && exec \"$@\""
        command = [sys.executable, "-P", "-m", "pytest", f"{__file__}::{request.node.name}", "-p", "no:cacheprovider"]
        done = subprocess.run(
            ["unshare", "-m", "sh", "-c", lend, "sh", *command], cwd=Path(__file__).parent.parent,
            env={**os.environ, "CURSERVE_TEST_NAMESPACE": "1"}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if "unshare failed" in done.stderr or "mount:" in done.stderr:
            pytest.skip(f"no mount namespace here: {done.stderr.strip()}")
        assert done.returncode == 0 and "1 passed" in done.stdout, done.stdout[-3000:] + done.stderr[-1000:]
        return
    assert install.is_ours(install.SYSTEM_DIR / "rg") == (lent == "ours")
    stage = gemini(tmp_path, box, row)
    ours = both(stage, gemini_calls(stage))
    assert "needle moved" in ours.results[4]
    # One to three matches make it search again for more context.
    assert sum("--json" in argv for argv in served(ours)) >= 2
    # Its shell tool points git's configuration at /dev/null, which is no reason.
    assert not ours.declined


def test_the_doctor_proves_each_agent_it_finds(tmp_path: Path) -> None:
    """By the ways of the shipped packages: a vendored rg by absolute path, argv[0], PATH, a login shell, a sandbox."""
    packages = {
        "qwen": "@qwen-code/qwen-code@0.24.3", "opencode": "opencode-ai@1.18.33", "codex": "@openai/codex@0.169.0",
        "claude": "@anthropic-ai/claude-code@2.1.329", "gemini": "@google/gemini-cli@0.61.0",
    }  # fmt: skip
    found = [str(installed(spec) / ".bin") for spec in packages.values()]
    place = Place()
    try:
        env = {"PATH": ":".join([*found, str(Path(node("22")).parent), "/usr/bin:/bin"])}
        done = place.run("doctor", "--json", env=env, timeout_s=200)
        rows = {(row["subject"], row["check"]): row for row in json.loads(done.stdout)}
        assert set(packages) | {"shell", "daemon", "machine"} == {subject for subject, _ in rows}
        for key in (("qwen", "vendored"), ("qwen", "node"), ("qwen", "bash"), ("codex", "vendored"),
                    ("claude", "argv0"), ("claude", "bash"), ("opencode", "path"), ("opencode", "bash"),
                    ("shell", "pty")):  # fmt: skip
            assert (rows[key]["verdict"], rows[key]["equal"], rows[key]["good"]) == ("served", True, True), rows[key]
        # Its sandbox may keep the trace from being written, too.
        assert rows["codex", "sandbox"]["verdict"] in ("declined", "missed", "skipped")
        assert rows["codex", "sandbox"]["good"] and rows["codex", "sandbox"]["equal"] in (True, None)
        assert done.returncode == (0 if all(row["good"] for row in rows.values()) else 1)
        assert done.stderr == ""
    finally:
        place.close()
