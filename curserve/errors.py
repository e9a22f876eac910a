"""The errors of curserve: one tree, so that only the session and the command line turn errors into messages."""

from __future__ import annotations


class CurserveError(Exception):
    """Any error that curserve itself raises."""


class Decline(CurserveError):
    """The request is for the real rg. `reason` is one short snake_case word for statistics."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
