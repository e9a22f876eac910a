"""Writes single_byte.h: what ripgrep makes of the bytes above ASCII in each encoding of one byte per character.

Usage: python make_single_byte.py /path/to/rg > single_byte.h
Every byte from 0x80 up stands on a line of its own; ripgrep prints the lines as it decodes them.
"""

from __future__ import annotations

import subprocess
import sys
import textwrap

ENCODINGS = (
    "windows-1252 ibm866 iso-8859-2 iso-8859-3 iso-8859-4 iso-8859-5 iso-8859-6 iso-8859-7 iso-8859-8 iso-8859-10"
    " iso-8859-13 iso-8859-14 iso-8859-15 iso-8859-16 koi8-r koi8-u macintosh windows-874 windows-1250 windows-1251"
    " windows-1253 windows-1254 windows-1255 windows-1256 windows-1257 windows-1258 x-mac-cyrillic"
).split()
"""Names of the Encoding Standard, in the order of the rows. iso-8859-8-i differs from iso-8859-8 in no character."""


def decoded(rg: str, encoding: str) -> list[int]:
    """The scalars of 0x80 to 0xff; U+FFFD where there is none."""
    text = b"".join(bytes((byte, 10)) for byte in range(0x80, 0x100))
    argv = [rg, "--no-config", "--encoding", encoding, "--text", "--no-line-number", "^", "-"]
    lines = subprocess.run(argv, input=text, stdout=subprocess.PIPE, check=True).stdout.decode().split("\n")
    return [ord(line) for line in lines if line]


def main() -> None:
    """Prints the header."""
    version = subprocess.run([sys.argv[1], "--version"], stdout=subprocess.PIPE, check=True).stdout.split()[1].decode()
    print(f"""// single_byte.h: the characters of bytes above ASCII in encodings of one byte per character.
//
// Made by make_single_byte.py from the answers of ripgrep {version}. Do not edit.
#ifndef CURSERVE_SINGLE_BYTE_H
#define CURSERVE_SINGLE_BYTE_H
#include <cstdint>

namespace curserve {{

struct SingleByte {{
    const char* name;            // the Encoding Standard's
    uint16_t characters[128];    // of 0x80 to 0xff; U+FFFD: none
}};

constexpr SingleByte kSingleBytes[] = {{""")
    for name in ENCODINGS:
        scalars = decoded(sys.argv[1], name)
        assert len(scalars) == 128, name
        print(f'    {{"{name}", {{')
        row = " ".join(f"{scalar:#x}," for scalar in scalars)
        print(textwrap.fill(row, 118, initial_indent=" " * 8, subsequent_indent=" " * 8))
        print("    }},")
    print("""};

}  // namespace curserve
#endif""")


if __name__ == "__main__":
    main()
