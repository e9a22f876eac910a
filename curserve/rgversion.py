"""What `rg --version` and `rg -V` print: the text of the ripgrep that curserve answers as.

In: the processor's flags, from /proc/cpuinfo, read once. Out: the bytes. Declines on machines other than x86-64, whose
text differs. Pinned to the static x86-64 build of 15.2.0 on PyPI; a test compares it with the real rg.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

from curserve.errors import Decline

_SHORT = b"ripgrep 15.2.0 (rev e89fff89ac)\n"
# What that build can use beyond what it was compiled for, if the processor has it.
_RUNTIME = (("SSE2", "sse2"), ("SSSE3", "ssse3"), ("AVX2", "avx2"))


@cache
def version_text(long: bool) -> bytes:
    """stdout of --version (long) or -V."""
    if not long:
        return _SHORT
    if os.uname().machine != "x86_64":
        raise Decline("version")
    try:
        lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
    except OSError:
        raise Decline("version") from None
    flags: set[str] = set()
    for line in lines:
        if line.startswith("flags"):
            flags.update(line.partition(":")[2].split())
            break
    simd = ",".join(("+" if flag in flags else "-") + name for name, flag in _RUNTIME)
    return (
        _SHORT
        + b"\nfeatures:+pcre2\nsimd(compile):+SSE2,-SSSE3,-AVX2\nsimd(runtime):"
        + simd.encode()
        + b"\n\nPCRE2 10.45 is available (JIT is available)\n"
    )
