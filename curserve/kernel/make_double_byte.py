"""Writes double_byte.h: what ripgrep makes of the sequences of two and more bytes in Asian encodings.

Usage: python make_double_byte.py /path/to/rg > double_byte.h
Every sequence stands on a line of its own; ripgrep prints the lines as it decodes them. The numbering of sequences is
that of the Encoding Standard's indexes, where a row is the sequences of one lead byte.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable, Sequence

NONE = "\ufffd"
_PER_LINE = 47  # characters, half a row of most tables


def decoded(rg: str, encoding: str, sequences: Iterable[bytes]) -> list[str]:
    """What each sequence becomes; NONE where it is not one character (or, in Big5, a letter with its accent)."""
    text = b"".join(sequence + b"\n" for sequence in sequences)
    argv = [rg, "--no-config", "--encoding", encoding, "--text", "--no-line-number", "^", "-"]
    lines = subprocess.run(argv, input=text, stdout=subprocess.PIPE, check=True).stdout.decode().split("\n")[:-1]
    return [NONE if NONE in line else line for line in lines]


def pairs(leads: Sequence[int], trails: Sequence[int], before: bytes = b"") -> list[bytes]:
    """The sequences in the order of their numbers."""
    return [before + bytes((lead, trail)) for lead in leads for trail in trails]


def big5(rg: str) -> list[str]:
    """From lead 0x87 on; there is nothing before it."""
    trails = [*range(0x40, 0x7F), *range(0xA1, 0xFF)]
    assert set(decoded(rg, "big5", pairs(range(0x81, 0x87), trails))) == {NONE}
    return decoded(rg, "big5", pairs(range(0x87, 0xFF), trails))


def euc_kr(rg: str) -> list[str]:
    """From lead 0x81, trail 0x41 on."""
    return decoded(rg, "euc-kr", pairs(range(0x81, 0xFF), range(0x41, 0xFF)))


def gb18030(rg: str) -> list[str]:
    """The sequences of two bytes."""
    return decoded(rg, "gb18030", pairs(range(0x81, 0xFF), [*range(0x40, 0x7F), *range(0x80, 0xFF)]))


def gb18030_ranges(rg: str) -> list[tuple[int, int]]:
    """Those of four bytes below U+10000: (number, scalar) wherever the one does not grow with the other."""
    ten, most = range(0x30, 0x3A), range(0x81, 0xFF)
    numbered = [bytes((a, b, c, d)) for a in range(0x81, 0x85) for b in ten for c in most for d in ten]
    ranges: list[tuple[int, int]] = []
    last = -1
    for number, character in enumerate(decoded(rg, "gb18030", numbered)):
        if character == NONE and number < 39394:  # the number of U+FFFD
            raise AssertionError(number)
        if character == NONE and number >= 39420:
            continue
        assert number < 39420, number
        if ord(character) != last + 1:
            ranges.append((number, ord(character)))
        last = ord(character)
    return ranges


def jis0208(rg: str) -> list[str]:
    """As Shift_JIS has it: its first 94 rows are JIS X 0208's, the others end before the private use area."""
    trails = [*range(0x40, 0x7F), *range(0x80, 0xFD)]
    found = decoded(rg, "shift_jis", pairs([*range(0x81, 0xA0), *range(0xE0, 0xFD)], trails))
    assert found[:8836] == decoded(rg, "euc-jp", pairs(range(0xA1, 0xFF), range(0xA1, 0xFF)))
    assert found[8836:10716] == [chr(0xE000 + i) for i in range(1880)]
    return found[:8836] + found[10716:]


def jis0212(rg: str) -> list[str]:
    """What follows 0x8F in EUC-JP."""
    return decoded(rg, "euc-jp", pairs(range(0xA1, 0xFF), range(0xA1, 0xFF), b"\x8f"))


def literal(prefix: str, characters: Sequence[str]) -> str:
    """A string literal of them, a piece per line; private use and what joins with its neighbours as escapes."""
    lines = []
    for start in range(0, len(characters), _PER_LINE):
        row = characters[start : start + _PER_LINE]
        text = "".join(f"\\u{ord(c):04x}" if c < "\u0300" or "\ue000" <= c < "\uf900" else c for c in row)
        lines.append(f'    {prefix}"{text}"')
    return "\n".join(lines)


def main() -> None:
    """Prints the header."""
    rg = sys.argv[1]
    version = subprocess.run([rg, "--version"], stdout=subprocess.PIPE, check=True).stdout.split()[1].decode()
    print(f"""// double_byte.h: the characters of sequences of two and more bytes in Asian encodings.
//
// Made by make_double_byte.py from the answers of ripgrep {version}. Do not edit. A table is a row of characters for
// each lead byte, one for each trail byte; U+FFFD: none.
#ifndef CURSERVE_DOUBLE_BYTE_H
#define CURSERVE_DOUBLE_BYTE_H
#include <cstdint>

namespace curserve {{
""")
    twice = []
    found = big5(rg)
    for number, character in enumerate(found):
        if len(character) > 1:
            twice.append((number, character))
            found[number] = character[0]
    tables = (
        ("kBig5", "U", "char32_t", "157 trails: 0x40 to 0x7e, 0xa1 to 0xfe; leads from 0x87", found),
        ("kEucKr", "u", "char16_t", "190 trails from 0x41; leads from 0x81", euc_kr(rg)),
        ("kGb18030", "u", "char16_t", "190 trails: 0x40 to 0x7e, 0x80 to 0xfe; leads from 0x81", gb18030(rg)),
        ("kJis0208", "u", "char16_t", "94 trails, 94 leads; then Shift_JIS's from its number 10716 on", jis0208(rg)),
        ("kJis0212", "u", "char16_t", "94 trails, 94 leads", jis0212(rg)),
    )
    for name, prefix, kind, shape, characters in tables:
        assert all(len(character) == 1 for character in characters), name
        print(f"// {shape}.\nconstexpr {kind} {name}[] =\n{literal(prefix, characters)};\n")
    print("// Big5 sequences that are a letter and its accent.\nstruct Accented {\n    uint16_t number, accent;\n};")
    print("constexpr Accented kBig5Accented[] = {", end="")
    print(", ".join(f"{{{number}, {ord(accent[1]):#x}}}" for number, accent in twice), end="};\n\n")
    print("// gb18030's sequences of four bytes: from this number on, scalars from this one on.")
    print("struct Gb18030Range {\n    uint16_t number, scalar;\n};\nconstexpr Gb18030Range kGb18030Ranges[] = {")
    cells = [f"{{{number}, {scalar:#x}}}," for number, scalar in gb18030_ranges(rg)]
    for start in range(0, len(cells), 7):
        print("    " + " ".join(cells[start : start + 7]))
    print("};\n\n}  // namespace curserve\n#endif")


if __name__ == "__main__":
    main()
