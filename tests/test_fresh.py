"""Read-your-writes: every change is followed at once by a search, which must see it.

Each step changes the tree in one of the ways a file system allows, then asks for every line of every file and for the
list of files, and compares with ripgrep. CURSERVE_FRESH_STEPS sets the number of steps (default 250),
CURSERVE_FRESH_SEED the course they take. What no event tells is not among them: test_fresh_exceptions.py has that.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import random
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from oracle import Box, compare

STEPS = int(os.environ.get("CURSERVE_FRESH_STEPS", "250"))
SEED = int(os.environ.get("CURSERVE_FRESH_SEED", "20261120"))


class Changer:
    """Random changes of a tree, with a place outside of it on the same file system."""

    def __init__(self, root: Path, outside: Path, seed: int) -> None:
        self.root, self.outside = root, outside
        self.random = random.Random(seed)
        self.count = 0
        self.held: list[int] = []  # descriptors that stay open, of files whose names came and went
        self.mounted: Path | None = None  # where something is mounted until the next step
        self.moved = False  # the root has another path than the one that was attached

    def word(self) -> str:
        self.count += 1
        return f"word{self.count} {self.random.choice(['alpha', 'beta', 'gamma'])}\n"

    def files(self) -> list[Path]:
        found = [p for p in self.root.rglob("*") if ".git" not in p.parts and p.is_file() and not p.is_symlink()]
        return sorted(found)

    def folders(self) -> list[Path]:
        return [
            self.root,
            *sorted(p for p in self.root.rglob("*") if ".git" not in p.parts and p.is_dir() and not p.is_symlink()),
        ]

    def file(self) -> Path:
        return self.random.choice(self.files() or [self.create()])

    def folder(self) -> Path:
        return self.random.choice(self.folders())

    def fresh(self, folder: Path | None = None) -> Path:
        self.count += 1
        return (folder or self.folder()) / f"n{self.count}.{self.random.choice(['py', 'txt', 'c'])}"

    # ---- the changes; each gives a path for the test's message

    def create(self) -> Path:
        path = self.fresh()
        path.write_text(self.word())
        return path

    def overwrite(self) -> Path:
        path = self.file()
        path.write_text(self.word() * self.random.randint(0, 3))
        return path

    def overwrite_same_size(self) -> Path:
        path = self.file()
        size = path.stat().st_size
        with path.open("r+b") as file:
            file.write(bytes(self.random.choice(b"xyz\n") for _ in range(size)))
        return path

    def append(self) -> Path:
        path = self.file()
        with path.open("a") as file:
            file.write(self.word())
        return path

    def append_and_keep_open(self) -> Path:
        path = self.file()
        fd = os.open(path, os.O_WRONLY | os.O_APPEND)
        os.write(fd, self.word().encode())
        self.held.append(fd)
        return path

    def write_to_held(self) -> Path:
        if self.held:
            os.write(self.random.choice(self.held), self.word().encode())
        return self.root

    def truncate(self) -> Path:
        path = self.file()
        os.truncate(path, self.random.randint(0, 20))
        return path

    def rename_over(self) -> Path:
        path = self.file()
        temporary = path.with_name(".tmp-save")
        temporary.write_text(self.word())
        temporary.replace(path)
        return path

    def rename_over_from_outside(self) -> Path:
        path = self.file()
        temporary = self.outside / "save"
        temporary.write_text(self.word())
        temporary.replace(path)
        return path

    def rename_file(self) -> Path:
        path = self.file()
        return path.rename(self.fresh())

    def move_folder(self) -> Path:
        folders = self.folders()[1:]
        if not folders:
            return self.make_tree()
        folder = self.random.choice(folders)
        target = self.random.choice([f for f in self.folders() if folder not in [f, *f.parents]])
        self.count += 1
        return folder.rename(target / f"moved{self.count}")

    def move_out_write_move_back(self) -> Path:
        folders = self.folders()[1:]
        if not folders:
            return self.make_tree()
        folder = self.random.choice(folders)
        away = folder.rename(self.outside / f"away{self.count}")
        self.count += 1
        (away / f"w{self.count}.txt").write_text(self.word())
        for path in sorted(away.rglob("*.py"))[:2]:
            if path.is_file():
                path.write_text(self.word())
        return away.rename(folder)

    def delete(self) -> Path:
        path = self.file()
        path.unlink()
        return path

    def delete_tree(self) -> Path:
        folders = self.folders()[1:]
        if not folders:
            return self.root
        folder = self.random.choice(folders)
        shutil.rmtree(folder)
        return folder

    def make_tree(self) -> Path:
        self.count += 1
        top = self.folder() / f"tree{self.count}"
        for below in ("a/b", "c", "a/d"):
            (top / below).mkdir(parents=True)
            (top / below / "f.py").write_text(self.word())
        return top

    def chmod(self) -> Path:
        path = self.file()
        path.chmod(self.random.choice([0o600, 0o644, 0o755]))
        return path

    def symlink(self) -> Path:
        path = self.fresh()
        path.symlink_to(self.random.choice([self.file(), self.folder(), self.root / "nowhere"]))
        return path

    def file_becomes_folder(self) -> Path:
        path = self.file()
        path.unlink()
        path.mkdir()
        (path / "inner.txt").write_text(self.word())
        return path

    def append_synchronously(self) -> Path:
        path = self.file()
        fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_DSYNC)
        os.write(fd, self.word().encode())
        os.close(fd)
        return path

    def store_into_a_mapping(self) -> Path:
        path = self.file()
        with path.open("r+b") as file:
            file.write(self.word().encode())
            file.flush()
            with mmap.mmap(file.fileno(), 0) as mapping:
                mapping[0:4] = self.random.choice([b"Map1", b"Map2"])
        return path

    def link_from_outside_and_write_there(self) -> Path:
        self.count += 1
        other = self.outside / f"link{self.count}"
        other.write_text(self.word())
        os.link(other, self.fresh())
        return self.write_through(other)

    def link_to_the_outside_and_write_there(self) -> Path:
        """The link itself raises no event, so something else has to: here a chmod of the name in the tree."""
        path = self.file()
        self.count += 1
        other = self.outside / f"link{self.count}"
        os.link(path, other)
        path.chmod(0o640)
        return self.write_through(other)

    def write_through_a_link(self) -> Path:
        links = [p for p in self.outside.glob("link*") if p.stat().st_nlink > 1]
        return self.write_through(self.random.choice(links)) if links else self.root

    def write_through(self, path: Path) -> Path:
        with path.open("a") as file:
            file.write(self.word())
        return path

    def link_and_unlink_with_open_descriptor(self) -> Path:
        self.count += 1
        other = self.outside / f"open{self.count}"
        fd = os.open(other, os.O_WRONLY | os.O_CREAT, 0o644)
        path = self.fresh()
        os.link(other, path)
        other.unlink()
        os.write(fd, self.word().encode())
        self.held.append(fd)
        return path

    def tmpfile(self) -> Path:
        fd = os.open(self.folder(), os.O_TMPFILE | os.O_WRONLY, 0o644)
        os.write(fd, self.word().encode())
        path = self.fresh()
        libc = ctypes.CDLL(None, use_errno=True)
        at_fdcwd, follow = -100, 0x400
        done = libc.linkat(at_fdcwd, f"/proc/self/fd/{fd}".encode(), at_fdcwd, os.fsencode(path), follow)
        assert done == 0, os.strerror(ctypes.get_errno())
        os.write(fd, self.word().encode())
        self.held.append(fd)
        return path

    def gitignore(self) -> Path:
        path = self.folder() / self.random.choice([".gitignore", ".ignore", ".rgignore"])
        path.write_text(self.random.choice(["*.c\n", "!*.c\n", "n1*\n", "/tree*/\n", "", "*.txt\n!n2*.txt\n"]))
        return path

    def exclude(self) -> Path:
        path = self.root / ".git" / "info" / "exclude"
        if not (self.root / ".git").exists():
            self.git_folder_comes_or_goes()
        path.parent.mkdir(exist_ok=True)
        path.write_text(self.random.choice(["*.c\n", "", "tree*\n"]))
        return path

    def git_folder_comes_or_goes(self) -> Path:
        git, away = self.root / ".git", self.outside / "git-away"
        if git.exists():
            return git.rename(away)
        return away.rename(git)

    def git_checkout(self) -> Path:
        if not (self.root / ".git").exists():
            self.git_folder_comes_or_goes()
        git = ["git", "-C", str(self.root), "-c", "user.name=t", "-c", "user.email=t@localhost"]
        subprocess.run([*git, "add", "-A"], check=True, capture_output=True)
        subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "m"], check=True, capture_output=True)
        commits = subprocess.run([*git, "rev-list", "--all", "-n", "5"], check=True, capture_output=True).stdout.split()
        subprocess.run([*git, "checkout", "-q", "-f", self.random.choice(commits).decode()], check=True)
        return self.root

    def checkout_of_many_files(self) -> Path:
        if not (self.root / ".git").exists():
            self.git_folder_comes_or_goes()
        git = ["git", "-C", str(self.root), "-c", "user.name=t", "-c", "user.email=t@localhost"]
        self.count += 1
        many = self.root / f"many{self.count}"
        for index in range(300):
            (many / f"{index % 7}").mkdir(parents=True, exist_ok=True)
            (many / f"{index % 7}" / f"{index}.txt").write_text(self.word())
        for command in (["add", "-A"], ["commit", "-q", "-m", "many"], ["rm", "-r", "-q", "-f", many.name],
                        ["commit", "-q", "-m", "none"], ["checkout", "-q", "-f", "HEAD~1"]):  # fmt: skip
            subprocess.run([*git, *command], check=True, capture_output=True)
        if self.random.random() < 0.5:
            shutil.rmtree(many, ignore_errors=True)
        return many

    def mount_below(self) -> Path:
        if os.geteuid() != 0:
            return self.root
        self.close_held()  # the folder is read anew afterwards: the third exception
        self.count += 1
        there = self.outside / f"mounted{self.count}"
        (there / "deep").mkdir(parents=True)
        (there / "deep" / "m.txt").write_text(self.word())
        self.mounted = self.folder()
        if self.mounted == self.root:
            self.mounted = self.root / f"mount{self.count}"
            self.mounted.mkdir()
        subprocess.run(["mount", "--bind", str(there), str(self.mounted)], check=True)
        return self.mounted

    def unmount(self) -> None:
        if self.mounted is not None:
            subprocess.run(["umount", str(self.mounted)], check=True)
        self.mounted = None

    def rename_ancestor(self) -> Path:
        self.close_held()  # as above
        self.count += 1
        above = self.root.parent.rename(self.root.parent.with_name(f"up{self.count}"))
        self.root, self.moved = above / self.root.name, True
        return above

    def close_held(self) -> Path:
        while self.held:
            os.close(self.held.pop())
        return self.root


CHANGES: list[Callable[[Changer], Path]] = [
    Changer.create, Changer.overwrite, Changer.overwrite_same_size, Changer.append, Changer.append_and_keep_open,
    Changer.write_to_held, Changer.truncate, Changer.rename_over, Changer.rename_over_from_outside, Changer.rename_file,
    Changer.move_folder, Changer.move_out_write_move_back, Changer.delete, Changer.delete_tree, Changer.make_tree,
    Changer.chmod, Changer.symlink, Changer.file_becomes_folder, Changer.append_synchronously,
    Changer.store_into_a_mapping, Changer.link_from_outside_and_write_there,
    Changer.link_to_the_outside_and_write_there, Changer.write_through_a_link,
    Changer.link_and_unlink_with_open_descriptor, Changer.tmpfile, Changer.gitignore,
    Changer.exclude, Changer.git_folder_comes_or_goes, Changer.git_checkout, Changer.checkout_of_many_files,
    Changer.mount_below, Changer.rename_ancestor, Changer.close_held,
]  # fmt: skip


@pytest.fixture
def changer(tmp_path: Path) -> Iterator[Changer]:
    root, outside = tmp_path / "up" / "root", tmp_path / "outside"
    root.mkdir(parents=True)
    outside.mkdir()
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    # A collection of garbage in the background would remove files under our walk.
    subprocess.run(["git", "-C", str(root), "config", "gc.auto", "0"], check=True)
    made = Changer(root, outside, SEED)
    for _ in range(6):
        made.create()
        made.make_tree()
    yield made
    made.unmount()
    made.close_held()


def check(box: Box, changer: Changer) -> int:
    """Compares two searches with ripgrep, again after a mount was taken away; how many of them were served."""
    served = 0
    while True:
        served += compare(box, ["-n", ""], changer.root).served
        served += compare(box, ["--files", "--hidden", "-g", "!.git"], changer.root).served
        if changer.mounted is None:
            break
        changer.unmount()
    if changer.moved:  # the old root is gone; at its new place it is another workspace
        box.attach(changer.root)
        changer.moved = False
        served = check(box, changer)
    return served


@pytest.mark.timeout(60 + STEPS)
def test_every_search_sees_every_write(own_box: Box, changer: Changer) -> None:
    own_box.attach(changer.root)
    served = 0
    for step in range(STEPS):
        change = changer.random.choice(CHANGES)
        path = change(changer)
        print(step, change.__name__, path)  # the course so far, for whoever reads of a failure
        try:
            served += check(own_box, changer)
        except AssertionError as error:
            raise AssertionError(f"step {step} (seed {SEED}), {change.__name__} of {path}: {error}") from error
        if len(changer.files()) > 150:
            changer.delete_tree()
    # Otherwise nothing was tested: a decline is always right.
    assert served > STEPS * 1.6


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_each_change_is_seen(own_box: Box, changer: Changer, change: Callable[[Changer], Path]) -> None:
    own_box.attach(changer.root)
    for _ in range(4):
        change(changer)
        assert check(own_box, changer) > 0


def test_a_close_by_another_writer_settles_nothing(own_box: Box, changer: Changer) -> None:
    """A file made under another name is searched, then appended to under the new one: the old descriptor counts on."""
    own_box.attach(changer.root)
    for make in (Changer.link_and_unlink_with_open_descriptor, Changer.tmpfile):
        path = make(changer)
        check(own_box, changer)
        changer.write_through(path)
        check(own_box, changer)
        changer.write_to_held()
        assert check(own_box, changer) == 2
        changer.close_held()
