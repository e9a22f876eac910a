"""Lines of text in columns that fit a width exactly: what the frames are made of.

In: rows, columns, a width and a number of lines. Out: that many lines at most, each as wide as asked, cut with an
ellipsis where it must be. Terminal cells are counted, not characters.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.text import Text

from curserve.display import printable
from curserve.top.figures import Row

GAP = 2


@dataclass(frozen=True)
class Column:
    """width 0: what is left, shared among such columns by `share`. keep_end: what is cut is the front (paths)."""

    title: str
    value: Callable[[Row], str]
    width: int = 0
    right: bool = False
    style: str = ""
    keep_end: bool = False
    share: int = 1


def table(
    columns: Sequence[Column], rows: Sequence[Row], width: int, lines: int, cursor: int | None = None
) -> list[Text]:
    """A heading and up to lines - 1 rows; those around the cursor where there are more."""
    if lines < 1:
        return []
    fixed = sum(column.width for column in columns) + GAP * (len(columns) - 1)
    shares = sum(column.share for column in columns if not column.width)
    left = max(width - fixed, 0)
    widths = [column.width or left * column.share // max(shares, 1) for column in columns]
    for index, column in enumerate(columns):  # what the division left over
        if not column.width:
            widths[index] += width - fixed - sum(w for w, c in zip(widths, columns, strict=True) if not c.width)
            break
    made = [_line([Text(column.title) for column in columns], columns, widths, width)]
    made[0].stylize("bold reverse")
    first = 0 if cursor is None else min(max(0, cursor - (lines - 2)), max(0, len(rows) - (lines - 1)))
    for index, row in enumerate(rows[first : first + lines - 1], first):
        line = _line([Text(one_line(column.value(row)), column.style) for column in columns], columns, widths, width)
        if index == cursor:
            line.stylize("bold on grey30")
        made.append(line)
    return made


def beside(blocks: Sequence[tuple[list[Text], int]]) -> list[Text]:
    """Blocks of lines with their widths, side by side."""
    made = []
    for index in range(max((len(lines) for lines, _ in blocks), default=0)):
        line = Text()
        for at, (lines, width) in enumerate(blocks):
            if at:
                line.append(" " * GAP)
            line.append_text(fit(lines[index] if index < len(lines) else Text(), width))
        made.append(line)
    return made


def fit(text: Text, width: int, right: bool = False, keep_end: bool = False) -> Text:
    """Exactly `width` cells."""
    over = text.cell_len - width
    text = text.copy()
    if over > 0 and keep_end and width > 0:
        while text.cell_len > width - 1:
            text = text[1:]
        text = Text("…", text.style).append_text(text)
    text.truncate(width, overflow="ellipsis")
    if right:
        text.pad_left(width - text.cell_len)
    else:
        text.pad_right(width - text.cell_len)
    return text


def one_line(text: str) -> str:
    """Printable, in one line."""
    return printable(text.replace("\n", "⏎"))


def _line(cells: Sequence[Text], columns: Sequence[Column], widths: Sequence[int], width: int) -> Text:
    line = Text()
    for cell, column, size in zip(cells, columns, widths, strict=True):
        if line.cell_len or column is not columns[0]:
            line.append(" " * GAP)
        line.append_text(fit(cell, size, column.right, column.keep_end))
    return fit(line, width)
