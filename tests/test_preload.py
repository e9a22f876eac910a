"""The preload library: whoever executes rg runs the shim; everything else happens as if the library were not there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

import pytest
from built_c import build, real_rg
from wire_server import STDOUT, exit_frame, frame, serving

ROOT = Path(__file__).resolve().parent.parent
PATHS = ["execve", "execv", "execl", "execle", "execveat", "posix_spawn"]
SEARCHES = ["execvp", "execvpe", "execlp", "posix_spawnp"]
DESCRIPTORS = ["fexecve", "execveat-fd"]
WITH_ENV = ["execve", "execvpe", "execle", "fexecve", "execveat", "posix_spawn", "posix_spawnp"]


@dataclass(frozen=True)
class Parts:
    """Programs: `shim` and `bin/rg` are both show.c with different tags, so that one sees which of them ran."""

    library: Path
    shim: Path
    real_shim: Path
    rg: Path
    claude: Path
    execs: Path
    execs_static: Path
    asan: Path
    env: dict[str, str]


def cc(*words: str | Path) -> None:
    subprocess.run(["cc", *words], cwd=ROOT, check=True)


@pytest.fixture(scope="session")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Parts:
    where = tmp_path_factory.mktemp("preload")
    for name in ("bin", "shim", "real-shim", "agent"):
        (where / name).mkdir()
    library = build("interpose/preload.c", where)
    execs = build("tests/c/execs.c", where)
    shim, rg, claude, asan = where / "shim" / "rg", where / "bin" / "rg", where / "agent" / "claude", where / "asan"
    cc('-DTAG="shim"', "-o", shim, "tests/c/show.c")
    cc('-DTAG="rg"', "-o", rg, "tests/c/show.c")
    cc('-DTAG="claude"', "-o", claude, "tests/c/show.c")
    cc('-DTAG="asan"', "-fsanitize=address", "-o", asan, "tests/c/show.c")
    cc("-static", "-o", where / "execs-static", "tests/c/execs.c")
    env = {
        "PATH": f"{rg.parent}:/usr/bin:/bin",
        "LD_PRELOAD": str(library),
        "CURSERVE_SHIM": str(shim),
        "CURSERVE_SOCKET": "/session/socket",
    }
    real_shim = build("shims/rg.c", where / "real-shim")
    return Parts(library, shim, real_shim, rg, claude, execs, where / "execs-static", asan, env)


def run(*argv: object, env: dict[str, str], cwd: Path | None = None) -> dict[str, object]:
    """What show.c saw. Whatever ran printed one line on stdout, nothing on stderr."""
    words = [str(word) for word in argv]
    got = subprocess.run(words, env=env, cwd=cwd, capture_output=True, timeout=60, check=False)
    assert got.stderr == b"", got
    assert got.returncode == 5, got
    return json.loads(got.stdout)


def flags(env: dict[str, str]) -> list[str]:
    return [word for name, value in env.items() for word in ("-e", f"{name}={value}")]


def test_decisions(tmp_path: Path) -> None:
    subprocess.run([build("tests/c/decide_test.c", tmp_path)], check=True, env={"PATH": os.environ["PATH"]})


def test_exports(parts: Parts) -> None:
    """Just the names of preload.map, and nothing needed but the C library."""
    names = subprocess.run(["nm", "-D", "--defined-only", parts.library], capture_output=True, text=True, check=True)
    want = (ROOT / "interpose" / "preload.map").read_text().split("global:")[1].split("local:")[0]
    assert {line.split()[-1] for line in names.stdout.splitlines()} == {n.strip() for n in want.split(";") if n.strip()}
    undefined = subprocess.run(["nm", "-D", "-u", parts.library], capture_output=True, text=True, check=True).stdout
    used = {line.split()[-1].split("@")[0] for line in undefined.splitlines() if " U " in line}
    assert used <= {"dlsym", "environ", "__environ", "memcmp", "memcpy", "memset"}


@pytest.mark.parametrize("vfork", [[], ["-v"]])
@pytest.mark.parametrize("call", [*PATHS, *DESCRIPTORS])
def test_by_path(parts: Parts, call: str, vfork: list[str]) -> None:
    got = run(parts.execs, *vfork, call, parts.rg, "rg", "-n", "x", env=parts.env)
    assert (got["tag"], got["argv"], got["CURSERVE_ASKED"]) == ("shim", ["rg", "-n", "x"], str(parts.rg))


@pytest.mark.parametrize("vfork", [[], ["-v"]])
@pytest.mark.parametrize("call", SEARCHES)
def test_by_name(parts: Parts, call: str, vfork: list[str]) -> None:
    for name in ("rg", parts.rg):
        got = run(parts.execs, *vfork, call, name, "rg", "-n", "x", env=parts.env)
        assert (got["tag"], got["argv"], got["CURSERVE_ASKED"]) == ("shim", ["rg", "-n", "x"], str(parts.rg))


@pytest.mark.parametrize("call", [*PATHS, *SEARCHES, *DESCRIPTORS])
def test_argv0_trick(parts: Parts, call: str) -> None:
    got = run(parts.execs, call, parts.claude, "rg", "--version", env=parts.env)
    assert (got["tag"], got["argv"], got["CURSERVE_ASKED"]) == ("shim", ["rg", "--version"], str(parts.claude))


@pytest.mark.parametrize("call", [*PATHS, *SEARCHES, *DESCRIPTORS, "execveat-dir", "posix_spawn-chdir"])
def test_other_programs_are_left_alone(parts: Parts, call: str) -> None:
    got = run(parts.execs, call, parts.claude, "claude", "a", "b", env={**parts.env, "CURSERVE_ASKED": "kept"})
    assert (got["tag"], got["argv"], got["CURSERVE_ASKED"]) == ("claude", ["claude", "a", "b"], "kept")
    assert got["LD_PRELOAD"] == str(parts.library)


@pytest.mark.parametrize("call", WITH_ENV)
def test_environment_passed_on(parts: Parts, call: str) -> None:
    """Given and not stripped: as given. Stripped of everything: the session's socket is added for the shim."""
    given = {**parts.env, "MINE": "yes", "CURSERVE_SOCKET": "/mine", "CURSERVE_ASKED": "/stale"}
    got = run(parts.execs, *flags(given), call, parts.rg, "rg", env=parts.env)
    assert (got["tag"], got["MINE"], got["CURSERVE_SOCKET"], got["CURSERVE_ASKED"]) == (
        "shim",
        "yes",
        "/mine",
        str(parts.rg),
    )
    got = run(parts.execs, *flags({"MINE": "only"}), call, parts.rg, "rg", env=parts.env)
    assert (got["tag"], got["MINE"], got["CURSERVE_SOCKET"], got["LD_PRELOAD"]) == (
        "shim",
        "only",
        "/session/socket",
        None,
    )
    got = run(parts.execs, "-E", "-e", "A=b", call, parts.rg, "rg", env=parts.env)
    assert got["tag"] == "shim"


@pytest.mark.parametrize("call", ["execvpe", "posix_spawnp"])
def test_search_uses_the_callers_path(parts: Parts, call: str) -> None:
    """glibc searches the PATH of the process, not that of the environment it passes."""
    got = run(parts.execs, *flags({"PATH": "/nowhere"}), call, "rg", "rg", env=parts.env)
    assert (got["tag"], got["CURSERVE_ASKED"]) == ("shim", str(parts.rg))


def test_search_steps_over_what_does_not_run(parts: Parts, tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / "rg").write_text("not executable")
    (tmp_path / "dir" / "rg").mkdir(parents=True)
    path = f"{tmp_path}/nowhere:{tmp_path}/plain:{tmp_path}/dir:{parts.rg.parent}"
    for call in SEARCHES:
        got = run(parts.execs, call, "rg", "rg", env={**parts.env, "PATH": path})
        assert (got["tag"], got["CURSERVE_ASKED"]) == ("shim", str(parts.rg))


def test_search_in_relative_entries(parts: Parts, tmp_path: Path) -> None:
    (tmp_path / "rel").mkdir()
    shutil.copy(parts.rg, tmp_path / "rel" / "rg")
    got = run(parts.execs, "execvp", "rg", "rg", env={**parts.env, "PATH": "rel"}, cwd=tmp_path)
    assert (got["tag"], got["CURSERVE_ASKED"]) == ("shim", "rel/rg")
    got = run(parts.execs, "execvp", "rg", "rg", env={**parts.env, "PATH": "/nowhere:"}, cwd=tmp_path / "rel")
    assert (got["tag"], got["CURSERVE_ASKED"]) == ("shim", "rg")


def test_what_is_in_doubt_is_left_alone(parts: Parts, tmp_path: Path) -> None:
    env = parts.env
    assert run(parts.execs, "execveat-dir", parts.rg, "rg", env=env)["tag"] == "rg"
    # A relative path that the child resolves elsewhere.
    relative = str(parts.rg).lstrip("/")
    assert run(parts.execs, "posix_spawn-chdir", relative, "rg", env=env, cwd=tmp_path)["tag"] == "rg"
    # A wrapper script has its own mind; what it executes is swapped in its turn.
    (tmp_path / "w").mkdir()
    script = tmp_path / "w" / "rg"
    script.write_text(f'#!/bin/sh\nexec "{parts.rg}" --extra "$@"\n')
    script.chmod(0o755)
    got = run(parts.execs, "execve", script, "rg", "x", env=env)
    assert (got["tag"], got["argv"]) == ("shim", [str(parts.rg), "--extra", "x"])
    # Switched off, no shim, a shim that cannot be run.
    for change in ({"CURSERVE_DISABLE": "1"}, {"CURSERVE_SHIM": ""}, {"CURSERVE_SHIM": "/nowhere/rg"}):
        for call in ("execve", "posix_spawn", "execvp"):
            assert run(parts.execs, call, parts.rg, "rg", env={**env, **change})["tag"] == "rg", change
    assert run(parts.execs, "execve", parts.rg, "rg", env={**env, "CURSERVE_DISABLE": "0"})["tag"] == "shim"


def test_errors_are_those_of_the_call(parts: Parts, tmp_path: Path) -> None:
    (tmp_path / "rg").write_text("x")
    for env in (parts.env, {"PATH": parts.env["PATH"]}):
        for call, code in [(call, 102) for call in PATHS] + [("execvp", 102), ("execvpe", 102), ("posix_spawnp", 102)]:
            got = subprocess.run([parts.execs, call, "/nowhere/rg", "rg"], env=env, check=False)
            assert got.returncode == code, call
        got = subprocess.run([parts.execs, "execve", tmp_path / "rg", "rg"], env=env, check=False)
        assert got.returncode == 113
        got = subprocess.run([parts.execs, "execvp", "", "rg"], env=env, check=False)
        assert got.returncode == 102
        got = subprocess.run([parts.execs, "execvp", "rg", "rg"], env={**env, "PATH": str(tmp_path)}, check=False)
        assert got.returncode == 113


def test_proc_self_exe(parts: Parts, tmp_path: Path) -> None:
    """A program that runs itself as rg by /proc/self/exe: the shim must be told its real path."""
    got = run(parts.execs, "execve", "/proc/self/exe", "rg", env=parts.env)
    assert (got["tag"], got["CURSERVE_ASKED"]) == ("shim", str(parts.execs))


def test_other_preloads_are_kept(parts: Parts, tmp_path: Path) -> None:
    source = tmp_path / "other.c"
    source.write_text("int other_preload = 1;\n")
    cc("-shared", "-fPIC", "-o", tmp_path / "other.so", source)
    both = f"{tmp_path}/other.so:{parts.library}"
    got = run(parts.execs, "execve", parts.rg, "rg", env={**parts.env, "LD_PRELOAD": both})
    assert (got["tag"], got["LD_PRELOAD"]) == ("shim", both)
    for separator in ":", " ":
        both = f"{parts.library}{separator}{tmp_path}/other.so"
        got = subprocess.run(
            [parts.execs, "execve", "/usr/bin/env", "env"],
            env={**parts.env, "LD_PRELOAD": both},
            capture_output=True,
            check=False,
        )
        assert f"LD_PRELOAD={both}" in got.stdout.decode().splitlines()


def test_stripped_preload_is_put_back(parts: Parts) -> None:
    given = {"CURSERVE_SHIM": str(parts.shim), "MINE": "1"}
    for call in WITH_ENV:
        got = run(parts.execs, *flags(given), call, parts.claude, "claude", env=parts.env)
        assert (got["tag"], got["LD_PRELOAD"]) == ("claude", str(parts.library)), call
    # Emptied, overridden, or switched off: as it was given.
    for given, want in (
        ({"MINE": "1"}, None),
        ({"CURSERVE_SHIM": str(parts.shim), "LD_PRELOAD": ""}, ""),
        ({"CURSERVE_SHIM": str(parts.shim), "CURSERVE_DISABLE": "1"}, None),
    ):
        got = run(parts.execs, *flags(given), "execve", parts.claude, "claude", env=parts.env)
        assert got["LD_PRELOAD"] == want


def test_sanitized_programs_go_without(parts: Parts, tmp_path: Path) -> None:
    """libasan stops a process in which another library comes first."""
    env = {**parts.env, "ASAN_OPTIONS": "detect_leaks=0"}
    alone = subprocess.run([parts.asan], env=env, capture_output=True, check=False)
    assert b"runtime does not come first" in alone.stderr  # what we keep from happening
    for call in (*PATHS, *SEARCHES, *DESCRIPTORS):
        got = run(parts.execs, call, parts.asan, "asan", env=env)
        assert (got["tag"], got["LD_PRELOAD"]) == ("asan", None)
    other = tmp_path / "other.so"
    (tmp_path / "o.c").write_text("")
    cc("-shared", "-fPIC", "-o", other, tmp_path / "o.c")
    # The others stay, also where they are wrong.
    got = subprocess.run(
        [parts.execs, "execve", parts.asan, "asan"],
        env={
            **env,
            "ASAN_OPTIONS": "verify_asan_link_order=0:detect_leaks=0",
            "LD_PRELOAD": f"{parts.library}:{other}",
        },
        capture_output=True,
        check=False,
    )
    assert json.loads(got.stdout)["LD_PRELOAD"] == str(other)


@pytest.mark.parametrize("runtime", ["address", "thread", "leak", "undefined"])
def test_every_sanitizer_runs_as_without_us(parts: Parts, tmp_path: Path, runtime: str) -> None:
    """From C, bash, Python and Node; undefined behaviour's runtime need not be first, and is left alone."""
    program = tmp_path / "sane"
    cc('-DTAG="sane"', f"-fsanitize={runtime}", "-o", program, "tests/c/show.c")
    env = {**parts.env, "ASAN_OPTIONS": "detect_leaks=0", "LSAN_OPTIONS": "detect_leaks=0", "PROGRAM": str(program)}
    alone = subprocess.run([program], env={**env, "LD_PRELOAD": ""}, capture_output=True, check=False)
    if alone.returncode != 5:
        pytest.skip(f"such a program does not run on this machine: {alone.stderr.decode(errors='replace').strip()}")
    starts = [
        [parts.execs, "execve", program, "sane"],
        ["/bin/bash", "-c", '"$PROGRAM"; exit $?'],
        [os.path.realpath(sys.executable), "-c", "import os, subprocess, sys\n"
         "sys.exit(subprocess.run([os.environ['PROGRAM']]).returncode)"],
    ]  # fmt: skip
    if node := shutil.which("node"):
        code = "process.exit(require('child_process').spawnSync(process.env.PROGRAM, {stdio: 'inherit'}).status)"
        starts.append([node, "-e", code])
    for start in starts:
        got = run(*start, env=env)
        assert (got["tag"], got["LD_PRELOAD"]) == ("sane", str(parts.library) if runtime == "undefined" else None)


@pytest.mark.parametrize(
    ("library", "harmed"),
    [("libasan.so.8", True), ("libtsan.so.2", True), ("liblsan.so.0", True), ("libhwasan.so.0", True),
     ("libclang_rt.asan-x86_64.so", True), ("libasan2.so", False), ("libubsan.so.1", False)],
)  # fmt: skip
def test_a_runtime_is_known_by_its_name(parts: Parts, tmp_path: Path, library: str, harmed: bool) -> None:
    (tmp_path / "empty.c").write_text("int runtime;\n")
    cc("-shared", "-fPIC", f"-Wl,-soname,{library}", "-o", tmp_path / library, tmp_path / "empty.c")
    program = tmp_path / "linked"
    rpath = f"-Wl,-rpath,{tmp_path},--no-as-needed"
    cc('-DTAG="linked"', rpath, "-o", program, "tests/c/show.c", tmp_path / library)
    got = run(parts.execs, "execve", program, "linked", env=parts.env)
    assert (got["tag"], got["LD_PRELOAD"]) == ("linked", None if harmed else str(parts.library))


def test_a_sanitized_parent_is_served(parts: Parts, tmp_path: Path) -> None:
    """Where somebody preloads the sanitizer first and us behind it, our code runs under it, and it finds nothing."""
    execs = tmp_path / "execs"
    cc("-fsanitize=address,undefined", "-fno-sanitize-recover", "-Wno-clobbered", "-o", execs, "tests/c/execs.c")
    asan = subprocess.run(["cc", "-print-file-name=libasan.so"], capture_output=True, text=True, check=True)
    runtime = Path(asan.stdout.strip()).resolve()
    env = {**parts.env, "LD_PRELOAD": f"{runtime}:{parts.library}", "ASAN_OPTIONS": "detect_leaks=0"}
    for call in (*PATHS, *SEARCHES, *DESCRIPTORS):
        got = run(execs, call, parts.rg, "rg", "-n", "x", env=env)
        assert (got["tag"], got["argv"]) == ("shim", ["rg", "-n", "x"]), call
        # Others get what they asked for: the sanitizer's runtime without us before it.
        assert run(execs, call, parts.claude, "claude", env=env)["tag"] == "claude", call


def test_a_sanitized_program_named_rg(parts: Parts, tmp_path: Path) -> None:
    shutil.copy(parts.asan, tmp_path / "rg")
    assert run(parts.execs, "execve", tmp_path / "rg", "rg", env=parts.env)["tag"] == "shim"


def test_static_parents_are_untouched(parts: Parts) -> None:
    for call in (*PATHS, *SEARCHES):
        assert run(parts.execs_static, call, parts.rg, "rg", env=parts.env)["tag"] == "rg"


def test_from_bash(parts: Parts) -> None:
    for line in ("rg -n x", "exec rg -n x", "(rg -n x)", f"{parts.rg} -n x", "eval 'rg -n x'", "rg -n x | cat; exit 5"):
        got = run("/bin/bash", "-c", line, env=parts.env)
        assert (got["tag"], got["argv"][1:]) == ("shim", ["-n", "x"]), line  # type: ignore[index]
    got = run("/bin/bash", "-c", f"exec -a rg {parts.claude} -n x", env=parts.env)
    assert (got["tag"], got["CURSERVE_ASKED"]) == ("shim", str(parts.claude))
    assert run("/bin/sh", "-c", "rg x", env=parts.env)["tag"] == "shim"


def test_from_login_shells_that_set_path_anew(parts: Parts, tmp_path: Path) -> None:
    """Debian's /etc/profile does, and a user's own files."""
    (tmp_path / ".profile").write_text(f"PATH='{parts.rg.parent}':/usr/bin:/bin\n")
    env = {**parts.env, "HOME": str(tmp_path), "PATH": f"{parts.shim.parent}:/usr/bin:/bin"}
    for shell in ("/bin/bash", "/bin/sh"):
        got = run(shell, "-lc", "rg -n x", env=env)
        assert (got["tag"], got["CURSERVE_ASKED"]) == ("shim", str(parts.rg)), shell


@pytest.mark.parametrize("options", ["", ", close_fds=False", ", start_new_session=True", ", shell=True", ", cwd='/'"])
def test_from_python(parts: Parts, options: str) -> None:
    argv = "'rg -n x'" if "shell" in options else "['rg', '-n', 'x']"
    code = f"import subprocess, sys; sys.exit(subprocess.run({argv}{options}).returncode)"
    got = run(os.path.realpath(sys.executable), "-c", code, env=parts.env)
    assert (got["tag"], got["argv"][1:]) == ("shim", ["-n", "x"])  # type: ignore[index]


@pytest.mark.skipif(not shutil.which("node"), reason="no Node here")
@pytest.mark.parametrize(
    "code",
    [
        "const r = c.spawnSync('rg', ['-n', 'x'], {stdio: 'inherit'}); process.exit(r.status)",
        "c.spawn('rg', ['-n', 'x'], {stdio: 'inherit'}).on('close', s => process.exit(s))",
        "c.spawn(process.env.RG, ['-n', 'x'], {stdio: 'inherit', env: {A: 'b'}}).on('close', s => process.exit(s))",
        "c.spawn(process.env.CLAUDE, ['-n', 'x'], {stdio: 'inherit', argv0: 'rg'}).on('close', s => process.exit(s))",
        "c.exec('rg -n x', (e, out) => { process.stdout.write(out); process.exit(e.code) })",
    ],
)
def test_from_node(parts: Parts, code: str) -> None:
    env = {**parts.env, "RG": str(parts.rg), "CLAUDE": str(parts.claude)}
    got = run(shutil.which("node"), "-e", f"const c = require('child_process'); {code}", env=env)
    assert (got["tag"], got["argv"][1:]) == ("shim", ["-n", "x"])  # type: ignore[index]


def test_through_the_real_shim(parts: Parts, tmp_path: Path) -> None:
    """Served when a daemon answers; else the very program asked for, with its argv[0], and only once."""
    env = {**parts.env, "CURSERVE_SHIM": str(parts.real_shim), "CURSERVE_SOCKET": str(tmp_path / "socket")}
    got = run(parts.execs, "execve", parts.claude, "rg", "-n", "x", env=env)
    assert (got["tag"], got["argv"], got["CURSERVE_ASKED"]) == ("claude", ["rg", "-n", "x"], None)
    got = run(parts.execs, "execvp", "rg", "rg", "-n", "x", env=env)
    assert (got["tag"], got["argv"], got["CURSERVE_ASKED"]) == ("rg", ["rg", "-n", "x"], None)
    with serving(tmp_path / "socket", lambda peer, request: frame(STDOUT, b"served\n") + exit_frame(0)):
        done = subprocess.run([parts.execs, "execvp", "rg", "rg", "x"], env=env, capture_output=True, check=False)
        assert (done.returncode, done.stdout) == (0, b"served\n")


def test_the_shim_itself_and_its_copies_are_not_swapped(parts: Parts, tmp_path: Path) -> None:
    shutil.copy(parts.real_shim, tmp_path / "rg")
    env = {**parts.env, "CURSERVE_SOCKET": str(tmp_path / "none"), "CURSERVE_REAL_RG": str(real_rg())}
    for program in (parts.real_shim, tmp_path / "rg"):
        done = subprocess.run(
            [parts.execs, "execve", program, "rg", "--version"], env=env, capture_output=True, check=False
        )
        assert done.stdout.startswith(b"ripgrep ")


def test_wrappers_cannot_make_a_circle(parts: Parts, tmp_path: Path) -> None:
    """The program asked for is dynamic and loads us; the wrapper it stands behind executes rg by name again."""
    wrapper = tmp_path / "w" / "rg"
    wrapper.parent.mkdir()
    env = {**parts.env, "CURSERVE_SHIM": str(parts.real_shim), "CURSERVE_SOCKET": str(tmp_path / "none")}
    env["PATH"] = f"{wrapper.parent}:{parts.real_shim.parent}:{env['PATH']}"
    for line in (
        f'exec "{parts.real_shim}" "$@"',
        f'"{parts.real_shim}" "$@"',
        f'exec "{parts.rg}" "$@"',
        f'"{parts.rg}" "$@"',
    ):
        wrapper.write_text(f"#!/bin/sh\n{line}\n")
        wrapper.chmod(0o755)
        got = run(parts.execs, "execvp", "rg", "rg", "-n", env=env)
        assert (got["tag"], got["argv"][1:]) == ("rg", ["-n"]), line  # type: ignore[index]


def test_title_written_over_the_environment(parts: Parts, tmp_path: Path) -> None:
    """Some programs write their title over argv and the environment; what we remember must not be there."""
    source = tmp_path / "title.c"
    source.write_text(
        "#include <string.h>\n#include <unistd.h>\nextern char **environ;\n"
        "int main(int argc, char **argv) {\n"
        '    char *rg = strdup(argv[1]), *given[] = {"MINE", 0};\n    given[0] = strdup("MINE=1");\n'
        "    char *start = argv[0], *end = start; (void)argc;\n"
        "    for (char **e = environ; *e; e++) end = *e + strlen(*e);\n"
        "    memset(start, 'x', (size_t)(end - start));\n"
        '    char *args[] = {"rg", 0};\n    return execve(rg, args, given);\n}\n'
    )
    cc("-o", tmp_path / "title", source)
    got = run(tmp_path / "title", parts.rg, env=parts.env)
    assert (got["tag"], got["CURSERVE_SOCKET"]) == ("shim", "/session/socket")


def test_many_threads_and_a_big_environment(parts: Parts) -> None:
    """A search per thread of one Python process, with more variables than we copy: then the real thing runs."""
    code = (
        "import subprocess, threading\n"
        "def one(): assert b'shim' in subprocess.run(['rg'], stdout=subprocess.PIPE).stdout\n"
        "ts = [threading.Thread(target=one) for _ in range(16)]\n"
        "[t.start() for t in ts]; [t.join() for t in ts]\n"
        "import os\n"
        "env = {**os.environ, **{f'V{i}': '1' for i in range(4100)}}\n"
        "import sys; sys.exit(subprocess.run(['rg'], env=env).returncode)"
    )
    assert threading.active_count() < 100
    assert run(os.path.realpath(sys.executable), "-c", code, env=parts.env)["tag"] == "rg"
