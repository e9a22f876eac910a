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


# The labels of https://encoding.spec.whatwg.org/#names-and-labels for all encodings that ripgrep takes; iso-8859-8-i is
# iso-8859-8, and gbk gb18030, where only the characters count.
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
        ("ibm866", b"866 cp866 csibm866 ibm866"),
        (
            "iso-8859-2",
            b"csisolatin2 iso-8859-2 iso-ir-101 iso8859-2 iso88592 iso_8859-2 iso_8859-2:1987 l2 latin2",
        ),
        (
            "iso-8859-3",
            b"csisolatin3 iso-8859-3 iso-ir-109 iso8859-3 iso88593 iso_8859-3 iso_8859-3:1988 l3 latin3",
        ),
        (
            "iso-8859-4",
            b"csisolatin4 iso-8859-4 iso-ir-110 iso8859-4 iso88594 iso_8859-4 iso_8859-4:1988 l4 latin4",
        ),
        (
            "iso-8859-5",
            b"csisolatincyrillic cyrillic iso-8859-5 iso-ir-144 iso8859-5 iso88595 iso_8859-5 iso_8859-5:1988",
        ),
        (
            "iso-8859-6",
            b"arabic asmo-708 csiso88596e csiso88596i csisolatinarabic ecma-114 iso-8859-6 iso-8859-6-e iso-8859-6-i"
            b" iso-ir-127 iso8859-6 iso88596 iso_8859-6 iso_8859-6:1987",
        ),
        (
            "iso-8859-7",
            b"csisolatingreek ecma-118 elot_928 greek greek8 iso-8859-7 iso-ir-126 iso8859-7 iso88597 iso_8859-7"
            b" iso_8859-7:1987 sun_eu_greek",
        ),
        (
            "iso-8859-8",
            b"csiso88598e csisolatinhebrew hebrew iso-8859-8 iso-8859-8-e iso-ir-138 iso8859-8 iso88598 iso_8859-8"
            b" iso_8859-8:1988 visual csiso88598i iso-8859-8-i logical",
        ),
        ("iso-8859-10", b"csisolatin6 iso-8859-10 iso-ir-157 iso8859-10 iso885910 l6 latin6"),
        ("iso-8859-13", b"iso-8859-13 iso8859-13 iso885913"),
        ("iso-8859-14", b"iso-8859-14 iso8859-14 iso885914"),
        ("iso-8859-15", b"csisolatin9 iso-8859-15 iso8859-15 iso885915 iso_8859-15 l9"),
        ("iso-8859-16", b"iso-8859-16"),
        ("koi8-r", b"cskoi8r koi koi8 koi8-r koi8_r"),
        ("koi8-u", b"koi8-ru koi8-u"),
        ("macintosh", b"csmacintosh mac macintosh x-mac-roman"),
        ("windows-874", b"dos-874 iso-8859-11 iso8859-11 iso885911 tis-620 windows-874"),
        ("windows-1250", b"cp1250 windows-1250 x-cp1250"),
        ("windows-1251", b"cp1251 windows-1251 x-cp1251"),
        ("windows-1253", b"cp1253 windows-1253 x-cp1253"),
        (
            "windows-1254",
            b"cp1254 csisolatin5 iso-8859-9 iso-ir-148 iso8859-9 iso88599 iso_8859-9 iso_8859-9:1989 l5 latin5"
            b" windows-1254 x-cp1254",
        ),
        ("windows-1255", b"cp1255 windows-1255 x-cp1255"),
        ("windows-1256", b"cp1256 windows-1256 x-cp1256"),
        ("windows-1257", b"cp1257 windows-1257 x-cp1257"),
        ("windows-1258", b"cp1258 windows-1258 x-cp1258"),
        ("x-mac-cyrillic", b"x-mac-cyrillic x-mac-ukrainian"),
        (
            "gb18030",
            b"chinese csgb2312 csiso58gb231280 gb2312 gb_2312 gb_2312-80 gbk iso-ir-58 x-gbk gb18030",
        ),
        ("big5", b"big5 big5-hkscs cn-big5 csbig5 x-x-big5"),
        ("euc-jp", b"cseucpkdfmtjapanese euc-jp x-euc-jp"),
        ("iso-2022-jp", b"csiso2022jp iso-2022-jp"),
        ("shift_jis", b"csshiftjis ms932 ms_kanji shift-jis shift_jis sjis windows-31j x-sjis"),
        (
            "euc-kr",
            b"cseuckr csksc56011987 euc-kr iso-ir-149 korean ks_c_5601-1987 ks_c_5601-1989 ksc5601 ksc_5601"
            b" windows-949",
        ),
        ("x-user-defined", b"x-user-defined"),
    )
    for label in labels.split()
}


def encoding(value: bytes) -> str:
    """'auto', 'none' or an encoding's name. Those not in the table are declined: rg knows no others."""
    if value in (b"auto", b"none"):
        return value.decode()
    name = _LABELS.get(value.strip(b"\t\n\x0c\r ").lower())
    if name is None:
        raise Decline("encoding")
    return name
