"""Rust's regular expressions, as ripgrep 15.2.0 understands them, for the kernel.

`translate(patterns, options)` is the door; parser.py reads the syntax into the tree of hir.py, program.py compiles it,
re2text.py and literals.py find what makes it fast, grams.py is the question to the index. Imports no kernel.
"""
from __future__ import annotations

from .options import RegexOptions, Translation
from .translate import translate, warm

__all__ = ["RegexOptions", "Translation", "translate", "warm"]
