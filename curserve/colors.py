"""--colors: from rg's `type:attribute:value` words to the look of each part of a line.

In: the words in the order typed. Out: Colors, one Style per part. Raises errors.Decline("bad_flag") where rg prints an
error. `Style.start` spells termcolor's escape sequences: reset, bold, italic, underline, foreground, background, each
on its own; what ends a part is always RESET.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from curserve.errors import Decline

RESET = b"\x1b[0m"

_NAMED = {"black": 0, "red": 1, "green": 2, "yellow": 3, "blue": 4, "magenta": 5, "cyan": 6, "white": 7}
_PARTS = ("path", "line", "column", "match", "highlight")
# style word → (attribute, value)
_STYLES = {
    word: (attribute, on)
    for attribute in ("bold", "intense", "underline", "italic")
    for word, on in ((attribute, True), ("no" + attribute, False))
}
_DEFAULTS: tuple[bytes, ...] = (b"path:fg:magenta", b"line:fg:green", b"match:fg:red", b"match:style:bold")


class Ink(NamedTuple):
    """A colour. kind: 0 none, 1 named (r is 0–7 in ANSI's order), 2 of 256 (r), 3 RGB; CS_COLOR_* of kernel/spec.h."""

    kind: int = 0
    r: int = 0
    g: int = 0
    b: int = 0


NO_INK = Ink()


class Style(NamedTuple):
    """A part's look; all default: no attribute is set."""

    fg: Ink = NO_INK
    bg: Ink = NO_INK
    bold: bool = False
    intense: bool = False  # counts for named colours only
    underline: bool = False
    italic: bool = False

    def start(self) -> bytes:
        """The bytes before the part; RESET even where no attribute is set."""
        pieces = [RESET]
        if self.bold:
            pieces.append(b"\x1b[1m")
        if self.italic:
            pieces.append(b"\x1b[3m")
        if self.underline:
            pieces.append(b"\x1b[4m")
        pieces.append(_escape(self.fg, 3, self.intense))
        pieces.append(_escape(self.bg, 4, self.intense))
        return b"".join(pieces)


class Colors(NamedTuple):
    """The styles of a line's parts; `highlight` is for the whole of a matching line."""

    path: Style
    line: Style
    column: Style
    match: Style
    highlight: Style


class Spec(NamedTuple):
    """One word of --colors, checked. attribute None clears the part."""

    part: str
    attribute: str | None
    value: Ink | bool | None


def _byte(word: str) -> int:
    """0–255, decimal or 0x…, as Rust's u8 parser takes it (one leading '+' allowed)."""
    hexadecimal = word.startswith("0x")
    digits = word[2:] if hexadecimal else word
    digits = digits[1:] if digits.startswith("+") else digits
    alphabet = "0123456789abcdefABCDEF" if hexadecimal else "0123456789"
    if not digits or digits.strip(alphabet):
        raise Decline("bad_flag")
    digits = digits.lstrip("0") or "0"
    if len(digits) > 3:
        raise Decline("bad_flag")
    number = int(digits, 16 if hexadecimal else 10)
    if number > 255:
        raise Decline("bad_flag")
    return number


def _ink(word: str) -> Ink:
    named = _NAMED.get(word.lower())
    if named is not None:
        return Ink(1, named)
    numbers = [_byte(piece) for piece in word.split(",")]
    if len(numbers) == 1:
        return Ink(2, numbers[0])
    if len(numbers) == 3:
        return Ink(3, *numbers)
    raise Decline("bad_flag")


def spec(value: bytes) -> Spec:
    """One checked word of --colors."""
    try:
        pieces = value.decode().split(":")
    except UnicodeDecodeError:
        raise Decline("bad_flag") from None
    if not 2 <= len(pieces) <= 3:
        raise Decline("bad_flag")
    part, attribute = pieces[0].lower(), pieces[1].lower()
    if part not in _PARTS:
        raise Decline("bad_flag")
    if attribute == "none":
        return Spec(part, None, None)
    if len(pieces) < 3:
        raise Decline("bad_flag")
    if attribute in ("fg", "bg"):
        return Spec(part, attribute, _ink(pieces[2]))
    if attribute == "style":
        style = _STYLES.get(pieces[2].lower())
        if style is not None:
            return Spec(part, style[0], style[1])
    raise Decline("bad_flag")


def _escape(ink: Ink, ground: int, intense: bool) -> bytes:
    """ground: 3 for the foreground, 4 for the background."""
    if ink.kind == 1:
        return b"\x1b[%d8;5;%dm" % (ground, ink.r + 8) if intense else b"\x1b[%d%dm" % (ground, ink.r)
    if ink.kind == 2:
        return b"\x1b[%d8;5;%dm" % (ground, ink.r)
    if ink.kind == 3:
        return b"\x1b[%d8;2;%d;%d;%dm" % (ground, ink.r, ink.g, ink.b)
    return b""


def _resolve(specs: Sequence[Spec]) -> Colors:
    styles = dict.fromkeys(_PARTS, Style())
    for part, attribute, value in specs:
        change: dict[str, Any] = {} if attribute is None else {attribute: value}
        styles[part] = styles[part]._replace(**change) if change else Style()
    return Colors(**styles)


_DEFAULT_SPECS: tuple[Spec, ...] = tuple(spec(word) for word in _DEFAULTS)
DEFAULT_COLORS: Colors = _resolve(_DEFAULT_SPECS)


def resolve(specs: Sequence[Spec]) -> Colors:
    """The styles after `specs` are applied, in order, on rg's defaults."""
    if not specs:
        return DEFAULT_COLORS
    return _resolve((*_DEFAULT_SPECS, *specs))
