"""`curserve verify DIR [N]`: generated searches of somebody's own tree, what it tells, and how it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest
from daemon_place import CURSERVE, Place, wait_for
from oracle import REAL_RG


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "a.py").write_text("import os\n")
    return tmp_path / "code"


def test_verify_compares_and_tells(place: Place, tree: Path) -> None:
    told = place.run("verify", str(tree), "12", "--seed", "3", timeout_s=100)
    assert told.returncode == 0, told.stdout + told.stderr
    assert (
        f"12 searches of {tree.resolve()} compared: no difference" in told.stdout
        and "served from memory" in told.stdout
    )
    facts = json.loads(place.run("verify", "--json", str(tree), "12", "--seed", "3", timeout_s=100).stdout)
    assert (facts["cases"], facts["differences"], facts["stopped"]) == (12, [], False)
    assert facts["served"] + sum(facts["declined"].values()) == 12 and facts["root"] == str(tree.resolve())


def test_verify_of_a_tree_with_odd_names_or_nothing_in_it(place: Place, tmp_path: Path) -> None:
    odd = os.fsencode(tmp_path) + b"/odd"
    for folder in (b"new\nline", b"-dash", b"caf\xe9", b"[x]{y}", b"sp ace/deep", b"\x1b[31m"):
        os.makedirs(odd + b"/" + folder)
        with open(odd + b"/" + folder + b"/-\xff \n.txt", "wb") as file:
            file.write(b"word needle\n\xff\n")
    empty = tmp_path / "empty"
    empty.mkdir()
    for folder, cases in ((os.fsdecode(odd), "60"), (str(empty), "8")):
        told = place.run("verify", folder, cases, timeout_s=100, errors="surrogateescape")
        assert told.returncode == 0, told.stdout + told.stderr
        assert "\x1b" not in told.stdout


def test_verify_of_what_goes_away(place: Place, tree: Path) -> None:
    """A wrapper around the real rg removes the folder at the fifth search."""
    count, gone = tree.parent / "count", tree.parent / "gone"
    wrapper = tree.parent / "rg"
    wrapper.write_text(
        f"#!/bin/sh\necho x >>{count}\n[ $(wc -l <{count}) -lt 5 ] || mv {tree} {gone} 2>/dev/null\n"
        f'exec {REAL_RG} "$@"\n'
    )
    wrapper.chmod(0o755)
    done = place.run("verify", str(tree), "50", env={"CURSERVE_REAL_RG": str(wrapper)}, timeout_s=100)
    assert done.returncode == 1 and done.stderr == f"curserve: {tree.resolve()} has gone\n"


def test_verify_that_is_interrupted_tells_what_it_has(place: Place, tree: Path) -> None:
    words = [CURSERVE, "verify", "--json", str(tree), "100000"]
    count = tree.parent / "count"
    wrapper = tree.parent / "rg"
    wrapper.write_text(f'#!/bin/sh\necho x >>{count}\nexec {REAL_RG} "$@"\n')
    wrapper.chmod(0o755)
    env = {**place.env, "CURSERVE_REAL_RG": str(wrapper)}
    with subprocess.Popen(words, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        wait_for(lambda: count.exists() and count.stat().st_size > 20, "some searches", 60)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    facts = json.loads(out)
    assert process.returncode == 130 and err == "" and facts["stopped"] and 0 < facts["cases"] < 100000


def test_verify_wants_a_number_and_a_folder(place: Place, tree: Path) -> None:
    done = place.run("verify", str(tree), "0")
    assert (done.returncode, done.stdout) == (2, "") and done.stderr.count("\n") == 1
    done = place.run("verify", str(tree / "none"))
    assert done.returncode == 1 and "no such folder" in done.stderr and done.stderr.count("\n") == 1
