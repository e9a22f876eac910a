"""Is the fuzzer any good? Faults are seeded into the kernel and the planner, one at a time, and it must find each.

`make faults` copies the sources, builds them once with every fault in them (CURSERVE_FAULT=n wakes one), runs generated
searches before each until one differs from ripgrep's, and prints after how many. Fails when a fault is not found within
10,000 cases. It takes minutes; the last result is in FUZZ.md.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

_SOURCE = Path(__file__).resolve().parent.parent
MOST_CASES = 10_000
_WAKE_CPP = (
    "#include <cstdlib>\n[[maybe_unused]] static bool seeded(int n) {\n    static const char* const chosen = "
    'std::getenv("CURSERVE_FAULT");\n    return chosen != nullptr && std::atoi(chosen) == n;\n}\n'
)
_WAKE_PYTHON = (
    '\nimport os as _os\n\n\ndef seeded(n: int) -> bool:\n    return _os.environ.get("CURSERVE_FAULT") == str(n)\n\n'
)

FAULTS: tuple[tuple[str, str, str, str], ...] = (
    ("one line of context less before a match", "kernel/core.h",
     "upto, term_, spec_.before_context - 1);", "upto, term_, spec_.before_context - (seeded(1) ? 2 : 1));"),
    ("line numbers are wrong from the second window on", "kernel/core.h",
     "line_number_ += count_byte(text_, last_counted_, upto, term_);",
     "line_number_ += count_byte(text_, last_counted_, upto, term_) + (seeded(2) && last_counted_ > 65536);"),
    ("contexts that touch are separated", "kernel/core.h",
     "if (!any || !has_sunk_ || last_visited_ >= start) return true;",
     "if (!any || !has_sunk_ || last_visited_ >= start + (seeded(3) ? 1 : 0)) return true;"),
    ("an empty match right behind another", "kernel/spans.h",
     "if (span.end == last_match) continue;", "if (span.end == last_match && !seeded(4)) continue;"),
    ("--trim leaves tabs", "kernel/printer.cpp",
     "if (c != ' ' && (c < '\\t' || c > '\\r')) break;",
     "if (c != ' ' && (c < '\\t' || c > '\\r' || seeded(5))) break;"),
    ("one more match is plural", "kernel/printer.cpp",
     'out_.put(remaining == 1 ? " more match]"', 'out_.put(remaining == 1 && !seeded(6) ? " more match]"'),
    ("--include-zero is forgotten", "kernel/summary.cpp",
     "if (match_count_ == 0 && !spec.include_zero) return;",
     "if (match_count_ == 0 && (!spec.include_zero || seeded(7))) return;"),
    ("hidden folders are walked", "kernel/select.cpp",
     "!filter_.switches.hidden && is_hidden_name(name);",
     "!filter_.switches.hidden && is_hidden_name(name) && !(seeded(8) && is_dir);"),
    ("one level too deep", "kernel/select.cpp",
     "filter_.max_depth >= 0 && depth >= filter_.max_depth;",
     "filter_.max_depth >= 0 && depth >= filter_.max_depth + (seeded(9) ? 1 : 0);"),
    ("rules do not stop at a nested repository", "kernel/rule_stack.cpp",
     "now_.gitignore_from = gitignore_.size();", "if (!seeded(10)) now_.gitignore_from = gitignore_.size();"),
    ("excludes of git beat .gitignore", "kernel/rule_stack.cpp",
     "v = matched(gitignore_, now_.gitignore_from, subject, is_dir);",
     "if (seeded(11)) v = matched(exclude_, now_.exclude_from, subject, is_dir);\n"
     "    if (v == Verdict::kNone) v = matched(gitignore_, now_.gitignore_from, subject, is_dir);"),
    ("characters beyond 16 bits decoded wrongly", "kernel/decode.cpp",
     "0x10000 + ((c - 0xd800) << 10)", "(seeded(12) ? 0u : 0x10000u) + ((c - 0xd800) << 10)"),
    ("a byte order mark is text", "kernel/content.cpp",
     "if (size >= 3 && p[0] == 0xef", "if (!seeded(13) && size >= 3 && p[0] == 0xef"),
    ("deleted files stay", "kernel/refresh.cpp",
     "if (node != nullptr) detach(pass, node);\n            return;",
     "if (node != nullptr && !seeded(14)) detach(pass, node);\n            return;"),
    ("the Kelvin sign is no k", "kernel/matcher.cpp",
     "const size_t fold = find_ascii_fold(h.text, line_of_hit, pos);",
     "const size_t fold = seeded(15) ? kNotFound : find_ascii_fold(h.text, line_of_hit, pos);"),
    ("named binary files are treated as walked ones", "kernel/searcher.cpp",
     "return named || spec.binary", "return (named && !seeded(16)) || spec.binary"),
    ("-C beats -A", "options.py",
     "after = both if low.context_after is None else low.context_after",
     "after = both if low.context_after is None or (seeded(17) and both) else low.context_after"),
    ("--multiline-dotall is forgotten", "regex/translate.py",
     "if options.multi_line and options.dotall:", "if options.multi_line and options.dotall and not seeded(18):"),
    ("--iglob minds case", "options.py",
     "*(Glob(text, True) for text in low.iglobs),", "*(Glob(text, not seeded(19)) for text in low.iglobs),"),
    ("patterns of a file keep their carriage returns", "options.py",
     'patterns[line[:-1] if line[-1:] == b"\\r" else line] = None',
     'patterns[line[:-1] if line[-1:] == b"\\r" and not seeded(20) else line] = None'),
    ("ASCII behind half a character is lost", "kernel/multi_byte.cpp",
     "if (byte >= 0x80) ++call.at;", "if (byte >= 0x80 || seeded(21)) ++call.at;"),
)  # fmt: skip
"""(what is wrong, file below curserve/, what stands there, what stands there with the fault in it)"""


def seed(tree: Path) -> None:
    """Writes all faults, asleep, into a copy of the sources. ValueError when a place is not there any more."""
    for _, name, right, wrong in FAULTS:
        file = tree / "curserve" / name
        text = file.read_text()
        if text.count(right) != 1:
            raise ValueError(f"{name} has {text.count(right)} of: {right}")
        file.write_text(text.replace(right, wrong))
    for name in {name for _, name, _, _ in FAULTS if name.endswith(".py")}:
        file = tree / "curserve" / name
        mark = "from __future__ import annotations\n"
        file.write_text(file.read_text().replace(mark, mark + _WAKE_PYTHON, 1))
    for file in (tree / "curserve" / "kernel").glob("*.cpp"):  # headers with faults in them are included everywhere
        file.write_text(_WAKE_CPP + file.read_text())


def build(tree: Path, site: Path) -> None:
    """Compiles the seeded sources and installs them into `site`."""
    path = f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}"
    env = {**os.environ, "PATH": path, "CXXFLAGS": "-Wno-unused-function"}
    places = ["-Dpython.purelibdir=/", "-Dpython.platlibdir=/", "--prefix=/"]
    for words in (
        ["meson", "setup", "build", "-Doptimization=1", *places],
        ["ninja", "-C", "build"],
        ["meson", "install", "-C", "build", "--destdir", str(site), "--quiet"],
    ):
        subprocess.run(words, cwd=tree, env=env, check=True, stdout=subprocess.DEVNULL)
    real = site / "curserve" / "shims" / "real-rg"
    real.unlink(missing_ok=True)
    real.symlink_to(Path(sys.executable).with_name("rg"))


def hunt(number: int, folder: Path, first: int) -> int | None:
    """How many cases it took until the fault with this number was found; None if none of MOST_CASES did. Runs in a
    process that imports the seeded package."""
    from fuzzing import CASES_PER_TREE, run_tree
    from oracle import Box

    class Faulty(Box):
        @property
        def env(self) -> dict[str, str]:
            return {**super().env, "CURSERVE_FAULT": str(number), "PYTHONPATH": os.environ["PYTHONPATH"]}

    folder.mkdir()
    cases = 0
    with Faulty(folder / "box") as box:
        while cases < MOST_CASES:
            tally = run_tree(box, first + cases // CASES_PER_TREE, folder / f"t{cases}")
            cases += CASES_PER_TREE
            if tally.differences:
                return cases
    return None


def main() -> int:
    """1 when a fault was not found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--site", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=9)
    parser.add_argument("numbers", type=int, nargs="*", help="of the faults to be tried; all of them")
    chosen = parser.parse_args()
    if chosen.one is not None:
        with tempfile.TemporaryDirectory(prefix="curserve-fault-") as folder:
            found = hunt(chosen.one, Path(folder) / "f", chosen.seed * 1_000_000)
        words = "not found" if found is None else f"within {found}"
        print(f"{chosen.one:2} {words}: {FAULTS[chosen.one - 1][0]}", flush=True)
        return 1 if found is None else 0
    with tempfile.TemporaryDirectory(prefix="curserve-faults-") as folder:
        tree, site = Path(folder) / "tree", Path(folder) / "site"
        skip = shutil.ignore_patterns(".venv", "build", ".git", "__pycache__", "dist")
        shutil.copytree(_SOURCE, tree, ignore=skip)
        seed(tree)
        build(tree, site)
        where = f"{site}:{Path(__file__).parent}:{sysconfig.get_path('purelib')}"
        env = {**os.environ, "PYTHONPATH": where}
        failed = 0
        words = [sys.executable, "-P", __file__, "--seed", str(chosen.seed), "--one"]
        numbers = chosen.numbers or range(1, len(FAULTS) + 1)
        for number in numbers:
            failed += subprocess.run([*words, str(number)], env=env).returncode != 0
        print(f"{len(numbers) - failed} of {len(numbers)} found")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
