"""Wrong place, right name: what only looks like the attached folder is never answered from it.

And hard places: mounts below a root, a full inotify queue, too few watches, folders that may not be read.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from built_c import build
from daemon_place import wait_for
from oracle import REAL_RG, Box, compare

from curserve import paths
from curserve.verify.answers import Answer

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="mounts and chroots need root")


@pytest.fixture
def tree(own_box: Box, tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    (root / "sub").mkdir(parents=True)
    (root / "a.txt").write_text("true answer\n")
    (root / "sub" / "b.txt").write_text("true answer below\n")
    own_box.attach(root)
    assert compare(own_box, ["answer"], root).served
    return root


def _inside(box: Box, script: str, *unshare: str) -> bytes:
    """What a shell script prints in a namespace of its own; $RG is the shim."""
    env = {**box.env, "RG": str(paths.shim_dir() / "rg"), "CURSERVE_TRACE": str(box.folder / "inside")}
    command = ["unshare", *unshare, "--", "sh", "-ec", script] if unshare else ["sh", "-ec", script]
    done = subprocess.run(command, env=env, stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


@ROOT_ONLY
def test_another_mount_namespace(own_box: Box, tree: Path) -> None:
    other = tree.parent / "other"
    other.mkdir()
    (other / "c.txt").write_text("another answer\n")
    printed = _inside(own_box, f'mount --bind "{other}" "{tree}"; cd "{tree}"; "$RG" answer', "-m")
    assert printed == b"c.txt:another answer\n"
    assert b'"mount_namespace"' in (own_box.folder / "inside").read_bytes()
    assert compare(own_box, ["answer"], tree).served


@ROOT_ONLY
def test_mount_over_the_root(own_box: Box, tree: Path) -> None:
    other = tree.parent / "other"
    other.mkdir()
    (other / "c.txt").write_text("another answer\n")
    subprocess.run(["mount", "--bind", str(other), str(tree)], check=True)
    try:
        assert compare(own_box, ["answer"], tree).stdout == b"c.txt:another answer\n"
        compare(own_box, ["answer", str(tree)], "/")
    finally:
        subprocess.run(["umount", str(tree)], check=True)
    compare(own_box, ["answer"], tree)
    own_box.attach(tree)
    assert compare(own_box, ["answer"], tree).served


@ROOT_ONLY
@pytest.mark.parametrize("kind", ["bind", "tmpfs", "beneath"])
def test_mount_below_the_root(own_box: Box, tree: Path, kind: str) -> None:
    """Another folder, another file system, a mount inside a mount: what is mounted is searched, served and followed."""
    other = tree.parent / "other"
    (other / "deep").mkdir(parents=True)
    (other / "deep" / "c.txt").write_text("another answer\n")
    place = tree / "sub"
    mounts = [(["--bind", str(other)], place)] if kind != "tmpfs" else [(["-t", "tmpfs", "none"], place)]
    if kind == "beneath":
        mounts.append((["-t", "tmpfs", "none"], place / "deep"))
    done: list[Path] = []
    try:
        for words, point in mounts:
            subprocess.run(["mount", *words, str(point)], check=True)
            done.append(point)
            assert compare(own_box, ["answer"], tree).served
            compare(own_box, ["answer", str(tree)], "/")
            compare(own_box, ["answer"], point)
            (point / "d.txt").write_text("an answer written while mounted\n")
            assert compare(own_box, ["answer"], tree).served
            (point / "d.txt").write_text("answer changed\n")
            assert compare(own_box, ["answer"], tree).served
            (tree / "a.txt").write_text(f"answer beside {point}\n")
            assert compare(own_box, ["answer"], tree).served
            compare(own_box, ["answer", "--one-file-system"], tree)
    finally:
        while done:
            subprocess.run(["umount", str(done.pop())], check=True)
            assert compare(own_box, ["answer"], tree).served
    (place / "b.txt").write_text("the answer below is what it was, and followed\n")
    assert compare(own_box, ["answer"], tree).served


@ROOT_ONLY
def test_mount_of_a_file_system_that_tells_of_nothing(own_box: Box, tree: Path) -> None:
    subprocess.run(["mount", "-t", "proc", "none", str(tree / "sub")], check=True)
    try:
        answer = own_box.rg(["answer", "a.txt"], tree)
        assert answer.stdout == b"true answer\n"
        assert not answer.served
        assert "proc" in _workspace(own_box)["why"]
    finally:
        subprocess.run(["umount", str(tree / "sub")], check=True)
    compare(own_box, ["answer"], tree)
    own_box.control("detach", root=str(tree))
    own_box.attach(tree)
    assert compare(own_box, ["answer"], tree).served


@pytest.mark.timeout(300)
def test_full_inotify_queue(own_box: Box, tree: Path) -> None:
    """A checkout of more files than the queue has room for, while the daemon does not read it."""
    git = ["git", "-C", str(tree), "-c", "user.name=t", "-c", "user.email=t@localhost", "-c", "gc.auto=0"]
    room = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    if room > 40000:
        pytest.skip(f"the queue holds {room} events")
    subprocess.run(["git", "init", "-q", str(tree)], check=True)
    for index in range(50):  # folders that stay, and their watches with them
        (tree / "sub" / str(index)).mkdir()
        (tree / "sub" / str(index) / "stays.txt").write_text("answer that stays\n")
    subprocess.run([*git, "add", "-A"], check=True)
    subprocess.run([*git, "commit", "-q", "-m", "few"], check=True)
    for index in range(max(10000, room // 2)):
        (tree / "sub" / str(index % 50) / f"{index}.txt").write_text("answer\n")
    subprocess.run([*git, "add", "-A"], check=True)
    subprocess.run([*git, "commit", "-q", "-m", "many"], check=True)
    assert compare(own_box, ["-c", "answer"], tree).served
    assert own_box.process is not None
    before = _workspace(own_box)["overflows"]
    for commit in ("HEAD~1", "-"):
        own_box.process.send_signal(signal.SIGSTOP)
        try:
            subprocess.run([*git, "checkout", "-q", commit], check=True)
        finally:
            own_box.process.send_signal(signal.SIGCONT)
        compare(own_box, ["-c", "answer"], tree)
        assert compare(own_box, ["-c", "answer"], tree).served
    assert _workspace(own_box)["overflows"] > before
    (tree / "sub" / "7" / "7.txt").write_text("answer followed again\n")
    assert compare(own_box, ["answer"], tree).served


def _workspace(box: Box) -> dict[str, Any]:
    """What `status` says of the only workspace."""
    workspaces = box.control("status")["workspaces"]
    assert len(workspaces) == 1
    return dict(workspaces[0])


@ROOT_ONLY
def test_chroot(own_box: Box, tree: Path) -> None:
    jail = tree.parent / "jail"
    inside = jail / str(tree).lstrip("/")
    inside.mkdir(parents=True)
    (inside / "c.txt").write_text("jailed answer\n")
    (jail / "proc").mkdir()
    shutil.copy(paths.shim_dir() / "rg", jail / "shim")
    shutil.copy(REAL_RG, jail / "real")
    run = jail / str(own_box.socket.parent).lstrip("/")
    run.mkdir(parents=True, exist_ok=True)
    os.link(own_box.socket, run / own_box.socket.name)
    code = (
        f"import os; os.chroot({str(jail)!r}); os.chdir({str(tree)!r}); "
        f"os.environ['CURSERVE_REAL_RG'] = '/real'; os.execv('/shim', ['rg', 'answer'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=own_box.env, stdin=subprocess.DEVNULL, capture_output=True, timeout=60
    )
    assert done.stdout == b"c.txt:jailed answer\n", done.stderr


def test_retargeted_symlink(own_box: Box, tree: Path) -> None:
    other = tree.parent / "other"
    other.mkdir()
    (other / "c.txt").write_text("another answer\n")
    link = tree.parent / "link"
    link.symlink_to(tree)
    compare(own_box, ["answer", str(link)], "/")
    link.unlink()
    link.symlink_to(other)
    compare(own_box, ["answer", str(link)], "/")
    compare(own_box, ["answer"], link)
    inside = tree / "inner"
    inside.symlink_to("sub")
    compare(own_box, ["answer", "inner"], tree)
    inside.unlink()
    inside.symlink_to(other)
    compare(own_box, ["answer", "inner"], tree)
    compare(own_box, ["answer", "inner/../a.txt"], tree)


def test_root_renamed_and_replaced(own_box: Box, tree: Path) -> None:
    tree.rename(tree.parent / "was")
    tree.mkdir()
    (tree / "c.txt").write_text("new answer\n")
    assert compare(own_box, ["answer"], tree).stdout == b"c.txt:new answer\n"


def test_ancestor_renamed_and_replaced(own_box: Box, tmp_path: Path) -> None:
    root = tmp_path / "up" / "root"
    root.mkdir(parents=True)
    (root / "a.txt").write_text("old answer\n")
    own_box.attach(root)
    assert compare(own_box, ["answer"], root).served
    (tmp_path / "up").rename(tmp_path / "gone")
    root.mkdir(parents=True)
    (root / "c.txt").write_text("new answer\n")
    assert compare(own_box, ["answer"], root).stdout == b"c.txt:new answer\n"


@ROOT_ONLY
def test_client_with_fewer_rights(own_box: Box, tree: Path) -> None:
    """Same uid, but without the capabilities that let the daemon read everything."""
    (tree / "secret.txt").write_text("secret answer\n")
    (tree / "secret.txt").chmod(0)
    os.chown(tree / "secret.txt", 65534, 65534)
    assert b"secret" in compare(own_box, ["answer"], tree).stdout
    script = f'cd "{tree}"; setpriv --bounding-set=-all --inh-caps=-all --ambient-caps=-all "$RG" answer || true'
    printed = _inside(own_box, script)
    assert b"secret" not in printed
    assert b"a.txt:true answer" in printed


@ROOT_ONLY
def test_client_that_gave_up_new_privileges(own_box: Box, tree: Path) -> None:
    printed = _inside(own_box, f'cd "{tree}"; setpriv --no-new-privs "$RG" answer a.txt')
    assert printed == b"true answer\n"
    assert b'"sandbox"' in (own_box.folder / "inside").read_bytes()


def test_a_sandbox_that_lets_nobody_connect(own_box: Box, tree: Path, tmp_path: Path) -> None:
    """The real rg runs, and the daemon counts it, though nobody could tell it: see curserve/refusals.py."""
    refuse = build("tests/c/refuse.c", tmp_path)
    for count in (1, 2, 3):
        done = subprocess.run(
            [refuse, paths.shim_dir() / "rg", "answer", "a.txt"], cwd=tree, env=own_box.env, capture_output=True,
            stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip
        if done.returncode == 99:
            pytest.skip("no seccomp filters here")
        assert (done.returncode, done.stdout, done.stderr) == (0, b"true answer\n", b"")
        numbers = own_box.control("status")["requests"]
        assert (numbers["declined"], numbers["declined_by_reason"]) == (count, {"sandbox": count})


def test_only_a_fifo_is_written_to(tree: Path, tmp_path: Path) -> None:
    """Whatever else has the name stays as it is."""
    refuse = build("tests/c/refuse.c", tmp_path)
    beside = tmp_path / "s.refused"
    beside.write_text("mine")
    env = {"PATH": "/usr/bin:/bin", "CURSERVE_SOCKET": str(tmp_path / "s"), "CURSERVE_REAL_RG": REAL_RG}
    done = subprocess.run([refuse, paths.shim_dir() / "rg", "answer", tree / "a.txt"], env=env, check=False)
    assert done.returncode in (0, 99) and beside.read_text() == "mine"


class Confined(Box):
    """A daemon and its clients, started by a command that takes something away from them."""

    def __init__(self, folder: Path, *by: str) -> None:
        folder.mkdir()
        super().__init__(folder)
        self.by = by

    def __enter__(self) -> Confined:
        self.start()
        return self

    def start(self) -> None:
        command = [*self.by, sys.executable, "-P", "-m", "curserve.daemon_main"]
        null = subprocess.DEVNULL
        self.process = subprocess.Popen(command, env=self.env, stdin=null, stdout=null, stderr=null)
        wait_for(lambda: Path(f"{self.socket}.control").exists() and bool(self.control("ping")["ok"]), "the daemon")

    def both(self, argv: list[str], cwd: Path) -> Answer:
        """Our answer, compared with that of a ripgrep that is as confined."""
        trace = self.folder / "trace-of-one"
        trace.unlink(missing_ok=True)
        ours, theirs = (
            subprocess.run(
                [*self.by, rg, *argv], cwd=cwd, env={**self.env, "CURSERVE_TRACE": str(trace)},
                stdin=subprocess.DEVNULL, capture_output=True, timeout=60,
            )
            for rg in (str(paths.shim_dir() / "rg"), REAL_RG)
        )  # fmt: skip
        assert ours.returncode == theirs.returncode
        for mine, its in ((ours.stdout, theirs.stdout), (ours.stderr, theirs.stderr)):
            assert sorted(mine.splitlines()) == sorted(its.splitlines())
        record = json.loads(trace.read_text())
        return Answer(ours.stdout, ours.stderr, ours.returncode, record["served"], record["reason"])


def test_folders_that_may_not_be_read(tmp_path: Path) -> None:
    """Without the rights of root, that is. Folders and files whose rights go and come again."""
    root = tmp_path / "root"
    (root / "open").mkdir(parents=True)
    (root / "closed").mkdir()
    (root / "open" / "a.txt").write_text("answer\n")
    (root / "closed" / "b.txt").write_text("secret answer\n")
    by = ("setpriv", "--bounding-set=-all", "--inh-caps=-all", "--ambient-caps=-all") if os.geteuid() == 0 else ()
    (root / "closed").chmod(0)
    with Confined(tmp_path / "box", *by) as box:
        try:
            box.attach(root)
            answer = box.both(["answer"], root)  # ripgrep complains, in words of its own
            assert b"Permission denied" in answer.stderr
            assert box.both(["answer"], root / "open").served
            (root / "closed").chmod(0o700)
            answer = box.both(["answer"], root)
            assert answer.served
            assert b"secret" in answer.stdout
            (root / "closed" / "b.txt").write_text("secret answer, changed\n")
            assert box.both(["answer"], root).served
            (root / "closed").chmod(0o300)
            assert b"secret" not in box.both(["answer"], root).stdout
            (root / "closed").chmod(0o400)  # its names may be read, its files may not
            assert b"secret" not in box.both(["answer"], root).stdout
            (root / "closed").chmod(0o700)
            assert box.both(["answer"], root).served
            (root / "open" / "a.txt").chmod(0)
            assert b"Permission denied" in box.both(["answer"], root).stderr
            (root / "open" / "a.txt").chmod(0o600)
            assert box.both(["answer"], root).served
        finally:
            (root / "closed").chmod(0o700)


def test_one_processor(tmp_path: Path) -> None:
    """ripgrep does without threads then, which shows in what it says of missing files, for one."""
    if len(os.sched_getaffinity(0)) < 2 or shutil.which("taskset") is None:
        pytest.skip("one processor only, or no taskset")
    root = tmp_path / "root"
    root.mkdir()
    for name in ("a.txt", "b.txt"):
        (root / name).write_text("before\nanswer\nafter\n" * 2)
    searches = [["answer", "a.txt", "nowhere"], ["--pretty", "-C1", "answer", ".", "a.txt"]]
    by = ("taskset", "-c", str(min(os.sched_getaffinity(0))))
    told = []
    for confined in (by, ("taskset", "-c", ",".join(map(str, os.sched_getaffinity(0))))):
        with Confined(tmp_path / f"box{len(told)}", *confined) as box:
            box.attach(root)
            answers = [box.both(argv, root) for argv in searches]
            assert all(answer.served for answer in answers)
            told.append(answers[0].stderr)
            box.by = () if confined == by else by  # a caller with other processors than the daemon's
            assert {box.both(argv, root).reason for argv in searches} == {"cpus"}
    assert told[0] != told[1]


def test_too_few_watches(tmp_path: Path) -> None:
    """In a user namespace with a limit of its own."""
    limit = "/proc/sys/user/max_inotify_watches"
    by = ("unshare", "-U", "-r", "sh", "-c", f'echo 30 > {limit} && exec "$@"', "sh")
    if subprocess.run([*by, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("no user namespaces to be had")
    root = tmp_path / "root"
    for index in range(60):
        (root / str(index)).mkdir(parents=True)
        (root / str(index) / "a.txt").write_text("answer\n")
    with Confined(tmp_path / "box", *by) as box:
        answer = box.control("attach", root=str(root), wait=True)
        assert answer["state"] == "failed"
        assert "max_user_watches" in _workspace(box)["why"]
        assert not compare(box, ["-c", "answer"], root).served
        small = root / "7"
        box.control("detach", root=str(root))
        box.attach(small)  # the watches were given back
        compare(box, ["answer"], small)
