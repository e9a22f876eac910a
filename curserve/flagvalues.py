"""What a flag's value means: numbers, sizes, escapes, text, as rg reads them.

In: the bytes typed. Out: the value. Every function raises errors.Decline("bad_flag") where rg prints an error;
values that rg may know and curserve does not are declined with a reason of their own.
No file system, no environment.
"""

from __future__ import annotations

import re

from curserve.errors import Decline

MAX_U64 = 2**64 - 1
_SIZE = re.compile(rb"([0-9]+)([KMG]?)")
_SHIFTS = {b"": 0, b"K": 10, b"M": 20, b"G": 30}
# A failed \x escape is literal to the end of the character at which it fails, that character included: in `\x4\n`
# the second backslash begins nothing (bstr's unescape_bytes, seen with rg 15.2.0).
_ESCAPE = re.compile(r"\\(?:x(?:([0-9A-Fa-f]{2})|[0-9A-Fa-f]?(?:.|\Z))|(.)|\Z)", re.DOTALL)
_ESCAPED = {"n": b"\n", "r": b"\r", "t": b"\t", "0": b"\0", "\\": b"\\"}


def text(value: bytes) -> bytes:
    """The value itself, known to be UTF-8."""
    if not value.isascii():
        try:
            value.decode()
        except UnicodeDecodeError:
            raise Decline("bad_flag") from None
    return value


def number(value: bytes) -> int:
    """A decimal number of 64 bits; like Rust's parser this takes one leading '+'."""
    digits = value[1:] if value[:1] == b"+" else value
    if digits.isdigit():  # ASCII digits only, for bytes
        if len(digits) > 4000:  # int() refuses from 4300 digits on; leading zeros are as good as none
            digits = digits.lstrip(b"0")[:32] or b"0"
        parsed = int(digits)
        if parsed <= MAX_U64:
            return parsed
    raise Decline("bad_flag")


def size_bytes(value: bytes) -> int:
    """Digits and an optional K, M or G (powers of 1024), of 64 bits."""
    match = _SIZE.fullmatch(value)
    if match is None:
        raise Decline("bad_flag")
    size = number(match[1]) << _SHIFTS[match[2]]
    if size > MAX_U64:
        raise Decline("bad_flag")
    return size


def unescape(value: bytes) -> bytes:
    r"""The bytes that `value` spells with \n \r \t \0 \\ and \xHH; any other escape stands for itself."""
    text(value)
    if b"\\" not in value:
        return value
    pieces: list[bytes] = []
    source = value.decode()
    end = 0
    for match in _ESCAPE.finditer(source):
        pieces.append(source[end : match.start()].encode())
        end = match.end()
        if match[1] is not None:
            pieces.append(bytes((int(match[1], 16),)))
        elif match[2] is not None and match[2] in _ESCAPED:
            pieces.append(_ESCAPED[match[2]])
        else:
            pieces.append(match[0].encode())
    pieces.append(source[end:].encode())
    return b"".join(pieces)


def path_separator(value: bytes) -> int | None:
    """The one byte to print for '/'; None (print '/') for the empty value."""
    separator = unescape(value)
    if len(separator) > 1:
        raise Decline("bad_flag")
    return separator[0] if separator else None


def no_hyperlink(value: bytes) -> bytes:
    """Nothing, for the formats that make no link; others, good or bad, are declined."""
    if value in (b"", b"none"):
        return b""
    raise Decline("hyperlink")


# The labels of https://encoding.spec.whatwg.org/#names-and-labels for the encodings that curserve may transcode.
_LABELS: dict[bytes, str] = {
    label: name
    for name, labels in (
        ("utf-8", b"unicode-1-1-utf-8 unicode11utf8 unicode20utf8 utf-8 utf8 x-unicode20utf8"),
        ("utf-16le", b"csunicode iso-10646-ucs-2 ucs-2 unicode unicodefeff utf-16 utf-16le"),
        ("utf-16be", b"unicodefffe utf-16be"),
        (
            "windows-1252",
            b"ansi_x3.4-1968 ascii cp1252 cp819 csisolatin1 ibm819 iso-8859-1 iso-ir-100 iso8859-1 iso88591"
            b" iso_8859-1 iso_8859-1:1987 l1 latin1 us-ascii windows-1252 x-cp1252",
        ),
    )
    for label in labels.split()
}


def encoding(value: bytes) -> str:
    """'auto', 'none' or an encoding's name. Those not in the table are declined, known to rg or not."""
    if value in (b"auto", b"none"):
        return value.decode()
    name = _LABELS.get(value.strip(b"\t\n\x0c\r ").lower())
    if name is None:
        raise Decline("encoding")
    return name
