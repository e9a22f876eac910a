"""The flag table against what the real rg says of itself."""

from __future__ import annotations

import re
from pathlib import Path

from args_oracle import run_rg

from curserve import options
from curserve.flags import BY_NAME, FLAGS


def _spellings() -> set[str]:
    spelled = set()
    for flag in FLAGS:
        spelled.add("--" + flag.long)
        if flag.short:
            spelled.add("-" + flag.short)
        if flag.negated:
            spelled.add("--" + flag.negated)
    return spelled


def test_no_flag_is_missing_or_superfluous(tmp_path: Path) -> None:
    script = run_rg([b"--generate=complete-bash"], tmp_path).stdout.decode()
    listed = next(line for line in script.splitlines() if line.strip().startswith('opts="--'))
    words = set(listed.partition('"')[2].rpartition('"')[0].split())
    assert {word for word in words if word.startswith("-")} == _spellings()


def test_what_takes_a_value_and_which(tmp_path: Path) -> None:
    script = run_rg([b"--generate=complete-fish"], tmp_path).stdout.decode()
    seen = {}
    for line in re.findall(r"^complete -c rg .*$", script, re.MULTILINE):
        long = re.search(r" -l (\S+)", line)
        if long and long[1] in BY_NAME:
            choices = re.search(r" -a '([a-z0-9 +-]+)'$", line)
            seen[long[1]] = (" -r" in line, tuple(choices[1].split()) if choices else ())
    for flag in FLAGS:
        takes_value, choices = seen[flag.long]
        assert flag.takes_value == takes_value, flag.long
        if flag.choices:
            assert flag.choices == choices, flag.long


def test_aliases_are_rgs(tmp_path: Path) -> None:
    for flag in FLAGS:
        for alias in flag.aliases:
            value = [b"1"] if flag.takes_value else []
            assert run_rg([b"--version", b"--" + alias.encode(), *value], tmp_path).returncode == 0


def test_names_are_unique() -> None:
    names = [name for flag in FLAGS for name in (flag.long, flag.negated, *flag.aliases) if name]
    shorts = [flag.short for flag in FLAGS if flag.short]
    assert len(names) == len(set(names))
    assert len(shorts) == len(set(shorts))


def test_descriptor_kinds_are_the_wires() -> None:
    header = Path(__file__).parent.parent / "shims" / "wire.h"
    defined = dict(re.findall(r"^#define CS_FD_(\w+) (\d+)", header.read_text(), re.MULTILINE))
    assert {name: int(number) for name, number in defined.items()} == {kind.name: kind.value for kind in options.FdKind}
