"""The snapshot: what outlives the daemon, so that its successor answers from memory at once.

In: the kernel's store, the workspaces that were loaded or have changed. Out: files in a folder of ours (the kernel's
archive.h says what is in them and why they can be trusted), and the roots to be attached again. A thread of its own
saves, with the lowest priorities: a workspace when it has been indexed, and every `every_s` seconds if it has changed;
at an orderly stop the rest is saved at full speed. A daemon that is killed loses what came after the last save, which
costs only time: what has another stat than it had is read again. Trouble with the folder (no right, no room, another
daemon's) is logged, and means that nothing is kept.
"""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import queue
import threading
import time
import weakref
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curserve import paths
from curserve.kernel_door import Handle, ffi, lib

if TYPE_CHECKING:
    from curserve.config import Snapshot as Settings
    from curserve.workspaces import Workspace

_ROOTS = "roots"
_WORDS_BYTES = 8192

_log = logging.getLogger(__name__)


class Snapshot:
    """What is kept of one store. Every method may be called in every thread; without a folder they do nothing."""

    def __init__(self, store: Handle, settings: Settings) -> None:
        self._store = store
        self._every_s = settings.every_s
        self._folder: Path | None = None
        # Weak: what waits here, or was saved last, may be given up to make room in memory.
        self._queue: queue.SimpleQueue[weakref.ref[Workspace] | None] = queue.SimpleQueue()
        self._saving = threading.Lock()
        self._current: bytes | None = None
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._noted: list[str] = []
        if settings.enabled:
            self._open(Path(settings.dir) if settings.dir else paths.state_dir() / "snapshot", settings)

    def _open(self, folder: Path, settings: Settings) -> None:
        try:
            folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            _log.warning("no snapshot is kept: %s: %s", folder, error.strerror)
            return
        if lib.cs_store_archive(self._store.pointer, os.fsencode(folder), settings.size_bytes, settings.settled_s) != 0:
            _log.warning("no snapshot is kept: %s", ffi.string(lib.cs_error()).decode("utf-8", "replace"))
            return
        self._folder = folder
        self._tell()
        self._thread = threading.Thread(target=self._work, name="snapshot", daemon=True)
        self._thread.start()

    def roots(self) -> list[bytes]:
        """The roots that were attached when the last daemon noted them."""
        if self._folder is None:
            return []
        try:
            roots = json.loads((self._folder / _ROOTS).read_bytes())
        except (OSError, ValueError):
            return []
        return [os.fsencode(root) for root in roots if isinstance(root, str)] if isinstance(roots, list) else []

    def note_roots(self, roots: Iterable[bytes]) -> None:
        """Remember which roots are attached now."""
        if self._folder is None:
            return
        names = [os.fsdecode(root) for root in roots]
        with self._lock, contextlib.suppress(OSError):  # no room: the last list stays
            if names == self._noted:
                return
            fresh = self._folder / f"new-{_ROOTS}"
            fresh.write_text(json.dumps(names))
            fresh.replace(self._folder / _ROOTS)
            self._noted = names

    def soon(self, workspace: Workspace) -> None:
        """Save it when there is time."""
        if self._thread is not None:
            self._queue.put(weakref.ref(workspace))

    def forget(self, workspace: Workspace, patience_s: float) -> None:
        """It is given up: a save of it ends, and lets go of its memory, within so long."""
        lib.cs_tree_cancel_save(workspace.tree.pointer)
        if self._current == workspace.root and self._saving.acquire(timeout=patience_s):
            self._saving.release()

    def look(self, workspaces: Iterable[Workspace]) -> None:
        """Save those that have changed and were not saved for a while."""
        if self._thread is None:
            return
        now_s = time.monotonic()
        for workspace in workspaces:
            if now_s - workspace.saved_s >= self._every_s and _has_changed(workspace):
                workspace.saved_s = now_s  # in the queue once
                self._queue.put(weakref.ref(workspace))

    def close(self, workspaces: Iterable[Workspace], patience_s: float) -> None:
        """Save what has changed since it was saved, for so long at most. Nothing is saved afterwards."""
        if self._thread is None:
            return
        given_up = threading.Timer(patience_s, lib.cs_store_archive_cancel, (self._store.pointer,))
        given_up.daemon = True
        given_up.start()
        with contextlib.suppress(queue.Empty):  # what waits is saved here, faster
            while True:
                self._queue.get_nowait()
        self._queue.put(None)
        self._thread.join()
        for workspace in workspaces:
            if _has_changed(workspace):
                self._save(workspace, idle=False)
        given_up.cancel()
        self._tell()

    def numbers(self) -> dict[str, Any]:
        """For `status`."""
        raw = ffi.new("cs_archive_numbers *")
        lib.cs_store_archive_numbers(self._store.pointer, raw)
        folder = "" if self._folder is None else os.fsdecode(self._folder)
        return {"folder": folder, "trees": raw.trees, "contents": raw.contents, "bytes": raw.bytes}

    def _work(self) -> None:
        lib.cs_store_tidy(self._store.pointer)
        while (waiting := self._queue.get()) is not None:
            try:
                self._save(waiting(), idle=True)
                lib.cs_store_tidy(self._store.pointer)
                self._tell()
            except Exception:
                _log.exception("the snapshot")

    def _save(self, workspace: Workspace | None, idle: bool) -> None:
        if workspace is None:
            return
        generation = workspace.generation()
        begun_s = time.monotonic()
        with self._saving:
            self._current = workspace.root
            error = lib.cs_tree_save(workspace.tree.pointer, idle)
            self._current = None
        workspace.saved_s = 0.0 if error == errno.EBUSY else time.monotonic()
        if error == 0:
            workspace.saved_generation = generation
            took_s = workspace.saved_s - begun_s
            _log.info("%s: snapshot of generation %d in %.1f s", os.fsdecode(workspace.root), generation, took_s)

    def _tell(self) -> None:
        words = ffi.new("char[]", _WORDS_BYTES)
        lib.cs_store_words(self._store.pointer, words, _WORDS_BYTES)
        for line in ffi.string(words).decode("utf-8", "replace").splitlines():
            _log.warning("snapshot: %s", line)


def _has_changed(workspace: Workspace) -> bool:
    if not workspace.done.is_set() or workspace.busy:
        return False
    numbers = workspace.numbers()
    return numbers["state"] in ("live", "stale") and numbers["generation"] != workspace.saved_generation
