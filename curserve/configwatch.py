"""Tells when the configuration file changed, so that the daemon need not be restarted for it.

In: the file's path. Out: a call some tenths of a second after it was written, replaced or removed. The only importer of
watchdog; its observers are too late for searches (see ARCHITECTURE.md), not for this.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

_log = logging.getLogger(__name__)
_TELLING = ("modified", "created", "moved", "deleted", "closed")
"""Kinds of events after which the file may say something else; opening and reading it are not among them."""


class ConfigWatch:
    """Watches the folder of one file while it is open. Without that folder, or without inotify, it does nothing."""

    def __init__(self, file: Path, changed: Callable[[], None]) -> None:
        """changed: called in a thread of watchdog's, never twice at once."""
        self._observer = Observer()
        try:
            self._observer.schedule(_Handler(file, changed), str(file.parent))
            self._observer.start()
        except OSError as error:
            _log.info("%s is not watched: %s", file, error)

    def close(self) -> None:
        """No call comes after this."""
        if self._observer.is_alive():
            self._observer.stop()
            self._observer.join()


class _Handler(FileSystemEventHandler):
    def __init__(self, file: Path, changed: Callable[[], None]) -> None:
        self._file = os.fspath(file)
        self._changed = changed

    def on_any_event(self, event: FileSystemEvent) -> None:
        if event.event_type in _TELLING and self._file in (event.src_path, event.dest_path):
            try:
                self._changed()
            except Exception:
                _log.exception("the configuration was not taken over")
