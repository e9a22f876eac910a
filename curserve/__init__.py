"""curserve keeps codebases in memory and answers ripgrep for coding agents.

Only the version lives here: the command line starts in a few milliseconds because importing the package imports
nothing else.
"""

from __future__ import annotations

__version__ = "0.1.0"
