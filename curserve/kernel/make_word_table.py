"""Writes unicode_word.h: the scalars that ripgrep's Unicode `\\w` matches, asked of ripgrep itself.

Usage: python make_word_table.py /path/to/rg > unicode_word.h
Every scalar value from U+0080 up stands on a line of its own; the line numbers that `\\w` selects are the table.
"""
from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable

FIRST = 0x80  # ASCII is decided by arithmetic, not by the table
SURROGATES = range(0xD800, 0xE000)


def scalars() -> list[int]:
    """Every Unicode scalar value from U+0080 on, ascending."""
    return [c for c in range(FIRST, 0x110000) if c not in SURROGATES]


def word_scalars(rg: str) -> list[int]:
    """Those scalars that `rg '\\w'` selects, ascending."""
    every = scalars()
    # A BOM-sniffing search would transcode or strip; the first line (U+0080) keeps any BOM away from offset 0.
    text = b"".join(chr(c).encode() + b"\n" for c in every)
    out = subprocess.run([rg, "--no-config", "-a", "--line-number", "--only-matching", "--replace", "", r"\w", "-"],
                         input=text, stdout=subprocess.PIPE, check=True).stdout
    return [every[int(line.split(b":")[0]) - 1] for line in out.splitlines()]


def ranges(points: Iterable[int]) -> list[tuple[int, int]]:
    """Ascending points as inclusive, maximal ranges."""
    out: list[tuple[int, int]] = []
    for point in points:
        if out and out[-1][1] + 1 == point:
            out[-1] = (out[-1][0], point)
        else:
            out.append((point, point))
    return out


def main() -> None:
    """Prints the header."""
    rows = [f"{{0x{a:X}, 0x{b:X}}}" for a, b in ranges(word_scalars(sys.argv[1]))]
    version = subprocess.run([sys.argv[1], "--version"], stdout=subprocess.PIPE, check=True).stdout.split()[1].decode()
    print(f"""// unicode_word.h: the scalars above ASCII that Unicode \\w matches, as inclusive ranges, ascending.
//
// Made by make_word_table.py from the answers of ripgrep {version}. Do not edit.
#ifndef CURSERVE_UNICODE_WORD_H
#define CURSERVE_UNICODE_WORD_H
#include <cstdint>

namespace curserve {{

struct ScalarRange {{
    uint32_t first, last;
}};

constexpr ScalarRange kUnicodeWord[] = {{""")
    line = "   "
    for row in rows:
        if len(line) + len(row) + 2 > 118:
            print(line)
            line = "   "
        line += f" {row},"
    print(line)
    print("""};

}  // namespace curserve
#endif""")


if __name__ == "__main__":
    main()
