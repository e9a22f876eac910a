"""The table of agents, what `run` and `curserve DIR` make of it, the doctor's findings, the shim in system folders."""

from __future__ import annotations

import http.server
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from daemon_place import Place

from curserve import agents, config, install, modelname, paths
from curserve.config import Model
from curserve.errors import CurserveError


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    made = Place()
    yield made
    made.close()


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A folder with programs that tell how they were called."""
    folder = tmp_path / "tools"
    folder.mkdir()
    tell = "import json, os, sys; print(json.dumps([os.path.basename(sys.argv[0]), sys.argv[1:], dict(os.environ)]))"
    for name in ("qwen", "gemini", "aider"):
        (folder / name).write_text(f"#!{sys.executable} -P\n{tell}\n")
        (folder / name).chmod(0o755)
    return folder


def configure(place: Place, text: str) -> None:
    folder = place.home / ".config" / "curserve"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.toml").write_text(text)


def test_rows_are_found_by_name_and_program() -> None:
    for agent in agents.AGENTS:
        assert agents.by_name(agent.name) is agent
        assert agents.by_program(f"/some/where/{agent.program}") is agent
        assert any("fix it" in word for word in agent.prompt("fix it"))
    assert agents.by_name("nobody") is None and agents.by_program("ls") is None


def test_no_key_is_on_a_command_line() -> None:
    model = Model(base_url="http://localhost:8000/v1", model="m", key_env="THE_KEY")
    for agent in agents.AGENTS:
        env, words = agents.endpoint(agent, model, {"THE_KEY": "secret"})
        assert "secret" not in " ".join(words)
        assert agent.name == "shell" or "localhost:8000" in " ".join([*env.values(), *words])
        assert agents.endpoint(agent, Model(), {"THE_KEY": "secret"}) == ({}, [])


def test_run_picks_the_row(place: Place, tools: Path) -> None:
    path = f"{tools}:/usr/bin:/bin"
    for name, first in (("qwen", str(paths.shim_dir())), ("gemini", str(tools))):
        done = place.run("run", "--", name, "x", env={"PATH": path})
        called, words, env = json.loads(done.stdout)
        assert (called, words, env["PATH"].split(":")[0]) == (name, ["x"], first)
        assert "libcurserve.so" in env["LD_PRELOAD"] and "hook.cjs" in env["NODE_OPTIONS"]


def test_a_folder_and_a_prompt(place: Place, tools: Path, tmp_path: Path) -> None:
    configure(place, '[model]\nbase_url = "http://127.0.0.1:9/v1"\nmodel = "coder"\nkey_env = "MY_KEY"\n')
    env = {"PATH": f"{tools}:/usr/bin:/bin", "MY_KEY": "secret"}
    called, words, seen = json.loads(place.run(str(tmp_path), "-n fix it", env=env).stdout)
    assert called == "qwen" and words == ["--approval-mode=auto-edit", "--prompt=-n fix it"]
    assert seen["OPENAI_BASE_URL"] == "http://127.0.0.1:9/v1" and seen["OPENAI_MODEL"] == "coder"
    assert seen["OPENAI_API_KEY"] == "secret" and seen["PWD"] == str(tmp_path)
    assert json.loads(place.run(str(tmp_path), env=env).stdout)[1] == []
    configure(place, '[agent]\nname = "aider"\narguments = ["--yes"]\n')
    assert json.loads(place.run(str(tmp_path), "do", env=env).stdout)[:2] == ["aider", ["--yes", "--message=do"]]
    configure(place, '[agent]\nname = "nobody"\n')
    assert "nobody" in place.run(str(tmp_path), "do", env=env).stderr
    configure(place, "")
    assert place.run(str(tmp_path), "two", "words", env=env).returncode == 2


@pytest.mark.parametrize(
    ("answer", "said"),
    [(b'{"data": [{"id": "coder"}]}', None), (b'{"data": []}', "no list"), (b"[]", "no list"), (b"<html>", "no list"),
     (b'{"data": [{"id": ""}]}', "no list"), (None, "404 Not Found")],
)  # fmt: skip
def test_an_endpoint_tells_its_model(answer: bytes | None, said: str | None) -> None:
    keys = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 (the base class's name)
            pass

        def do_GET(self) -> None:
            keys.append((self.path, self.headers.get("Authorization")))
            self.send_response(200 if answer is not None else 404)
            self.end_headers()
            self.wfile.write(answer or b"")

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        model = Model(base_url=f"http://127.0.0.1:{server.server_address[1]}/v1/", key_env="KEY")
        if said is None:
            assert modelname.complete(model, {"KEY": "secret"}).model == "coder"
        else:
            with pytest.raises(CurserveError, match=said) as raised:
                modelname.complete(model, {"KEY": "secret"})
            assert "secret" not in str(raised.value) and "\n" not in str(raised.value)
        server.shutdown()
    assert keys == [("/v1/models", "Bearer secret")]


def test_an_endpoint_that_is_not_there() -> None:
    for url, said in (("http://127.0.0.1:9/v1", "refused"), ("nonsense", "no http"), ("file:///etc/x", "no http")):
        with pytest.raises(CurserveError, match=said):
            modelname.complete(Model(base_url=url), {})
    assert modelname.complete(Model(base_url="nonsense", model="m"), {}).model == "m"
    assert modelname.complete(Model(), {}) == Model()


def test_agent_settings_are_checked() -> None:
    assert config.parse(b'[agent]\narguments = ["a"]\n').agent.arguments == ("a",)
    with pytest.raises(config.ConfigError, match="arguments"):
        config.parse(b'[agent]\narguments = "a"\n')


def test_the_doctor_proves_the_shell(place: Place, tools: Path) -> None:
    done = place.run("doctor", "--agent", "shell", "--json", timeout_s=100)
    found = {(row["subject"], row["check"]): row for row in json.loads(done.stdout)}
    for check in ("path", "bash", "pty"):
        row = found["shell", check]
        assert (row["verdict"], row["equal"], row["good"]) == ("served", True, True), row
    assert found["daemon", "running"]["good"] and ("machine", "memory") in found
    assert done.returncode == (0 if all(row["good"] for row in found.values()) else 1)
    assert "nonce" not in json.dumps(json.loads(place.run("workspaces", "--json").stdout))
    shown = place.run("doctor", "--agent", "shell", env={"COLUMNS": "200"}, timeout_s=100).stdout
    assert "as the real rg" in shown


def test_the_doctor_says_what_is_not_intercepted(place: Place, tmp_path: Path) -> None:
    """A program that is called rg and comes first on PATH in every shell."""
    stranger = tmp_path / "rg"
    stranger.write_text("#!/bin/sh\necho mine\n")
    stranger.chmod(0o755)
    profile = place.home / ".bash_profile"
    profile.write_text(f"PATH={tmp_path}:/usr/bin:/bin\n")
    done = place.run("doctor", "--agent", "shell", "--json", timeout_s=100)
    profile.unlink()
    row = next(row for row in json.loads(done.stdout) if row["check"] == "login")
    assert (row["verdict"], row["equal"], row["good"]) == ("missed", False, False)
    assert done.returncode == 1


def test_the_doctor_knows_no_stranger(place: Place) -> None:
    done = place.run("doctor", "--agent", "nobody")
    assert done.returncode == 1 and "nobody" in done.stderr


def test_install_and_uninstall(place: Place, tmp_path: Path) -> None:
    into = ("--system", "--into", str(tmp_path))
    assert place.run("uninstall", *into).stdout == "curserve: nothing of ours is there\n"
    for _ in range(2):
        assert place.run("install", *into).returncode == 0
    shim = tmp_path / "rg"
    assert shim.read_bytes() == (paths.shim_dir() / "rg").read_bytes() and os.access(shim, os.X_OK)
    shown = subprocess.run(
        [shim, "--version"], env={"PATH": "/nonexistent", "CURSERVE_SOCKET": "/none"}, capture_output=True, check=False
    )
    assert shown.stdout.startswith(b"ripgrep ") or not (tmp_path / "real-rg.path").exists()
    assert install.is_ours(shim)
    assert place.run("uninstall", *into).stdout == "curserve: uninstalled\n"
    assert list(tmp_path.iterdir()) == []


def identity(path: Path) -> tuple[int, ...]:
    """What changes when anything about a file does, but for its being read."""
    stat = path.lstat()
    return stat.st_ino, stat.st_mode, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns


@pytest.mark.parametrize("name", ["rg", "real-rg.path"])
def test_a_strangers_file_stays(place: Place, tmp_path: Path, name: str) -> None:
    into = ("--system", "--into", str(tmp_path))
    stranger = tmp_path / name
    for make in (lambda: stranger.write_text("mine"), lambda: stranger.symlink_to(paths.shim_dir() / "rg")):
        make()
        before = identity(stranger)
        done = place.run("install", *into)
        assert done.returncode == 1 and "not ours" in done.stderr
        place.run("uninstall", *into)
        assert identity(stranger) == before and [entry.name for entry in tmp_path.iterdir()] == [name]
        stranger.unlink()


def test_what_agents_trust(tmp_path: Path) -> None:
    (tmp_path / "rg").write_text("")
    (tmp_path / "rg").chmod(0o755)
    assert install.trusted_rg(f"{tmp_path}:/usr/bin") is None
    assert install.trusted_rg(str(paths.shim_dir())) is None


@pytest.mark.parametrize(
    ("name", "words", "agent"),
    [
        ("node", ["node", "/usr/local/bin/qwen", "-p", "x"], "qwen"),
        ("node", ["/usr/bin/node", "--max-old-space-size=4096", "/opt/gemini.js"], "gemini"),
        ("qwen", ["qwen", "", ""], "qwen"),  # a process that named itself
        ("claude", ["claude"], "claude"),
        ("python3.11", ["python3.11", "-m", "aider"], "aider"),
        ("codex", ["/opt/codex/bin/codex", "exec"], "codex"),
        ("bash", ["bash", "-c", "qwen"], None),
        ("sh", ["sh"], None),
        ("node", ["node"], None),
        ("x", [], None),
    ],
)
def test_processes_are_told_from_their_command_lines(name: str, words: list[str], agent: str | None) -> None:
    found = agents.by_command(name, words)
    assert (found.name if found else None) == agent
