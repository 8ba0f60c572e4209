"""Rows of words as columns of a terminal."""

from collections.abc import Sequence

_GAP = "  "


def columns(rows: Sequence[Sequence[str]], right: Sequence[bool]) -> list[str]:
    """One line a row, each column as wide as its widest cell.

    Args:
        rows: the head first; all of one length.
        right: which columns end at their right edge, as numbers do.
    """
    widths = [max(len(row[at]) for row in rows) for at in range(len(right))]
    return [
        _GAP.join(
            _pad(cell, width, to_right=to_right)
            for cell, width, to_right in zip(row, widths, right, strict=True)
        ).rstrip()
        for row in rows
    ]


def _pad(cell: str, width: int, *, to_right: bool) -> str:
    blanks = " " * (width - len(cell))
    return blanks + cell if to_right else cell + blanks
