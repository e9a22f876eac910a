"""deploy/: the unit is sound and does not sandbox, rules and dashboard name what there is, the image's steps work."""

from __future__ import annotations

import configparser
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import debian_packages
import pytest
from daemon_place import CURSERVE, Place, wait_for
from dockerfile_steps import DockerfileError, Step, steps
from oracle import Box
from prometheus_client.parser import text_string_to_metric_families

ROOT = Path(__file__).resolve().parent.parent
DEPLOY = ROOT / "deploy"
RULES = DEPLOY / "prometheus" / "curserve.rules.yml"
DASHBOARD = DEPLOY / "grafana" / "curserve.json"
_METRIC = re.compile(r"\bcurserve_[a-z0-9_]+")


@pytest.fixture(scope="module")
def exposition(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Everything that a daemon tells."""
    folder = tmp_path_factory.mktemp("deploy")
    (folder / "tree" / ".git").mkdir(parents=True)
    (folder / "tree" / "a.txt").write_text("alpha\n")
    with Box(folder / "box") as box:
        box.attach(folder / "tree")
        for argv in (["alpha"], ["--pre", "cat", "x"]):
            box.rg(argv, folder / "tree")
        return str(box.control("metrics")["text"])


@pytest.fixture(scope="module")
def promtool() -> str:
    return debian_packages.program("prometheus", "usr/bin/promtool")


def _run(command: list[str], stdin: str = "", **more: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, input=stdin, capture_output=True, text=True, check=False, timeout=100, **more)


def _names(exposition: str) -> set[str]:
    return {sample.name for family in text_string_to_metric_families(exposition) for sample in family.samples}


def _expressions(panels: list[dict[str, Any]]) -> Iterator[str]:
    for panel in panels:
        for target in panel["targets"]:
            yield target["expr"]


# --- Prometheus and Grafana -------------------------------------------------------------------------------------------
def test_promtool_has_nothing_against_the_names(promtool: str, exposition: str) -> None:
    done = _run([promtool, "check", "metrics"], exposition)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_rules_are_sound_and_fire_when_they_should(promtool: str, tmp_path: Path) -> None:
    for file in (RULES, ROOT / "tests" / "prometheus_alerts.yml"):
        shutil.copy(file, tmp_path)
    done = _run([promtool, "check", "rules", str(RULES)])
    assert done.returncode == 0, done.stdout + done.stderr
    done = _run([promtool, "test", "rules", str(tmp_path / "prometheus_alerts.yml")])
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_configuration_is_sound(promtool: str) -> None:
    done = _run([promtool, "check", "config", str(DEPLOY / "prometheus" / "prometheus.yml")])
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_metric_that_is_asked_for_is_told(exposition: str) -> None:
    told = _names(exposition)
    dashboard = json.loads(DASHBOARD.read_text())
    asked = set(_METRIC.findall("\n".join(_expressions(dashboard["panels"]))))
    asked |= set(_METRIC.findall("\n".join(re.findall(r"expr:.*?labels:", RULES.read_text(), re.DOTALL))))
    assert len(asked) > 20 and asked <= told, asked - told


def test_every_metric_is_documented(exposition: str) -> None:
    readme = (DEPLOY / "README.md").read_text()
    families = {re.sub(r"_(bucket|sum|count)$", "", name) for name in _names(exposition)}
    missing = {name for name in families if f"`{name}`" not in readme and not name.startswith("curserve_workspace_")}
    assert not missing
    documented = set(_METRIC.findall(readme.partition("| metric |")[2]))
    assert documented <= families


def test_the_dashboard_s_expressions_parse(promtool: str, tmp_path: Path) -> None:
    dashboard = json.loads(DASHBOARD.read_text())
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(ids) == len(set(ids))
    rules = []
    for number, expression in enumerate(_expressions(dashboard["panels"])):
        plain = expression.replace("$__rate_interval", "5m").replace("$__range", "3h").replace("$instance", ".*")
        assert "$" not in plain, expression
        rules.append({"record": f"panel:{number}", "expr": plain})
    file = tmp_path / "panels.yml"
    file.write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))  # JSON is YAML
    done = _run([promtool, "check", "rules", str(file)])
    assert done.returncode == 0 and f"{len(rules)} rules found" in done.stdout, done.stdout + done.stderr


# --- systemd ----------------------------------------------------------------------------------------------------------
def _unit() -> configparser.ConfigParser:
    unit = configparser.ConfigParser(interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(DEPLOY / "curserve.service")
    return unit


def test_systemd_has_nothing_against_the_unit(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze here (Debian's package systemd)")
    text = (DEPLOY / "curserve.service").read_text()
    assert "%h/.local/bin/curserve" in text
    unit = tmp_path / "curserve.service"
    unit.write_text(text.replace("%h/.local/bin/curserve", CURSERVE))
    env = {"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path), "PATH": os.environ["PATH"]}
    done = _run(["systemd-analyze", "--user", "verify", str(unit)], env=env)
    assert done.returncode == 0 and "curserve.service" not in done.stderr, done.stderr
    unit.write_text(unit.read_text().replace("Type=exec", "Type=exce"))
    assert "exce" in _run(["systemd-analyze", "--user", "verify", str(unit)], env=env).stderr  # it does look


def test_the_unit_does_not_put_the_daemon_into_a_sandbox() -> None:
    known = {"Type", "ExecStart", "Restart", "RestartSec", "TimeoutStopSec", "OOMScoreAdjust"}
    assert set(_unit()["Service"]) <= known, "does the daemon still see what its callers see?"


def test_what_the_unit_starts_is_the_daemon_itself() -> None:
    """As systemd needs it of Type=exec: the process that it started serves, and ends with 0 when it is told to."""
    place = Place()
    (place.home / ".local" / "bin").mkdir(parents=True)
    (place.home / ".local" / "bin" / "curserve").symlink_to(CURSERVE)
    command = shlex.split(_unit()["Service"]["ExecStart"].replace("%h", str(place.home)))
    process = subprocess.Popen(command, env=place.env, stdin=subprocess.DEVNULL)
    try:
        wait_for(lambda: process.poll() is not None or place.status()["running"], "the daemon answers")
        assert place.status()["pid"] == process.pid
        second = subprocess.run(command, env=place.env, stdin=subprocess.DEVNULL, timeout=60, check=False)
        assert second.returncode == 0  # there is one already: nothing for systemd to restart
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
        place.close()


# --- Docker -----------------------------------------------------------------------------------------------------------
def test_the_dockerfile_is_understood_and_copies_what_there_is() -> None:
    every = steps((DEPLOY / "Dockerfile").read_text())
    assert [step.word for step in every if step.word == "FROM"] == ["FROM", "FROM"]
    for step in every:
        if step.word == "COPY" and not step.rest.startswith("--from="):
            for name in step.rest.split()[:-1]:
                assert (ROOT / name).exists(), name
    project = (ROOT / "meson.build").read_text()
    copied = " ".join(step.rest for step in every if step.word == "COPY")
    for folder in re.findall(r"subdir\('([a-z]+)'\)", project):
        assert f"COPY {folder} " in f"COPY {copied}" or f" {folder} " in f" {copied} ", folder


def test_dockerfiles_that_are_not_understood() -> None:
    text = "# x\nFROM debian:bookworm \\\n  AS a\nRUN a && \\\n    b\n"
    assert steps(text) == [Step("FROM", "debian:bookworm AS a"), Step("RUN", "a && b")]
    for bad in ("ADD x /", "RUN", "from debian"):
        with pytest.raises(DockerfileError):
            steps(bad)


@pytest.mark.timeout(900)
def test_the_image_is_built_and_serves(tmp_path: Path) -> None:
    """deploy/Dockerfile's steps in order in chroots of our own, then a search as `docker run` would have it."""
    if not os.environ.get("CURSERVE_TEST_IMAGE"):
        pytest.skip("some minutes; set CURSERVE_TEST_IMAGE=1 (needs root, debootstrap and packages)")
    if os.geteuid() != 0 or shutil.which("debootstrap") is None:
        pytest.skip("needs root and debootstrap")
    work = tmp_path / "work"
    (work / ".git").mkdir(parents=True)
    (work / "example.c").write_text("int main(void) { return EINTR; }\n")
    script = (
        "whoami && curserve attach /work && command -v rg && rg -n EINTR && curserve status --json && curserve stop"
    )
    done = subprocess.run(
        [sys.executable, str(ROOT / "tests" / "dockerfile_steps.py"), str(DEPLOY / "Dockerfile"), str(ROOT),
         str(tmp_path), "bash", "-c", script],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=900, check=False,
    )  # fmt: skip
    told = done.stdout.partition("=== image\n")[2]
    assert done.returncode == 0, done.stdout[-4000:]
    assert told.startswith("agent\n") and "1:int main(void) { return EINTR; }\n" in told.replace("example.c:", "")
    assert '"served": 1,' in told
