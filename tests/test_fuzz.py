"""Generated searches on generated trees, changed between searches: ours and ripgrep's answers are the same.

CURSERVE_FUZZ_CASES sets how many (default 2,000); CURSERVE_FUZZ_SEED where they begin. A failure names the seed of its
tree and the case; CURSERVE_FUZZ_TREE=SEED runs that tree alone. For many more: `make fuzz N=…`; see FUZZ.md.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from fuzzing import CASES_PER_TREE, run_tree
from oracle import Box

from curserve.flags import FLAGS
from curserve.verify.patterns import ALONE
from curserve.verify.tally import Tally

CASES = int(os.environ.get("CURSERVE_FUZZ_CASES", "2000"))
SEED = int(os.environ.get("CURSERVE_FUZZ_SEED", "1"))
ONE_TREE = os.environ.get("CURSERVE_FUZZ_TREE")
CASES_ALONE, TREES_ALONE = 5, 4


def _no_differences(tally: Tally) -> None:
    assert not tally.differences, "\n".join([*tally.differences[:20], str(tally)])


@pytest.mark.timeout(300 + CASES)
def test_generated_searches(box: Box, tmp_path: Path) -> None:
    tally = Tally()
    first = SEED * 1_000_000
    seeds = [int(ONE_TREE)] if ONE_TREE else range(first, first + -(-CASES // CASES_PER_TREE))
    for seed in seeds:
        tally.merge(run_tree(box, seed, tmp_path / f"t{seed}"))
        _no_differences(tally)
    print(tally)
    if not ONE_TREE:
        assert tally.printed >= 0.3 * tally.cases, str(tally)
        assert tally.share_served() >= 0.95, str(tally)


@pytest.mark.parametrize("flag", sorted(flag.long for flag in FLAGS if flag.declined is None))
def test_each_flag_alone(box: Box, tmp_path: Path, flag: str) -> None:
    tally = Tally()
    for seed in range(SEED, SEED + TREES_ALONE):
        tally.merge(run_tree(box, seed, tmp_path / f"t{seed}", flag=flag, cases=CASES_ALONE))
    _no_differences(tally)
    assert tally.share_served() >= 0.9, str(tally)


@pytest.mark.parametrize("construct", ALONE)
def test_each_construct_alone(box: Box, tmp_path: Path, construct: str) -> None:
    tally = Tally()
    for seed in range(SEED, SEED + TREES_ALONE):
        tally.merge(run_tree(box, seed, tmp_path / f"t{seed}", construct=construct, cases=CASES_ALONE))
    _no_differences(tally)
    assert tally.share_served() >= 0.9, str(tally)
