"""The C source of curserve._kernel, written by cffi from the project's own C headers.

In: the output path and the headers. Out: one C file. What Python may see of a header is the text between the lines
`/* cffi:begin */` and `/* cffi:end */`; the rest (includes, guards, macros of C only) stays in C. The build runs this;
nothing here is installed.
"""

from __future__ import annotations

import sys
from pathlib import Path

from cffi import FFI

_BEGIN = "/* cffi:begin */"
_END = "/* cffi:end */"


def declarations(header: Path) -> str:
    """The header's text between its markers; SystemExit when a marker is missing or stands twice."""
    text = header.read_text(encoding="utf-8")
    if text.count(_BEGIN) != 1 or text.count(_END) != 1:
        raise SystemExit(f"{header}: expected each of {_BEGIN} and {_END} once")
    return text.split(_BEGIN)[1].split(_END)[0]


def main(output: str, headers: list[str]) -> None:
    """Write the C file; headers are read in the order given, so a later one may use an earlier one's types."""
    ffi = FFI()
    for header in headers:
        ffi.cdef(declarations(Path(header)))
    ffi.set_source("curserve._kernel", "\n".join(f'#include "{Path(header).name}"' for header in headers))
    ffi.emit_c_code(output)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
