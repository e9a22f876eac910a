"""The live oracle: served searches are asked again, differences are told and their kind is declined from then on."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from oracle import REAL_RG, Box

from curserve.verify.asking import Asked, TooLong, ask

_CONFIG = "[limits]\nshadow = 1.0\n"


def _wait(box: Box, reached: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    deadline_s = time.monotonic() + 30
    while True:
        numbers = box.control("status")["shadow"]
        if reached(numbers):
            return dict(numbers)
        assert time.monotonic() < deadline_s, numbers
        time.sleep(0.02)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    (root / ".git").mkdir(parents=True)
    for name in "abc":
        (root / f"{name}.txt").write_text(f"alpha {name}\nbeta\n")
    return root


def test_served_searches_are_compared(tmp_path: Path, tree: Path) -> None:
    with Box(tmp_path / "box", _CONFIG) as box:
        box.attach(tree)
        for argv in (["alpha"], ["-n", "beta", "."], ["--json", "a"], ["--files"]):
            assert box.rg(argv, tree).served
        numbers = _wait(box, lambda numbers: numbers["compared"] + numbers["void"] >= 4)
        assert numbers["differences"] == 0, numbers


def test_a_difference_is_told_and_its_kind_declined(tmp_path: Path, tree: Path) -> None:
    other = tmp_path / "other-rg"
    other.write_text(f'#!/bin/sh\n{REAL_RG} "$@" | sed s/alpha/omega/\n')
    other.chmod(0o755)
    box = Box(tmp_path / "box", _CONFIG)
    box.real_rg = str(other)
    with box:
        box.attach(tree)
        assert box.rg(["-n", "alpha"], tree).served
        numbers = _wait(box, lambda numbers: numbers["differences"] > 0)
        assert "omega" in numbers["last_difference"]
        again = box.rg(["-n", "gamma"], tree)
        assert (again.served, again.reason) == (False, "doubted")
        assert box.rg(["-i", "alpha"], tree).served
        log = "".join(file.read_text() for file in box.folder.rglob("*log*") if file.is_file())
        assert "b'alpha'" in log and str(tree) in log


def test_nothing_is_compared_unasked(tmp_path: Path, tree: Path) -> None:
    with Box(tmp_path / "box") as box:
        box.attach(tree)
        assert box.rg(["alpha"], tree).served
        assert box.control("status")["shadow"]["compared"] == 0


def test_endless_answers_are_cut_off(tmp_path: Path) -> None:
    (tmp_path / "long").write_bytes(b"x" * 100_000 + b"\n")
    for stdout in (b"pipe", b"tty"):
        with pytest.raises(TooLong):
            ask(REAL_RG, Asked([b"--vimgrep", b"x", b"long"], tmp_path, {}, stdout=stdout), 60)
