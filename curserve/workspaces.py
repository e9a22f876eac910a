"""The workspaces of one daemon: which roots are attached, and which of them answers for a set of paths.

A workspace is one root with its tree in the kernel. Loading goes on in a thread of its own; until it is done every
request is declined as "loading". Roots may nest: the deepest one that covers all of a request's paths answers.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from curserve.ceiling import limit_bytes, resident_bytes, trim
from curserve.config import Config
from curserve.errors import CurserveError
from curserve.kernel_door import Handle, KernelError, ffi, lib
from curserve.rootpolicy import RootPolicy
from curserve.snapshot import Snapshot

_VCS = (b".git", b".hg", b".jj", b".svn")
_STATES = ("loading", "live", "stale", "poisoned", "gone")
_AUTO_RETRY_S = 30.0
"""After an automatic attach failed, so long it is not tried again: a search must not pay for it each time."""
_TOO_LARGE_RETRY_S = 600.0
"""What did not fit under the memory ceiling is not tried again for so long."""
_GIVE_UP_S = 5.0
"""How long a load that was told to stop may take."""
_SETTLED_S = 20.0
"""What was changed more lately than this is not indexed but scanned: it is likely to be changed again."""
_TEXT_PER_INDEX = 4
"""Bytes of text per byte of its index, at least: so much room must there be for one that had to go to come back."""
_PAGED_STEP_BYTES = 8 << 20
"""So much more text than when large pages were asked for last is worth asking again: a look at all of the heap."""
_INDEX_LEAST_BYTES = 1 << 20
"""Scanning less than this costs about a tenth of a millisecond: not worth a new segment. Arbitrary."""


class RootError(CurserveError):
    """A folder cannot become a workspace; the message says why."""


@dataclass
class Workspace:
    """One attached root. `tree` never changes; what the kernel says of it does.

    used_s: when it was last seen to have answered (monotonic). busy: it is being loaded or indexed. too_large: why it
    was given up while it loaded. given_up: what it has lost to the ceiling since it was used last. unindexed_s: when it
    lost its index, or the making of one (monotonic); None: it did not. begun_s: when its loading began (monotonic);
    served_after_s, indexed_after_s: seconds from then until it was served, and until its index was made; None: not yet.
    saved_*: when it was last saved (monotonic), and which generation (snapshot.py).
    """

    root: bytes
    tree: Handle
    attached_s: float
    loader: threading.Thread | None = None
    load_errno: int = 0
    too_large: str = ""
    given_up: str = ""
    unindexed_s: float | None = None
    used_s: float = 0.0
    requests_seen: int = 0
    busy: bool = True
    begun_s: float = 0.0
    served_after_s: float | None = None
    indexed_after_s: float | None = None
    saved_s: float = 0.0
    saved_generation: int = -1
    done: threading.Event = field(default_factory=threading.Event)

    def pulse(self) -> tuple[str, int]:
        """The state's word and the requests so far, at no cost worth counting."""
        requests = ffi.new("uint64_t *")
        state = lib.cs_tree_pulse(self.tree.pointer, requests)
        if self.load_errno or self.too_large:
            return "failed", requests[0]
        return _STATES[state], requests[0]

    def generation(self) -> int:
        """Another after each change that was taken in."""
        return int(self.numbers()["generation"])

    def numbers(self) -> dict[str, Any]:
        """The kernel's figures: state (a word), why, counts, bytes. Keys are stable (see status --json)."""
        raw = ffi.new("cs_tree_numbers *")
        why = ffi.new("char[512]")
        lib.cs_tree_numbers_get(self.tree.pointer, raw, why, 512)
        words = ffi.string(why).decode("utf-8", "replace")
        state = _STATES[raw.state] if raw.state < len(_STATES) else "unknown"
        if self.load_errno or self.too_large:
            state = "failed"
        return {
            "root": os.fsdecode(self.root),
            "state": state,
            "why": self.too_large or words or (os.strerror(self.load_errno) if self.load_errno else ""),
            "generation": raw.generation,
            "entries": raw.entries,
            "files": raw.files,
            "files_held": raw.files_held,
            "text_bytes": raw.text_bytes,
            "watches": raw.watches,
            "dirty": raw.dirty,
            "unsettled": raw.unsettled,
            "overflows": raw.overflows,
            "reads": raw.reads,
            "known_files": raw.known,
            "requests": raw.requests,
            "served": raw.served,
            "loaded_files": raw.loaded_files,
            "loaded_bytes": raw.loaded_bytes,
            "served_after_s": self.served_after_s,
            "indexed_after_s": self.indexed_after_s,
        }


class Workspaces:
    """Every attached root. Safe in every thread; `find` takes no lock. departed: how many have been forgotten."""

    def __init__(self, policy: RootPolicy, config: Config, threads: int, changed: Callable[[], None]) -> None:
        """changed: called whenever another workspace may answer for a path from now on; must not block."""
        self._policy = policy
        self._changed = changed
        self.departed = 0
        self._paged_bytes = 0
        self._auto = config.roots.auto
        self._limit_bytes = limit_bytes(config.limits.memory_bytes)
        self._threads = threads
        self._store = Handle(lib.cs_store_new(), lib.cs_store_free)
        self._snapshot = Snapshot(self._store, config.snapshot)
        self._watch = Handle(lib.cs_watch_new(), lib.cs_watch_free)
        self._lock = threading.Lock()
        self._by_root: dict[bytes, Workspace] = {}
        self._deepest_first: tuple[Workspace, ...] = ()
        self._holdings: tuple[tuple[Any, ...], list[dict[str, int]]] = ((), [])
        self._tried_s: dict[bytes, float] = {}
        self._evicted: set[bytes] = set()
        self._too_large_s: dict[bytes, float] = {}
        self._awaited: list[bytes] = []
        self._pinned = tuple(os.path.realpath(os.path.expanduser(root)) for root in config.roots.pinned)

    def configure(self, policy: RootPolicy, auto: bool) -> None:
        """Another opinion on what may be attached from now on; what is attached stays."""
        self._policy = policy
        self._auto = auto

    def find(self, paths: Iterable[bytes]) -> Workspace | None:
        """The deepest workspace whose root covers all the absolute paths; None when there is none."""
        paths = tuple(paths)
        for workspace in self._deepest_first:
            if all(_covers(workspace.root, path) for path in paths):
                return workspace
        return None

    def attach(self, folder: bytes) -> Workspace:
        """Starts loading a folder (or gives the workspace that it is already). RootError when it is no folder."""
        root = os.path.realpath(folder)
        if not os.path.isdir(root):
            raise RootError(f"{os.fsdecode(folder)}: no such folder")
        if root == b"/":
            raise RootError("/ cannot be a workspace; attach a project's folder")
        with self._lock:
            known = self._by_root.get(root)
            if known is not None and known.pulse()[0] not in ("gone", "failed"):
                return known
            self._evicted.discard(root)
            self._too_large_s.pop(root, None)
            try:
                tree = Handle(lib.cs_tree_open(self._store.pointer, self._watch.pointer, root), lib.cs_tree_free)
            except KernelError as error:
                raise RootError(f"{os.fsdecode(root)}: {error}") from error
            workspace = Workspace(root, tree, time.time())
            workspace.loader = threading.Thread(target=self._load, args=(workspace,), name="load", daemon=True)
            self._by_root[root] = workspace
            self._reorder()
        workspace.loader.start()
        return workspace

    def attach_for(self, paths: Iterable[bytes]) -> str:
        """Attaches the repository around the paths if that is allowed; the decline reason to give meanwhile."""
        common = os.path.commonpath(list(paths))
        now = time.monotonic()
        for gone in sorted(self._evicted | self._too_large_s.keys(), key=len, reverse=True):
            if not _covers(gone, common):
                continue
            if now - self._too_large_s.get(gone, -_TOO_LARGE_RETRY_S) < _TOO_LARGE_RETRY_S:
                return "memory_ceiling"
            try:
                self.attach(gone)
            except RootError:
                self._evicted.discard(gone)
                break
            return "loading"
        if not self._auto:
            return "unknown_root"
        root = _repository_of(common)
        if root is None or self._policy.refuses(root):
            return "unknown_root"
        if now - self._tried_s.get(root, -_AUTO_RETRY_S) < _AUTO_RETRY_S:
            return "unknown_root"
        self._tried_s[root] = now
        try:
            self.attach(root)
        except RootError:
            return "unknown_root"
        return "loading"

    def is_loading(self) -> bool:
        """Whether memory may grow fast."""
        return any(workspace.busy for workspace in self.all())

    def note_use(self, now_s: float) -> None:
        """Remembers which workspaces have answered since the last call."""
        for workspace in self.all():
            _, seen = workspace.pulse()
            if seen != workspace.requests_seen:
                workspace.requests_seen, workspace.used_s, workspace.given_up = seen, now_s, ""

    def give_up(self, most_bytes: int) -> tuple[str, bytes] | None:
        """Makes room: what of which root has gone ("caches", "index", "workspace"). None: nothing is left to go."""
        for workspace in self.all():
            if workspace.done.is_set() and workspace.busy:
                self._stop_indexing(workspace)
                return "index", workspace.root
        return self._give_up_of_one(most_bytes)

    def _stop_indexing(self, workspace: Workspace) -> None:
        """Every search works without an index, too."""
        workspace.unindexed_s = time.monotonic()
        lib.cs_tree_cancel(workspace.tree.pointer)
        deadline_s = time.monotonic() + _GIVE_UP_S
        while workspace.busy and time.monotonic() < deadline_s:
            time.sleep(0.002)
        lib.cs_tree_resume(workspace.tree.pointer)

    def _give_up_of_one(self, most_bytes: int) -> tuple[str, bytes] | None:
        """Of the workspace that was used least recently, of one that loads last. None: all are pinned and loaded."""
        free = [w for w in self.all() if not w.done.is_set() or os.fsdecode(w.root) not in self._pinned]
        if not free:
            return None
        chosen = min(free, key=lambda workspace: (not workspace.done.is_set(), workspace.used_s))
        tree = chosen.tree.pointer
        if chosen.done.is_set() and not chosen.given_up:
            chosen.given_up = "caches"
            lib.cs_tree_drop_caches(tree)
            self._changed()  # the questions asked before, with their automata
            return "caches", chosen.root
        if chosen.done.is_set() and chosen.given_up == "caches":
            chosen.given_up = "index"
            others = [workspace for workspace in self.all() if workspace is not chosen]  # kept alive by this list
            if lib.cs_tree_drop_index(tree, [workspace.tree.pointer for workspace in others], len(others)):
                chosen.unindexed_s = time.monotonic()
                return "index", chosen.root
        if chosen.done.is_set():
            self._evicted.add(chosen.root)
        else:
            gib = most_bytes / (1 << 30)
            chosen.too_large = f"it needs more than the memory ceiling of {gib:.2f} GiB; raise memory in [limits]"
            self._too_large_s[chosen.root] = time.monotonic()
        lib.cs_tree_cancel(tree)
        self._snapshot.forget(chosen, _GIVE_UP_S)
        self.drop(chosen)
        if chosen.loader is not None:
            chosen.loader.join(_GIVE_UP_S)
        return "workspace", chosen.root

    def detach(self, folder: bytes) -> bool:
        """Forgets a root; searches that run now finish undisturbed. False when it was not attached."""
        with self._lock:
            workspace = self._by_root.pop(os.path.realpath(folder), None) or self._by_root.pop(folder, None)
            self._reorder()
        if workspace is None:
            return False
        self.departed += 1
        lib.cs_tree_cancel(workspace.tree.pointer)
        self._note_roots()
        return True

    def all(self) -> list[Workspace]:
        """In order of their roots."""
        with self._lock:
            return [self._by_root[root] for root in sorted(self._by_root)]

    def sweep(self) -> None:
        """Compares every live workspace with the disk by stat, indexes what has settled, drops what is gone."""
        for workspace in self.all():
            if workspace.done.is_set():
                lib.cs_tree_sweep(workspace.tree.pointer)
                self._index_again(workspace)
            if workspace.pulse()[0] == "gone":
                self.drop(workspace)
        self._snapshot.look(self.all())

    def reattach(self) -> None:
        """Attaches what was attached when the last daemon ended, one after the other, in a thread of its own."""
        self._awaited = self._snapshot.roots()
        if self._awaited:
            threading.Thread(target=self._reattach, name="reattach", daemon=True).start()

    def close(self, patience_s: float) -> None:
        """Keeps on disk what the next daemon can use, for so long at most."""
        self._snapshot.close(self.all(), patience_s)

    def _index_again(self, workspace: Workspace) -> None:
        """What has settled; or everything, where the index had to go and there is room for it and use."""
        settled_s, least_bytes = _SETTLED_S, _INDEX_LEAST_BYTES
        if workspace.unindexed_s is not None:
            needed_bytes = int(workspace.numbers()["text_bytes"]) // _TEXT_PER_INDEX
            if workspace.used_s < workspace.unindexed_s or resident_bytes() + needed_bytes > self._limit_bytes:
                return
            workspace.unindexed_s = None
            settled_s, least_bytes = 0.0, 0
        if workspace.busy:
            return
        workspace.busy = True  # so that the ceiling may stop it
        try:
            lib.cs_tree_index(workspace.tree.pointer, 1, settled_s, least_bytes, False)
            lib.cs_tree_rest(workspace.tree.pointer)
            if least_bytes == 0:
                trim()  # what building all of it left behind
        finally:
            workspace.busy = False

    def holdings(self, workspaces: list[Workspace]) -> list[dict[str, int]]:
        """What each of them holds of what they share; see statuskeys.py. Looked for again when something has changed:
        it takes milliseconds, and whoever looks does so every second."""
        numbers = self.store_numbers()
        key = (
            *((w.root, w.attached_s, w.generation()) for w in workspaces),
            numbers["indexed_contents"],
            numbers["index_segments"],
        )
        known_key, known = self._holdings
        if known_key == key:
            return known
        found = ffi.new("cs_holding[]", len(workspaces))
        lib.cs_trees_holdings([workspace.tree.pointer for workspace in workspaces], len(workspaces), found)
        names = ("index_bytes", "own_bytes", "share_bytes", "table_bytes")
        rows = [{name: int(getattr(holding, name)) for name in names} for holding in found]
        self._holdings = (key, rows)
        return rows

    def drop(self, workspace: Workspace) -> None:
        """Forgets a workspace whose root is gone; what is there under its name now may be attached anew."""
        with self._lock:
            if self._by_root.get(workspace.root) is workspace:
                del self._by_root[workspace.root]
                self.departed += 1
                self._tried_s.pop(workspace.root, None)
                self._reorder()
        self._note_roots()

    def store_numbers(self) -> dict[str, int]:
        """Text held, each content once, and what of it is indexed."""
        numbers = ffi.new("uint64_t[2]")
        lib.cs_store_numbers(self._store.pointer, numbers, numbers + 1)
        index = ffi.new("cs_index_numbers *")
        lib.cs_store_index_numbers(self._store.pointer, index)
        return {
            "text_bytes": numbers[0],
            "contents": numbers[1],
            "indexed_text_bytes": index.text_bytes,
            "indexed_contents": index.contents,
            "index_bytes": index.index_bytes,
            "index_segments": index.segments,
        }

    def snapshot_numbers(self) -> dict[str, Any]:
        """What is kept on disk."""
        return self._snapshot.numbers()

    def _reattach(self) -> None:
        while self._awaited:
            root = self._awaited[0]
            if not self._policy.refuses(root):
                with contextlib.suppress(RootError):  # it was removed meanwhile
                    self.attach(root).done.wait()
            self._awaited = self._awaited[1:]
        self._note_roots()

    def _note_roots(self) -> None:
        """The roots for the next daemon: what is attached, and what is still to be attached again."""
        with self._lock:
            served = {root for root, w in self._by_root.items() if w.done.is_set() and not w.load_errno}
        self._snapshot.note_roots(sorted(served | {*self._awaited}))

    def _load(self, workspace: Workspace) -> None:
        try:
            workspace.begun_s = time.monotonic()
            workspace.load_errno = lib.cs_tree_load(workspace.tree.pointer, self._threads)
            workspace.used_s = time.monotonic()
            served = workspace.load_errno == 0 and not workspace.too_large
            if served:
                workspace.served_after_s = workspace.used_s - workspace.begun_s
            workspace.done.set()
            if served:
                self._note_roots()
                if lib.cs_tree_index(workspace.tree.pointer, self._threads, 0.0, 0, True) == 0:
                    workspace.indexed_after_s = time.monotonic() - workspace.begun_s
                self._tidy(workspace)
        finally:
            workspace.busy = False
        if workspace.load_errno == 0 and not workspace.too_large:
            self._snapshot.soon(workspace)

    def _tidy(self, workspace: Workspace) -> None:
        """After a load: what listing, reading and building left behind goes back; text that is new gets large pages."""
        lib.cs_tree_rest(workspace.tree.pointer)
        trim()
        text_bytes = self.store_numbers()["text_bytes"]
        if text_bytes >= self._paged_bytes + _PAGED_STEP_BYTES:
            lib.cs_tree_use_large_pages(workspace.tree.pointer)
        elif text_bytes > self._paged_bytes:
            return
        self._paged_bytes = text_bytes

    def _reorder(self) -> None:
        self._deepest_first = tuple(sorted(self._by_root.values(), key=lambda w: len(w.root), reverse=True))
        self._changed()


def _covers(root: bytes, path: bytes) -> bool:
    return path.startswith(root) and (len(path) == len(root) or path[len(root) : len(root) + 1] == b"/")


def _repository_of(path: bytes) -> bytes | None:
    """The nearest folder at or above `path` that a version control system calls its root."""
    folder = path
    while len(folder) > 1:
        if any(os.path.lexists(folder + b"/" + name) for name in _VCS):
            return folder
        folder = os.path.dirname(folder)
    return None
