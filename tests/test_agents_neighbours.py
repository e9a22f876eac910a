"""What else runs in a shell that is served is not disturbed: the same results inside as outside."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from daemon_place import CURSERVE, Place

from curserve import environment, paths


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    made = Place()
    yield made
    made.close()


def alike(place: Place, script: str, folder: Path) -> str:
    """The script's output and status outside and inside `curserve shell`, which must be the same."""
    got = []
    for command in (["bash"], [CURSERVE, "shell", str(folder)]):
        work = folder / "work"
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        env = {"SHELL": "/bin/bash", "LC_ALL": "C"}
        done = place.shell_out(command, f"cd '{work}'\n{script}\n", env, timeout_s=100, cwd=folder)
        got.append((done.returncode, done.stdout, done.stderr))
    assert got[0] == got[1]
    assert got[0][0] == 0, got[0]
    return got[0][1]


MAKE = """
cat > main.c <<'X'
#include <stdio.h>
int main(void) { puts("built"); return 0; }
X
printf 'DIR ?= default\\nall: main\\n\\t./main; echo $(DIR)\\nmain: main.c\\n\\tcc -o $@ $<\\n' > Makefile
make && make -s DIR=mine
"""
SANITIZED = """
cat > bad.c <<'X'
#include <stdlib.h>
int main(int argc, char **argv) {
    char *p = malloc(4);
    int byte = p[argc == 1 ? 3 : 4] & 0;
    (void)argv;
    free(p);
    return byte;
}
X
cc -fsanitize=address -o bad bad.c && ./bad && echo sound
./bad x >/dev/null 2>report; echo $?; grep -c AddressSanitizer report
sh -c './bad && echo sound in a shell'
"""
GIT = """
export GIT_AUTHOR_DATE='2020-01-01T00:00:00Z' GIT_COMMITTER_DATE='2020-01-01T00:00:00Z'
git init -q -b main . && git config user.name t && git config user.email t@localhost
echo one > a; git add a; git commit -q -m first; echo two >> a; git diff | cat; git commit -qa -m second
git log --oneline | cat; git grep -n two; git checkout -q HEAD~1; cat a; git stash list; git clone -q . copy; ls copy
"""
NPM = """
printf '{"name": "p", "version": "1.0.0", "scripts": {"test": "node test.js"}}' > package.json
printf 'require("child_process").execFile("echo", ["hi"], (e, out) => console.log("test says", out))' > test.js
npm test --silent
"""


def test_make(place: Place, tmp_path: Path) -> None:
    assert alike(place, MAKE, tmp_path).splitlines()[-2:] == ["built", "mine"]


def test_a_sanitized_program(place: Place, tmp_path: Path) -> None:
    assert "sound in a shell" in alike(place, SANITIZED, tmp_path)


def test_git(place: Place, tmp_path: Path) -> None:
    assert "+two" in alike(place, GIT, tmp_path)


def test_npm(place: Place, tmp_path: Path) -> None:
    if shutil.which("npm") is None:
        pytest.skip("no npm")
    assert "test says hi" in alike(place, NPM, tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_pythons_own_test_of_subprocess(place: Place, tmp_path: Path) -> None:
    """The same tests pass, fail and are skipped."""
    probe = subprocess.run([sys.executable, "-c", "import test.test_subprocess"], capture_output=True, check=False)
    if probe.returncode != 0:
        pytest.skip("this Python comes without its tests")
    served = environment.served(place.env, paths.shim_dir(), paths.preload_library(), paths.node_hook())
    verdicts = []
    for env in (place.env, served):
        done = subprocess.run(
            [sys.executable, "-m", "test", "-v", "test_subprocess"], cwd=tmp_path, env=env, capture_output=True,
            text=True, check=False, stdin=subprocess.DEVNULL, timeout=280,
        )  # fmt: skip
        pattern = r"^(test_\w+ \(.*?\)).*\.\.\. (ok|FAIL|ERROR|skipped)"
        verdicts.append(sorted(re.findall(pattern, done.stdout, re.MULTILINE)))
    assert verdicts[0] == verdicts[1] and len(verdicts[0]) > 100
