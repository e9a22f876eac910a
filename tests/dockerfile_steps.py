#!/usr/bin/env python3
"""Runs a Dockerfile's steps in order in Debian roots of our own: does it build, without Docker?

In: a Dockerfile, a build context, a folder. Out: one root per stage below the folder, and what the image would run
(ENTRYPOINT, CMD, USER, WORKDIR, ENV) as image.json. Knows these and FROM, RUN, COPY, as far as
deploy/Dockerfile uses them; anything else is an error. Needs root and debootstrap. Mounts are made in a namespace of
our own, so none is left behind.

usage: tests/dockerfile_steps.py DOCKERFILE CONTEXT FOLDER [WORD...]
       WORD…: run with the image's ENTRYPOINT, as `docker run IMAGE WORD…` would, a folder FOLDER/work being /work
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

_DEBIAN_ROOT = str(Path(__file__).resolve().with_name("debian-root.sh"))
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_IMAGE = re.compile(r"debian:(?P<suite>[a-z]+)(-slim)?")


class DockerfileError(Exception):
    """The Dockerfile says something that this does not know."""


@dataclass(frozen=True)
class Step:
    """One instruction: its word and the rest, lines joined."""

    word: str
    rest: str


@dataclass
class Stage:
    """What a stage has come to."""

    root: Path
    env: dict[str, str] = field(default_factory=lambda: {"PATH": _PATH})
    user: str = "root"
    workdir: str = "/"
    entrypoint: list[str] = field(default_factory=list)
    cmd: list[str] = field(default_factory=list)


def steps(text: str) -> list[Step]:
    """The instructions in their order. DockerfileError for an unknown one."""
    known = ("FROM", "RUN", "COPY", "ENV", "USER", "WORKDIR", "ENTRYPOINT", "CMD")
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n", " ", "\n".join(lines))
    found = []
    for line in filter(None, (line.strip() for line in joined.splitlines())):
        word, _, rest = line.partition(" ")
        if word not in known or not rest.strip():
            raise DockerfileError(f"what is this? {line}")
        found.append(Step(word, " ".join(rest.split())))
    return found


class Builder:
    """Carries steps out. Inside a mount and pid namespace of its own."""

    def __init__(self, context: Path, folder: Path) -> None:
        self._context = context
        self._folder = folder
        self._stages: dict[str, Stage] = {}
        self._stage: Stage | None = None

    def run(self, every: list[Step]) -> Stage:
        """All of them; the last stage."""
        for step in every:
            print(f"=== {step.word} {step.rest}", flush=True)
            if step.word == "FROM":
                self._from(step.rest)
                continue
            if self._stage is None:
                raise DockerfileError("the first instruction is FROM")
            getattr(self, f"_{step.word.lower()}")(self._stage, step.rest)
        if self._stage is None:
            raise DockerfileError("no FROM")
        return self._stage

    def inside(self, stage: Stage, command: list[str]) -> int:
        """Runs a command in the stage's root as its user, in its folder; the exit status."""
        home = "/root" if stage.user == "root" else f"/home/{stage.user}"
        script = '[ ! -r /root/package-access.env ] || . /root/package-access.env; cd "$0" && exec "$@"'
        env = {"HOME": home, **stage.env}
        return subprocess.run(
            ["chroot", f"--userspec={stage.user}", str(stage.root), "/bin/sh", "-c", script, stage.workdir, *command],
            env=env, stdin=subprocess.DEVNULL, check=False,
        ).returncode  # fmt: skip

    def _from(self, rest: str) -> None:
        words = rest.split()
        name = words[2] if len(words) == 3 and words[1].upper() == "AS" else str(len(self._stages))
        image = _IMAGE.fullmatch(words[0])
        if image is None or len(words) not in (1, 3):
            raise DockerfileError(f"an image that is no Debian: {rest}")
        base = self._folder / f"base-{image['suite']}"
        if not base.exists():
            subprocess.run([_DEBIAN_ROOT, "make", image["suite"], str(base)], check=True)
        root = self._folder / f"stage-{name}"
        subprocess.run(["cp", "-a", str(base), str(root)], check=True)
        # A mount of its own, as a container's root is.
        subprocess.run(["mount", "--bind", str(root), str(root)], check=True)
        subprocess.run([_DEBIAN_ROOT, "access", str(root)], check=True)
        for kind, place in (("proc", "proc"), ("tmpfs", "run"), ("tmpfs", "tmp")):
            subprocess.run(["mount", "-t", kind, kind, str(root / place)], check=True)
        subprocess.run(["mount", "--rbind", "/dev", str(root / "dev")], check=True)
        (root / "tmp").chmod(0o1777)
        self._stage = self._stages[name] = Stage(root)

    def _run(self, stage: Stage, rest: str) -> None:
        status = self.inside(stage, ["/bin/sh", "-c", rest])
        if status:
            raise SystemExit(f"RUN failed with {status}: {rest}")

    def _copy(self, stage: Stage, rest: str) -> None:
        words = rest.split()
        source = self._context
        if words[0].startswith("--from="):
            source = self._stages[words.pop(0).removeprefix("--from=")].root
        *names, target = words
        into = stage.root / target.lstrip("/")
        if target.endswith("/"):
            into.mkdir(parents=True, exist_ok=True)
        for name in names:
            found = source / name.lstrip("/")
            place = into / found.name if target.endswith("/") and not found.is_dir() else into
            place.parent.mkdir(parents=True, exist_ok=True)
            if found.is_dir():
                shutil.copytree(found, place, symlinks=True, dirs_exist_ok=True)
            else:
                shutil.copy2(found, place)

    def _env(self, stage: Stage, rest: str) -> None:
        for word in rest.split():
            name, equals, value = word.partition("=")
            if not equals:
                raise DockerfileError(f"ENV NAME=VALUE: {rest}")
            stage.env[name] = value

    def _user(self, stage: Stage, rest: str) -> None:
        stage.user = rest

    def _workdir(self, stage: Stage, rest: str) -> None:
        stage.workdir = rest
        (stage.root / rest.lstrip("/")).mkdir(parents=True, exist_ok=True)

    def _entrypoint(self, stage: Stage, rest: str) -> None:
        stage.entrypoint = json.loads(rest)

    def _cmd(self, stage: Stage, rest: str) -> None:
        stage.cmd = json.loads(rest)


def main(words: list[str]) -> int:
    """As the usage says; the exit status of the last command."""
    dockerfile, context, folder = (Path(word).resolve() for word in words[:3])
    if os.environ.get("DOCKERFILE_STEPS_INSIDE") != "yes":
        namespace = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--propagation", "private"]
        env = {**os.environ, "DOCKERFILE_STEPS_INSIDE": "yes"}
        return subprocess.run([*namespace, sys.executable, __file__, *words], env=env, check=False).returncode
    builder = Builder(context, folder)
    stage = builder.run(steps(dockerfile.read_text()))
    image = {"entrypoint": stage.entrypoint, "cmd": stage.cmd, "user": stage.user, "workdir": stage.workdir}
    (folder / "image.json").write_text(json.dumps({**image, "env": stage.env}))
    (folder / "work").mkdir(exist_ok=True)
    (stage.root / "work").mkdir(exist_ok=True)
    subprocess.run(["mount", "--bind", str(folder / "work"), str(stage.root / "work")], check=True)
    print("=== image", flush=True)
    return builder.inside(stage, [*stage.entrypoint, *(words[3:] or stage.cmd)])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
