"""`python -m curserve`: the command line."""

from __future__ import annotations

import sys

from curserve.cli import main

if __name__ == "__main__":
    sys.exit(main())
