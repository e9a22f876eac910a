"""The kernel, opened once: the only importer of curserve._kernel, and what turns its errors into exceptions.

Everything else gets `ffi` and `lib` from here. Pointers of the kernel are kept by `Handle`, which frees them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from curserve._kernel import ffi, lib
from curserve.errors import CurserveError

__all__ = ["Handle", "KernelError", "Keep", "ffi", "lib"]


class KernelError(CurserveError):
    """A call of the kernel failed; the message is its one line."""


class Handle:
    """One object of the kernel, freed when the last reference to this goes. `pointer` is never NULL."""

    __slots__ = ("__weakref__", "_owned", "pointer")

    def __init__(self, pointer: Any, free: Callable[[Any], None]) -> None:
        """Takes what a `cs_…_new` gave. KernelError when that was NULL."""
        if pointer == ffi.NULL:
            raise KernelError(ffi.string(lib.cs_error()).decode("utf-8", "replace"))
        self.pointer = pointer
        self._owned = ffi.gc(pointer, free)


class Keep:
    """Makes C values of Python's and keeps them alive as long as itself: a struct that borrows does not own."""

    __slots__ = ("_kept",)

    def __init__(self) -> None:
        self._kept: list[Any] = []

    def new(self, ctype: str, init: Any = None) -> Any:
        made = ffi.new(ctype) if init is None else ffi.new(ctype, init)
        self._kept.append(made)
        return made

    def data(self, value: bytes) -> Any:
        """A `const char *` to the bytes."""
        made = ffi.from_buffer("char[]", value)
        self._kept.append(made)
        return made

    def bytes_into(self, target: Any, value: bytes) -> None:
        """Fills a cs_bytes."""
        target.data = self.data(value)
        target.size = len(value)

    def list(self, values: Sequence[bytes]) -> Any:
        """A `cs_bytes[]`, NULL for an empty sequence."""
        if not values:
            return ffi.NULL
        made = self.new("cs_bytes[]", len(values))
        for slot, value in zip(made, values, strict=True):
            slot.data = self.data(value)
            slot.size = len(value)
        return made
