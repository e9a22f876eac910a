"""What keys change: which list is sorted how, which workspace is selected, which one is looked into.

In: a state, a key, the roots as they are listed. Out: the next state; nothing is read or drawn here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from curserve.top.figures import SORTS

_ESCAPES = {
    b"\x1b[A": "up", b"\x1bOA": "up", b"\x1b[B": "down", b"\x1bOB": "down", b"\x1b[5~": "page up",
    b"\x1b[6~": "page down", b"\x1b[H": "first", b"\x1bOH": "first", b"\x1b[F": "last", b"\x1bOF": "last",
}  # fmt: skip
_BYTES = {
    b"q": "quit", b"\x03": "quit", b"s": "sort", b"k": "up", b"j": "down", b"g": "first", b"G": "last",
    b"\r": "enter", b"\n": "enter", b"\x1b": "back", b"\x7f": "back", b"?": "help", b"h": "help",
}  # fmt: skip
_PAGE = 10


@dataclass(frozen=True)
class State:
    """selected: the workspace under the cursor, None: the first. inside: the workspace that is looked into."""

    sort: str = SORTS[0]
    selected: str | None = None
    inside: str | None = None
    help: bool = False
    quit: bool = False


def keys(data: bytes) -> list[str]:
    """The names of the keys whose bytes came in one read; unknown ones are left out. A lone escape is "back"."""
    found = []
    while data:
        size = next((len(text) for text in _ESCAPES if data.startswith(text)), 0)
        if size:
            found.append(_ESCAPES[data[:size]])
        elif data[:1] == b"\x1b" and len(data) > 1:
            break  # some other key's sequence; whatever follows belongs to it
        else:
            size = 1
            if data[:1] in _BYTES:
                found.append(_BYTES[data[:1]])
        data = data[size:]
    return found


def pressed(state: State, key: str, roots: Sequence[str]) -> State:
    """roots: of the listed workspaces, in their order."""
    if key == "quit":
        return replace(state, quit=True)
    if state.help:
        return replace(state, help=False)
    match key:
        case "help":
            return replace(state, help=True)
        case "sort":
            return replace(state, sort=SORTS[(SORTS.index(state.sort) + 1) % len(SORTS)])
        case "back":
            return replace(state, inside=None)
        case "enter" if roots:
            return replace(state, inside=state.selected if state.selected in roots else roots[0])
        case "up" | "down" | "page up" | "page down" | "first" | "last" if roots and state.inside is None:
            at = roots.index(state.selected) if state.selected in roots else 0
            steps = {
                "up": -1,
                "down": 1,
                "page up": -_PAGE,
                "page down": _PAGE,
                "first": -len(roots),
                "last": len(roots),
            }
            return replace(state, selected=roots[min(max(at + steps[key], 0), len(roots) - 1)])
    return state
