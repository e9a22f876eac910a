"""-t, -T, --type-add, --type-clear and --type-list: from what was typed to selections of globs.

In: the changes in the order typed. Out: the definitions they leave, and the selections, each with its type's globs.
Raises errors.Decline("bad_type") where rg prints an error. It does not compile globs: a glob that rg would reject is
found by whoever compiles it (rg compiles only those of selected types, so a listing never does).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from curserve.errors import Decline
from curserve.filetypes_table import DEFAULT_TYPES

Definitions = dict[bytes, tuple[bytes, ...]]


class Selection(NamedTuple):
    """One -t or -T. The last selection with a glob that matches the file's name decides."""

    negated: bool
    globs: tuple[bytes, ...]


class FileTypes(NamedTuple):
    """What a command line's type flags come to."""

    definitions: Definitions
    selections: tuple[Selection, ...]


_NONE: FileTypes = FileTypes(DEFAULT_TYPES, ())


def resolve(changes: Sequence[tuple[str, bytes]]) -> FileTypes:
    """Apply (add | clear | select | negate, text) in order. A selection takes the globs its type has in the end;
    `all` takes the types there are at that moment, by name.
    """
    if not changes:
        return _NONE
    definitions = dict(DEFAULT_TYPES)
    selected: list[tuple[bool, bytes]] = []
    for kind, text in changes:
        if kind == "add":
            _add(definitions, text)
        elif kind == "clear":
            definitions.pop(text, None)
        elif text == b"all":
            selected.extend((kind == "negate", name) for name in sorted(definitions))
        else:
            selected.append((kind == "negate", text))
    try:
        selections = tuple(Selection(negated, definitions[name]) for negated, name in selected)
    except KeyError:
        raise Decline("bad_type") from None
    return FileTypes(definitions, selections)


def listing(definitions: Definitions) -> bytes:
    """What --type-list prints: a line per type, names and globs in byte order."""
    lines = (name + b": " + b", ".join(sorted(definitions[name])) + b"\n" for name in sorted(definitions))
    return b"".join(lines)


def _add(definitions: Definitions, text: bytes) -> None:
    """`name:glob`, or `name:include:name,name`."""
    pieces = text.split(b":")
    name = pieces[0]
    # rg takes any Unicode letter or number in a name; ASCII ones are told here, others are left to it.
    if not name.isalnum() or name == b"all" or not pieces[-1]:
        raise Decline("bad_type")
    globs: Iterable[bytes]
    if len(pieces) == 2:
        globs = (pieces[1],)
    elif len(pieces) == 3 and pieces[1] == b"include":
        names = pieces[2].split(b",")
        if any(included not in definitions for included in names):
            raise Decline("bad_type")
        for included in names:  # one after another: a type that includes itself doubles
            _extend(definitions, name, definitions[included])
        return
    else:
        raise Decline("bad_type")
    _extend(definitions, name, globs)


def _extend(definitions: Definitions, name: bytes, globs: Iterable[bytes]) -> None:
    definitions[name] = (*definitions.get(name, ()), *globs)
