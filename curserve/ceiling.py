"""The memory ceiling: what is given up, and in which order, when the daemon has grown too large.

In: the workspaces, the ceiling. A thread looks at the resident memory, often while something loads. A little below
the ceiling it gives freed memory back to the system; if that is not enough, an index that is being made is given up;
then the workspace used least recently gives up its caches, then its index, then everything, and the next one follows
(pinned ones keep all but an index in the making). What was given up comes back when the workspace is used: the index
if there is room for it. In this order because an index takes longer to make than a text to read. What still loads
when nothing else is left to go is larger than the ceiling by itself: its load is stopped, and its searches are
declined. Nearer to the ceiling what loads and indexes waits by itself (kernel/room.h), so that memory stays below it
however late this thread gets a processor.
"""

from __future__ import annotations

import ctypes
import logging
import os
import threading
import time
from typing import TYPE_CHECKING

from curserve.kernel_door import lib

if TYPE_CHECKING:
    from curserve.workspaces import Workspaces

_LOADING_S = 0.02
"""How often memory is looked at while a workspace loads or is indexed: some 20 MB of reading lie between two looks."""
_QUIET_S = 0.5
_RESERVE_BYTES = 96 << 20
"""What is under way needs room until it has stopped: so much below the ceiling something goes, a quarter of it at most,
a twentieth at least. Half way from there to the ceiling nothing grows any more."""
_PAUSE_S = 0.005
"""Who waits for room looks for it more often than this."""
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")

_log = logging.getLogger(__name__)
_libc = ctypes.CDLL(None)


def resident_bytes() -> int:
    """The process's resident memory."""
    with open("/proc/self/statm", "rb") as file:
        return int(file.read().split()[1]) * _PAGE_BYTES


def trim() -> None:
    """Freed memory goes back to the system (glibc keeps it otherwise)."""
    if hasattr(_libc, "malloc_trim"):
        _libc.malloc_trim(0)


def limit_bytes(most_bytes: int) -> int:
    """Resident memory at which something goes, for a ceiling."""
    return most_bytes - _reserve_bytes(most_bytes)


def _reserve_bytes(most_bytes: int) -> int:
    return max(most_bytes // 20, min(_RESERVE_BYTES, most_bytes // 4))


class Ceiling:
    """The watching thread. So far were given up: `evicted` workspaces, `indexes`, `caches` of workspaces."""

    def __init__(self, workspaces: Workspaces, most_bytes: int) -> None:
        self._workspaces = workspaces
        self._most_bytes = most_bytes
        self._limit_bytes = limit_bytes(most_bytes)
        lib.cs_room_limit(most_bytes - _reserve_bytes(most_bytes) // 2)
        self._stopping = threading.Event()
        self._started = False
        self.evicted = self.indexes = self.caches = 0
        self._departed = self._trims_due = 0

    def start(self) -> None:
        """Begin to watch; a second call does nothing."""
        if self._started:
            return
        self._started = True
        threading.Thread(target=self._watch, name="ceiling", daemon=True).start()

    def stop(self) -> None:
        """Watch no longer; nobody waits for room any more."""
        lib.cs_room_limit(0)
        self._stopping.set()

    def _watch(self) -> None:
        while not self._stopping.wait(_LOADING_S if self._workspaces.is_loading() else _QUIET_S):
            try:
                self.look()
            except Exception:
                _log.exception("the memory ceiling")

    def look(self) -> None:
        """One look, and what follows from it."""
        self._workspaces.note_use(time.monotonic())
        self._give_back()
        if self._has_room():
            return
        trim()
        while not self._has_room():
            given = self._workspaces.give_up(self._most_bytes)
            if given is None:
                return
            what, root = given
            self.caches += what == "caches"
            self.indexes += what == "index"
            self.evicted += what == "workspace"
            _log.warning("ceiling of %d bytes reached: given up: %s of %s", self._most_bytes, what, os.fsdecode(root))
            trim()

    def _give_back(self) -> None:
        """What workspaces that are gone have held. Twice: a search may have kept one for a moment longer."""
        if self._departed != self._workspaces.departed:
            self._departed = self._workspaces.departed
            self._trims_due = 2
        if self._trims_due and not self._workspaces.is_loading():
            self._trims_due -= 1
            trim()

    def _has_room(self) -> bool:
        if resident_bytes() >= self._limit_bytes:
            return False
        if lib.cs_room_waiting():
            time.sleep(_PAUSE_S)
        return not lib.cs_room_waiting()
